"""Asset checks: suites from the dictionary, completeness, and what a person should look at.

Out of scope: what the suites say (`schemas.expectations`) and how they run
(`graindex.validation`).
"""

import warnings
from collections.abc import Callable, Sequence

import dagster as dg

from assets.resources import DATASETS, StoreResource
from graindex import checks, particle_checks
from graindex.checks import Problem, suite_problems
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


# Asset, name, what looks for problems, what should hold; those that guard downstream work block.
_BLOCKING: tuple[tuple[str, str, Body, str], ...] = (
    (
        "micrographs",
        "nothing_lost",
        checks.unaccounted_files,
        "Every file named like an image is catalogued or in quarantine with a reason.",
    ),
    (
        "image_quality",
        "complete",
        checks.missing_quality,
        "Every catalogued image has its quality figures.",
    ),
    (
        "micrograph_vectors",
        "complete",
        checks.missing_vectors,
        "Every catalogued image has a vector of the configured encoder.",
    ),
    (
        "micrograph_vectors",
        "finite_unit_length",
        checks.unlike_vectors,
        "Every vector is finite and of length 1.",
    ),
    (
        "particle_masks_2d",
        "complete",
        particle_checks.missing_masks,
        "Every catalogued image has its particles labelled.",
    ),
    (
        "particles_2d",
        "complete",
        particle_checks.missing_particles_2d,
        "Every particle of every mask has a row.",
    ),
    (
        "particles_2d",
        "areas_are_pixels",
        particle_checks.image_areas_are_pixels,
        "Areas are pixels times the pixel's area, and diameters follow.",
    ),
    (
        "particles_2d",
        "discs_are_roundest",
        particle_checks.circles_are_roundest,
        "No circularity is above 1 by more than its estimator may be off.",
    ),
    (
        "volumes",
        "nothing_lost",
        checks.unaccounted_files,
        "Every volume of the collection is catalogued or in quarantine with a reason.",
    ),
    (
        "volumes",
        "phases_sum_to_one",
        particle_checks.phases_sum_to_one,
        "The phases of a volume fill it, no more and no less.",
    ),
    (
        "particle_labels_3d",
        "complete",
        particle_checks.missing_labels,
        "Every catalogued volume has its particles labelled.",
    ),
    (
        "particles_3d",
        "complete",
        particle_checks.missing_particles_3d,
        "Every particle of every label volume has a row.",
    ),
    (
        "particles_3d",
        "volumes_are_voxels",
        particle_checks.volumes_are_voxels,
        "Volumes are voxels times the voxel's volume, and filled is body and cracks.",
    ),
    (
        "particles_3d",
        "damage_in_range",
        particle_checks.damage_in_range,
        "Damage is at least 0 and below 1.",
    ),
    (
        "particles_3d",
        "spheres_are_roundest",
        particle_checks.spheres_are_roundest,
        "No sphericity is above 1 by more than its estimator may be off.",
    ),
    (
        "particles_3d",
        "packing_at_most_one",
        particle_checks.packing_at_most_one,
        "No more than all of the surroundings is particles.",
    ),
    (
        "contacts",
        "symmetric",
        particle_checks.contacts_symmetric,
        "Each pair stands once, both ends are particles, and no contact exceeds their surface.",
    ),
    (
        "electrode_statistics",
        "ordered_percentiles",
        particle_checks.ordered_percentiles,
        "D10 is at most D50, and D50 at most D90.",
    ),
    (
        "electrode_statistics",
        "phases_sum_to_one",
        particle_checks.statistic_phases_sum_to_one,
        "Phase fractions of a volume sum to 1.",
    ),
)

_WARNING: tuple[tuple[str, str, Body, str], ...] = (
    (
        "micrographs",
        "sources_agree",
        checks.disagreements,
        "Tags, sidecar, scale bar and user agree on pixel size and acquisition.",
    ),
    ("micrographs", "no_quarantine", checks.quarantined, "No input was refused."),
    (
        "volumes",
        "sources_agree",
        particle_checks.volume_disagreements,
        "Files and user agree on the voxel size.",
    ),
    ("volumes", "no_quarantine", checks.quarantined, "No input was refused."),
)

CHECKS = [
    *(_suite(table) for table in LAKE_ASSETS),
    *(_check(*told, blocking=True) for told in _BLOCKING),
    *(_check(*told, blocking=False) for told in _WARNING),
]
