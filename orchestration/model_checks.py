"""Asset checks of trained models, one partition a model.

Out of scope: what they look for (`graindex.trained.checks`), checks of collections
(`orchestration.checks`).
"""

import warnings
from collections.abc import Iterator

import dagster as dg

from assets.models import MODELS, trained_models
from assets.resources import StoreResource
from graindex.trained.checks import MODEL_CHECKS

with warnings.catch_warnings():
    # Checks of single partitions are announced as a preview.
    warnings.simplefilter("ignore", dg.PreviewWarning)
    _SPECS = [
        dg.AssetCheckSpec(
            check.name,
            asset=trained_models,
            description=f"{check.description} {check.advice}",
            blocking=True,
            partitions_def=MODELS,
        )
        for check in MODEL_CHECKS
    ]


@dg.multi_asset_check(name="checks_of_trained_models", specs=_SPECS, can_subset=True)
def model_checks(
    context: dg.AssetCheckExecutionContext, store: StoreResource
) -> Iterator[dg.AssetCheckResult]:
    """How the checks of one model ended."""
    opened = store.open()
    asked = {key.name for key in context.selected_asset_check_keys}
    for check in MODEL_CHECKS:
        if check.name not in asked:
            continue
        problems = check.body(opened, context.partition_key)
        yield dg.AssetCheckResult(
            passed=not problems,
            asset_key=trained_models.key,
            check_name=check.name,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={
                "failing": dg.MetadataValue.int(sum(problem.count for problem in problems)),
                "problems": dg.MetadataValue.json([problem.as_json() for problem in problems]),
                "advice": dg.MetadataValue.text(check.advice),
            },
        )
