"""The commands on a store's history, in this process."""

import json
from datetime import UTC, datetime

import pytest

from graindex.store import init_store
from orchestration.cli.main import DONE, WRONG_COMMAND, main
from tests.graindex.rows import samples


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home with specimens that changed."""
    folder = tmp_path_factory.mktemp("versions") / "home"
    store = init_store(folder)
    for turn in range(3):
        rows = {"samples": samples("a", range(20 + turn), {"cycles": float(turn)})}
        store.lake.replace(rows, "a", author="me", message=f"turn {turn}")
    return folder


@pytest.fixture
def run(home, capsys):
    def command(*words):
        code = main([*map(str, words), "--home", str(home)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


def rows(answer):
    code, out, _ = answer
    assert code == DONE
    return json.loads(out)


def test_history_from_the_command_line(run):
    made = rows(run("snapshots", "--format", "json"))
    mine = [row for row in made if row["author"] == "me"]
    assert [row["message"] for row in mine] == ["turn 0", "turn 1", "turn 2"]
    assert {tuple(row["tables"]) for row in mine} == {("samples",)}
    assert datetime.fromisoformat(mine[0]["made_at"]) < datetime.now(UTC)
    first, last = mine[0]["snapshot"], mine[-1]["snapshot"]

    (found,) = rows(run("diff", first, last, "--format", "json"))
    assert found == {
        "table": "samples",
        "dataset": "a",
        "added": 2,
        "removed": 0,
        "changed": 20,
        "columns_changed": {"cycles": 20},
        "columns_added": [],
    }
    code, out, _ = run("diff", first, "--format", "csv", "--dataset", "a")
    assert (code, out.splitlines()[1]) == (DONE, "samples,a,2,0,20,cycles 20,")

    assert run("tag", "start", first, "--note", "for the paper")[0] == DONE
    needed = {
        row["snapshot"]: row["needed_by"] for row in rows(run("snapshots", "--format", "json"))
    }
    assert needed[first] == ["tag start"]
    assert run("tag", "start")[0] == WRONG_COMMAND

    code, out, err = run("gc", "--format", "json")
    assert (code, "graindex gc --yes" in err) == (DONE, True)
    assert {row["would_remove"]: row["count"] for row in json.loads(out)}["snapshot"] == 0

    now = ("--keep-days", 0, "--grace-minutes", 0, "--format", "json")
    code, out, err = run("gc", "--yes", *now)
    assert f"kept: snapshot {first}, needed by tag start" in err
    assert {row["removed"]: row["count"] for row in json.loads(out)}["snapshot"] >= 2
    assert rows(run("compact", "--format", "json")) == []

    code, _, err = run("restore", "start", "--dataset", "a")
    assert (code, f"holds what stood in {first}" in err) == (DONE, True)
    assert "nothing differs" in run("restore", first)[2]
    assert rows(run("diff", "start", "--format", "json", "--dataset", "a")) == []
    assert run("tag", "start", "--delete")[0] == DONE


@pytest.mark.parametrize(
    "words",
    [
        ("diff", "nothing"),
        ("diff", "2001-01-01"),
        ("restore", "999999"),
        ("restore", "1", "--dataset", "nothing"),
        ("tag", "1st"),
        ("tag", "absent", "--delete"),
        ("tag", "absent", "1", "--delete"),
        ("gc", "--keep-days", "-1"),
        ("gc", "--keep-last", "0"),
    ],
)
def test_wrong_commands_are_one_line(run, words):
    code, out, err = run(*words)
    assert (code, out) == (WRONG_COMMAND, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
