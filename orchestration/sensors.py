"""The sensor that picks up new collections, and new, changed or removed files.

Out of scope: what a run then computes; unchanged images cost nothing.
"""

import json

import dagster as dg

from assets.resources import DATASETS, StoreResource
from graindex.annotation_sources import annotation_signature
from graindex.catalogue import dataset_input_hash
from graindex.errors import CollectionError
from graindex.scan import list_collection
from orchestration.instance import assign_free_slots
from orchestration.jobs import CATALOG, CATALOG_JOBS


@dg.sensor(
    jobs=CATALOG_JOBS,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Requests a run for each collection whose files or registration changed.",
)
def new_files(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult:
    """Compare each collection's listing and recipe with those of the last look."""
    assign_free_slots(context.instance)
    opened = store.open()
    before: dict[str, str] = json.loads(context.cursor or "{}")
    after: dict[str, str] = {}
    jobs: dict[str, str] = {}
    problems: list[str] = []
    for name in opened.datasets():
        try:
            recipe = opened.recipe(name)
            listing = list_collection(recipe.location_uri)
            annotations = annotation_signature(recipe.annotations)
        except CollectionError as error:
            problems.append(str(error))
            continue
        jobs[name] = CATALOG[recipe.kind]
        after[name] = dataset_input_hash(recipe, listing) + annotations
    changed = sorted(name for name in after if before.get(name) != after[name])
    partitions = set(context.instance.get_dynamic_partitions(str(DATASETS.name)))
    new = [name for name in changed if name not in partitions]
    for problem in problems:
        context.log.warning(problem)
    return dg.SensorResult(
        # No run key: a folder that goes back to an earlier state must be looked at again.
        run_requests=[dg.RunRequest(partition_key=name, job_name=jobs[name]) for name in changed],
        dynamic_partitions_requests=[DATASETS.build_add_request(new)] if new else [],
        cursor=json.dumps(after),
        skip_reason=None if changed else "; ".join(problems) or "no file changed",
    )
