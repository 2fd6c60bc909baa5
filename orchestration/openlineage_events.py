"""OpenLineage events: job, run, and the tables read and written with columns and checks.

Out of scope: when they are sent (`orchestration.openlineage`).
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import (
    InputDataset,
    Job,
    OutputDataset,
    Run,
    RunEvent,
    RunState,
)
from openlineage.client.facet_v2 import (
    column_lineage_dataset,
    data_quality_assertions_dataset,
    dataset_version_dataset,
    output_statistics_output_dataset,
    schema_dataset,
)
from openlineage.client.transport.file import FileConfig, FileTransport
from openlineage.client.transport.http import HttpConfig, HttpTransport

from graindex.lineage.recorded import upstream_assets
from graindex.settings import OpenLineageSettings
from schemas.arrow import describe
from schemas.table import Table
from schemas.tables import TABLES

_PRODUCER = "https://pypi.org/project/graindex"
_TIMEOUT_S = 5.0
# Assets that are called otherwise than the table they write.
_TABLES = {"trained_models": "model_runs"}


def emit(
    settings: OpenLineageSettings,
    state: str,
    run: tuple[str, str, str],
    written: Sequence[dg.AssetMaterialization],
    checks: Sequence[dg.AssetCheckEvaluation],
) -> None:
    """Send one event.

    Args:
        settings: where to.
        state: START, COMPLETE or FAIL.
        run: id of the run, its job, and the collection or model that it is of.
        written: what it materialised.
        checks: how its checks ended.

    Raises:
        Exception: the server cannot be reached or refuses, or the file cannot be written.
    """
    run_id, job, part = run
    names = [one.asset_key.to_user_string() for one in written]
    read = {up for name in names for up in upstream_assets(_TABLES.get(name, name))}
    event = RunEvent(
        eventTime=datetime.now(UTC).isoformat(),
        eventType=RunState[state],
        run=Run(runId=run_id),
        job=Job(namespace=settings.namespace, name=f"{job}.{part}"),
        inputs=[
            InputDataset(settings.namespace, _name(name, part))
            for name in sorted(read - set(names))
        ],
        outputs=[_output(settings.namespace, one, part, checks) for one in written],
        producer=_PRODUCER,
    )
    _client(settings).emit(event)


def _name(asset: str, part: str) -> str:
    return f"{_TABLES.get(asset, asset)}.{part}"


def _output(
    namespace: str,
    written: dg.AssetMaterialization,
    part: str,
    checks: Sequence[dg.AssetCheckEvaluation],
) -> OutputDataset:
    asset = written.asset_key.to_user_string()
    table = TABLES[_TABLES.get(asset, asset)]
    facets: dict[str, Any] = {
        "schema": _schema(table),
        "columnLineage": _column_lineage(table, namespace, part),
    }
    assertions = [
        data_quality_assertions_dataset.Assertion(assertion=one.check_name, success=one.passed)
        for one in checks
        if one.asset_key == written.asset_key
    ]
    if assertions:
        facets["dataQualityAssertions"] = (
            data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(assertions)
        )
    if "lake snapshot" in written.metadata:
        facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(
            str(written.metadata["lake snapshot"].value)
        )
    count = written.metadata["dagster/row_count"].value
    assert isinstance(count, int)
    rows = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=count)
    return OutputDataset(
        namespace, _name(asset, part), outputFacets={"outputStatistics": rows}, facets=facets
    )


def _schema(table: Table) -> schema_dataset.SchemaDatasetFacet:
    return schema_dataset.SchemaDatasetFacet(
        [
            schema_dataset.SchemaDatasetFacetFields(
                column.name, column.kind.value, describe(column.name)
            )
            for column in table.fields
        ]
    )


def _column_lineage(
    table: Table, namespace: str, part: str
) -> column_lineage_dataset.ColumnLineageDatasetFacet:
    def source(column: str) -> column_lineage_dataset.InputField:
        asset, _, name = column.partition(".")
        return column_lineage_dataset.InputField(namespace, _name(asset, part), name)

    return column_lineage_dataset.ColumnLineageDatasetFacet(
        {
            name: column_lineage_dataset.Fields([source(one) for one in several])
            for name, several in table.lineage.items()
        }
    )


def _client(settings: OpenLineageSettings) -> OpenLineageClient:
    if settings.url is not None:
        # Without tries again: a server that is down must not hold up a run.
        config = HttpConfig.from_dict(
            {"url": settings.url, "timeout": _TIMEOUT_S, "retry": {"total": 0}}
        )
        return OpenLineageClient(transport=HttpTransport(config), config={})
    return OpenLineageClient(
        transport=FileTransport(FileConfig(str(settings.file), append=True)), config={}
    )
