"""Runs of Dagster that may show a withdrawn image: found, refused while at work, and removed."""

import shutil

import dagster as dg
import pytest

from graindex.errors import CollectionError
from graindex.store import init_store, open_store
from orchestration.cli import output
from orchestration.cli.main import main
from orchestration.forget_runs import forget_runs, refuse_at_work, runs_of
from orchestration.instance import open_instance
from orchestration.jobs import PARTITION_TAG
from tests.graindex.forget.traces import traces
from tests.graindex.rows import key, micrographs

PICTURE = "data:image/png;base64,cGljdHVyZSBvZiBpdA"


@pytest.fixture(scope="module")
def with_runs(tmp_path_factory):
    """A home with one run of each of three collections; those of `b` name an image of `a`."""
    store = init_store(tmp_path_factory.mktemp("runs") / "home")
    rows = {"micrographs": micrographs("a", ["x", "y"])}
    store.lake.replace(rows, "a", author="test", message="images")
    partitions = dg.DynamicPartitionsDefinition(name="datasets")
    told = {"a": PICTURE, "b": f"like {key('x')}", "c": "nothing"}

    @dg.asset(partitions_def=partitions)
    def images(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        text = dg.MetadataValue.md(told[context.partition_key])
        check = dg.AssetCheckResult(passed=True, check_name="fine", metadata={"what": text})
        return dg.MaterializeResult(metadata={"preview": text}, check_results=[check])

    images = dg.asset(
        partitions_def=partitions, check_specs=[dg.AssetCheckSpec("fine", asset="images")]
    )(images.op.compute_fn.decorated_fn)
    with open_instance(store.location) as instance:
        instance.add_dynamic_partitions("datasets", list(told))
        for part in told:
            assert dg.materialize([images], instance=instance, partition_key=part).success
    return store.location.folder


@pytest.fixture
def home(with_runs, tmp_path):
    shutil.copytree(with_runs, tmp_path / "home")
    return tmp_path / "home"


def parts(location):
    with open_instance(location) as instance:
        return {run.tags[PARTITION_TAG] for run in instance.get_runs()}


def test_runs_that_show_or_name_it_are_removed_with_all_they_said(home):
    location = open_store(home).location
    assert traces(home / "dagster", PICTURE, key("x"))
    runs = runs_of(location, ["a"], [key("x")])
    assert len(runs) == 2
    forget_runs(location, runs)
    assert traces(home / "dagster", PICTURE, key("x"), *runs) == []
    assert parts(location) == {"c"}
    with open_instance(location) as instance:
        record = instance.get_latest_materialization_event(dg.AssetKey("images"))
        assert record is None or record.run_id not in runs


def test_a_run_at_work_is_waited_for(home):
    location = open_store(home).location
    refuse_at_work(location)
    with open_instance(location) as instance:
        run = next(run for run in instance.get_runs() if run.tags[PARTITION_TAG] == "c")
        started = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, run.job_name)
        instance.run_storage.handle_run_event(run.run_id, started)
    with pytest.raises(CollectionError, match="is at work on 'c': wait for it"):
        refuse_at_work(location)


def test_the_command_shows_and_only_then_removes(home, capsys):
    def forget(*words):
        output.notes.file = None
        code = main(["forget", *words, "--reason", "not ours", "--home", str(home)])
        return code, capsys.readouterr()

    code, said = forget("a:x.tif", "--format", "csv")
    assert code == 0
    assert f"{key('x')},a,rows of micrographs,1," in said.out
    assert "runs of Dagster,2" in said.out
    assert "nothing was removed; remove with: --yes" in said.err
    assert open_store(home).read("withdrawals").num_rows == 0
    code, said = forget(key("x"), "--yes")
    assert code == 0
    assert f"{key('x')} of a is withdrawn" in said.err
    assert traces(home, key("x"), PICTURE) == []
    code, said = forget(key("x"), "--yes")
    assert code == 2
    assert said.err.count("\n") == 1
    assert "nothing of it is left to withdraw" in said.err
