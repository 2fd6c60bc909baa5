"""Runs of the job in this process, and what came of them.

Out of scope: printing (`orchestration.cli`).
"""

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from assets.models import MODELS
from assets.processes import PROCESS_TAG, process_tag
from assets.resources import DATASETS, StoreResource
from assets.table_metadata import RECALIBRATED
from graindex.errors import CollectionError, GraindexError
from graindex.recipes import Kind
from graindex.store import Store
from orchestration.definitions import defs
from orchestration.instance import open_instance, slots_assigned
from orchestration.jobs import CATALOG, CHECK, PARTITION_TAG, TRAIN, check_job
from orchestration.openlineage import RunEvents

_CHECK_FAILED = "DagsterAssetCheckFailedError"  # not exported by dagster 1.13
RUNNABLE = dg.Definitions.merge(defs, dg.Definitions(jobs=[check_job]))


@dataclass(frozen=True)
class AssetReport:
    """What a run did to one asset of one collection.

    `recalibration` says in words what followed from a new pixel or voxel size; "" for nothing.
    """

    dataset: str
    asset: str
    rows: int
    computed: int
    kept: int
    dropped: int
    refused: dict[str, str]
    snapshot: int | None
    seconds: float
    recalibration: str = ""


@dataclass(frozen=True)
class CheckReport:
    """How one check of one collection ended."""

    dataset: str
    asset: str
    check: str
    passed: bool
    blocking: bool
    failing: int
    problems: list[dict[str, Any]]
    advice: str


@dataclass
class RunReport:
    """Everything that runs over some collections did."""

    assets: list[AssetReport] = field(default_factory=list)
    checks: list[CheckReport] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def refused(self) -> dict[str, str]:
        """Inputs that were refused, by collection and path."""
        return {
            f"{report.dataset}/{path}": reason
            for report in self.assets
            for path, reason in report.refused.items()
        }

    @property
    def blocked(self) -> bool:
        """Whether a blocking check failed or a run broke."""
        return bool(self.failures) or any(c.blocking and not c.passed for c in self.checks)


def run_catalog(store: Store, datasets: Sequence[str], select: str | None = None) -> RunReport:
    """Materialise and check collections, one run each.

    Args:
        store: the store.
        datasets: names of registered collections.
        select: Dagster's selection syntax, such as ``key:micrographs+``; everything when None.

    Raises:
        CollectionError: a collection is not registered, or the selection selects nothing.
    """
    selected = _select(select)
    return _run(store, datasets, lambda kind: _catalog_job(kind, selected))


def run_checks(store: Store, datasets: Sequence[str], select: str | None = None) -> RunReport:
    """Check collections, or the selected assets of them, without computing anything.

    Raises:
        CollectionError: a collection is not registered, or the selection selects nothing.
    """
    selected = _select(select)
    return _run(store, datasets, lambda kind: _check_job(kind, selected))


def run_models(store: Store, names: Sequence[str]) -> RunReport:
    """Train models, one run each; what stands as it is is not trained again.

    Args:
        store: the store.
        names: models that the home declares.
    """
    job = RUNNABLE.resolve_job_def(TRAIN)
    report = RunReport()
    store.lake.create()
    with open_instance(store.location) as instance, slots_assigned(instance):
        instance.add_dynamic_partitions(str(MODELS.name), list(names))
        for name in names:
            _execute(report, store, instance, job, name)
    return report


def _select(select: str | None) -> frozenset[dg.AssetKey] | None:
    if select is None:
        return None
    graph = defs.resolve_asset_graph()
    try:
        # Assets that are computed in one go are selected together.
        chosen = dg.AssetSelection.from_string(select).required_multi_asset_neighbors()
        keys = chosen.resolve(graph)
    except (dg.DagsterError, ValueError) as error:
        message = f"selection {select!r} is wrong: {' '.join(str(error).split())}"
        raise CollectionError(message) from error
    known = graph.get_all_asset_keys()
    if not keys & known:
        names = ", ".join(sorted(key.to_user_string() for key in known))
        message = f"selection {select!r} selects no asset; there are {names}"
        raise CollectionError(message)
    return frozenset(keys & known)


def _run(
    store: Store, datasets: Sequence[str], job_of: Callable[[Kind], dg.JobDefinition]
) -> RunReport:
    kinds = {dataset: store.recipe(dataset).kind for dataset in datasets}
    jobs = {kind: job_of(kind) for kind in sorted(set(kinds.values()))}
    report = RunReport()
    store.lake.create()  # a home of an earlier version lacks tables, to which results are written
    with open_instance(store.location) as instance, slots_assigned(instance):
        instance.add_dynamic_partitions(str(DATASETS.name), list(datasets))
        for dataset in datasets:
            _execute(report, store, instance, jobs[kinds[dataset]], dataset)
    return report


def _execute(
    report: RunReport,
    store: Store,
    instance: dg.DagsterInstance,
    job: dg.JobDefinition,
    partition: str,
) -> None:
    """Run a job for one collection or one model in this process."""
    run_id = str(uuid.uuid4())
    events = RunEvents(store.settings.openlineage, run_id, job.name, partition)
    events.started()
    job.execute_in_process(
        instance=instance,
        run_id=run_id,
        resources={"store": StoreResource(home=store.location.address)},
        raise_on_error=False,
        tags={PARTITION_TAG: partition, PROCESS_TAG: process_tag(run_id)},
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    log = instance.all_logs(run_id)
    events.ended(log)
    _collect(report, partition, log)


def _catalog_job(kind: Kind, selected: frozenset[dg.AssetKey] | None) -> dg.JobDefinition:
    """The job of collections of one kind, or the selected part of it.

    Raises:
        CollectionError: the selection holds nothing for this kind.
    """
    job = RUNNABLE.resolve_job_def(CATALOG[kind])
    if selected is None:
        return job
    keys = frozenset(job.asset_layer.executable_asset_keys)
    if not selected & keys:
        names = ", ".join(sorted(key.to_user_string() for key in keys))
        message = f"the selection has no asset of collections of {kind}; there are {names}"
        raise CollectionError(message)
    # Dagster refuses a subset and another store in one call.
    return job.get_subset(asset_selection=selected & keys)


def _check_job(kind: Kind, selected: frozenset[dg.AssetKey] | None) -> dg.JobDefinition:
    """The checks of the assets that collections of one kind have, or of the selected ones.

    Raises:
        CollectionError: the selection holds nothing for this kind.
    """
    checks = RUNNABLE.resolve_job_def(CATALOG[kind]).asset_layer.asset_graph.asset_check_keys
    chosen = {key for key in checks if selected is None or key.asset_key in selected}
    if not chosen:
        message = f"the selection has no checked asset of collections of {kind}"
        raise CollectionError(message)
    return RUNNABLE.resolve_job_def(CHECK).get_subset(asset_check_selection=chosen)


def _collect(report: RunReport, dataset: str, entries: Iterable[dg.EventLogEntry]) -> None:
    """Add what the log of one run says to the report."""
    started: dict[str, float] = {}
    told = False
    for entry in entries:
        event = entry.dagster_event
        if event is None:
            continue
        step = str(event.step_key)
        if event.event_type is dg.DagsterEventType.STEP_START:
            started[step] = entry.timestamp
        elif event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION:
            done = event.step_materialization_data.materialization
            report.assets.append(_asset_report(dataset, done, entry.timestamp - started[step]))
        elif event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            report.checks.append(_check_report(dataset, event.asset_check_evaluation_data))
        elif event.event_type is dg.DagsterEventType.STEP_FAILURE:
            told = True
            if not _is_of_check(event):
                report.failures.append(f"{dataset}: {step}: {_cause(event)}")
        elif event.event_type is dg.DagsterEventType.RUN_FAILURE and not told:
            report.failures.append(f"{dataset}: {event.message}")


def _asset_report(
    dataset: str, materialization: dg.AssetMaterialization, seconds: float
) -> AssetReport:
    values: dict[str, Any] = {name: v.value for name, v in materialization.metadata.items()}
    return AssetReport(
        dataset,
        materialization.asset_key.to_user_string(),
        values["dagster/row_count"],
        values["rows computed"],
        values["rows kept"],
        values["rows dropped"],
        values["refused"],
        values.get("lake snapshot", values.get("vector version")),
        seconds,
        values.get(RECALIBRATED, ""),
    )


def _check_report(dataset: str, evaluation: dg.AssetCheckEvaluation) -> CheckReport:
    values: dict[str, Any] = {name: v.value for name, v in evaluation.metadata.items()}
    return CheckReport(
        dataset,
        evaluation.asset_key.to_user_string(),
        evaluation.check_name,
        evaluation.passed,
        evaluation.severity is dg.AssetCheckSeverity.ERROR,
        values["failing"],
        values["problems"],
        values["advice"],
    )


def _is_of_check(event: dg.DagsterEvent) -> bool:
    """Whether a step failed by nothing but a blocking check, which reports for itself."""
    error = event.step_failure_data.error
    return error is not None and error.cls_name == _CHECK_FAILED


def _cause(event: dg.DagsterEvent) -> str:
    """Why a step failed, in one line: as the store says it, else the innermost error."""
    error, chain = event.step_failure_data.error, []
    while error is not None:
        chain.append(error)
        error = error.cause
    own = _names_of(GraindexError)
    for told in chain:
        if told.cls_name in own:
            return " ".join(told.message.partition(": ")[2].split())
    return " ".join(chain[-1].message.split()) if chain else str(event.message)


def _names_of(kind: type[Exception]) -> set[str]:
    """Names of a class of errors and of all classes below it."""
    return {kind.__name__}.union(*(_names_of(below) for below in kind.__subclasses__()))
