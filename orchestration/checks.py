"""Asset checks: suites from the dictionary, completeness, and what a person should look at.

Out of scope: what the suites say (`schemas.expectations`) and how they run
(`graindex.validation`).
"""

import warnings
from collections.abc import Callable, Sequence

import dagster as dg

from assets.resources import DATASETS, StoreResource
from graindex.checks import (
    Problem,
    disagreements,
    missing_quality,
    missing_vectors,
    quarantined,
    suite_problems,
    unaccounted_files,
    unlike_vectors,
)
from graindex.store import Store
from schemas.tables import LAKE_ASSETS

Body = Callable[[Store, str], Sequence[Problem]]


def _check(
    asset: str, name: str, body: Body, description: str, *, blocking: bool
) -> dg.AssetChecksDefinition:
    severity = dg.AssetCheckSeverity.ERROR if blocking else dg.AssetCheckSeverity.WARN

    def check(context: dg.AssetCheckExecutionContext, store: StoreResource) -> dg.AssetCheckResult:
        problems = body(store.open(), context.partition_key)
        failing = sum(problem.count for problem in problems)
        return dg.AssetCheckResult(
            passed=not problems,
            severity=severity,
            metadata={
                "failing": dg.MetadataValue.int(failing),
                "problems": dg.MetadataValue.json([problem.as_json() for problem in problems]),
            },
        )

    decorate = dg.asset_check(
        asset=asset,
        name=name,
        description=description,
        blocking=blocking,
        partitions_def=DATASETS,
    )
    with warnings.catch_warnings():
        # Checks of single partitions are announced as a preview; without them a check of one
        # collection would overwrite the result of another.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return decorate(check)


def _suite(table: str) -> dg.AssetChecksDefinition:
    def body(store: Store, dataset: str) -> Sequence[Problem]:
        return suite_problems(store, table, dataset)

    description = "Presence, bounds, admissible values and unique keys, from the data dictionary."
    return _check(table, "dictionary", body, description, blocking=True)


CHECKS = [
    *(_suite(table) for table in LAKE_ASSETS),
    _check(
        "micrographs",
        "nothing_lost",
        unaccounted_files,
        "Every file named like an image is catalogued or in quarantine with a reason.",
        blocking=True,
    ),
    _check(
        "micrographs",
        "sources_agree",
        disagreements,
        "Tags, sidecar, scale bar and user agree on pixel size and acquisition.",
        blocking=False,
    ),
    _check(
        "micrographs",
        "no_quarantine",
        quarantined,
        "No input was refused.",
        blocking=False,
    ),
    _check(
        "image_quality",
        "complete",
        missing_quality,
        "Every catalogued image has its quality figures.",
        blocking=True,
    ),
    _check(
        "micrograph_vectors",
        "complete",
        missing_vectors,
        "Every catalogued image has a vector of the configured encoder.",
        blocking=True,
    ),
    _check(
        "micrograph_vectors",
        "finite_unit_length",
        unlike_vectors,
        "Every vector is finite and of length 1.",
        blocking=True,
    ),
]
