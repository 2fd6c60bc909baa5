import json

import pytest

from orchestration.cli.main import main
from tests.graindex.rows import key


def run(capsys, home, *arguments):
    code = main(["lineage", *arguments, "--home", str(home)], debug=False)
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_json_holds_every_edge_and_nothing_else(chain, chain_home, capsys):
    code, printed, _ = run(capsys, chain_home, key("a2"), "--forward", "--format", "json")
    assert code == 0
    assert json.loads(printed) == chain.lineage(key("a2"), forward=True).edges.to_pylist()


def test_tree_and_picture(chain_home, capsys, tmp_path):
    target = tmp_path / "drawn.png"
    code, printed, notes = run(capsys, chain_home, "states", "--picture", str(target))
    assert code == 0
    assert printed.startswith("model states@1")
    assert "2 files" in notes
    assert target.stat().st_size > 1000


@pytest.mark.parametrize("arguments", [("nobody",), ("states", "--as-of", "no-tag")])
def test_wrong_commands_end_with_one_line(chain_home, capsys, arguments):
    code, printed, notes = run(capsys, chain_home, *arguments)
    assert (code, printed) == (2, "")
    assert notes.startswith("error: ")
    assert notes.count("\n") == 1
