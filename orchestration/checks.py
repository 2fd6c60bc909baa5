"""Asset checks: one step for each asset runs its checks and writes how they ended to the lake.

Out of scope: what the checks look for (`graindex.generated_checks`, `graindex.check_list`).
"""

import warnings
from collections.abc import Iterator, Sequence

import dagster as dg

from assets.resources import DATASETS, StoreResource
from graindex.annotation_checks import ANNOTATION_CHECKS
from graindex.check_list import IMAGE_CHECKS, PARTICLE_CHECKS, VOLUME_CHECKS
from graindex.check_results import CheckResult, record_results, run_checks
from graindex.checking import Check
from graindex.errors import GraindexError
from graindex.generated_checks import generated_checks
from graindex.image_checks import IMAGE_FAULT_CHECKS
from graindex.label_checks import LABEL_CHECKS
from schemas.tables import LAKE_ASSETS

# Every check there is. A module with checks of its own lists them in a tuple to be added here.
DECLARED: tuple[Check, ...] = (
    *(check for asset in (*LAKE_ASSETS, "micrograph_vectors") for check in generated_checks(asset)),
    *IMAGE_CHECKS,
    *VOLUME_CHECKS,
    *PARTICLE_CHECKS,
    *ANNOTATION_CHECKS,
    *LABEL_CHECKS,
    *IMAGE_FAULT_CHECKS,
)


def _severity(check: Check) -> dg.AssetCheckSeverity:
    return dg.AssetCheckSeverity.ERROR if check.blocking else dg.AssetCheckSeverity.WARN


def asset_check_result(result: CheckResult) -> dg.AssetCheckResult:
    """How a check ended, as Dagster's."""
    return dg.AssetCheckResult(
        passed=result.passed,
        asset_key=result.check.asset,
        check_name=result.check.name,
        severity=_severity(result.check),
        metadata={
            "failing": dg.MetadataValue.int(result.failing),
            "problems": dg.MetadataValue.json([problem.as_json() for problem in result.problems]),
            "advice": dg.MetadataValue.text(result.advice),
        },
    )


def checks_of_asset(asset: str, checks: Sequence[Check]) -> dg.AssetChecksDefinition:
    """The checks of one asset as one step."""

    def run(
        context: dg.AssetCheckExecutionContext, store: StoreResource
    ) -> Iterator[dg.AssetCheckResult]:
        opened = store.open()
        asked = {key.name for key in context.selected_asset_check_keys}
        chosen = [check for check in checks if check.name in asked]
        results = run_checks(opened, chosen, context.partition_key)
        names = [check.name for check in checks]
        record_results(opened, results, names, author=f"{asset} run {context.run.run_id}")
        yield from (asset_check_result(result) for result in results if not result.error)
        for result in results:
            if result.error:
                raise GraindexError(f"{asset}.{result.check.name}: {result.error}")

    with warnings.catch_warnings():
        # Checks of single partitions are announced as a preview; without them a check of one
        # collection would overwrite the result of another.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        specs = [
            dg.AssetCheckSpec(
                check.name,
                asset=asset,
                description=f"{check.description} {check.advice}",
                blocking=check.blocking,
                partitions_def=DATASETS,
            )
            for check in checks
        ]
        decorate = dg.multi_asset_check(name=f"checks_of_{asset}", specs=specs, can_subset=True)
        return decorate(run)


CHECKS = [
    checks_of_asset(asset, [check for check in DECLARED if check.asset == asset])
    for asset in dict.fromkeys(check.asset for check in DECLARED)
]
