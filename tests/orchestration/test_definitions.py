"""What Dagster loads is complete, and loading it reads nothing."""

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from assets.models import MODELS
from assets.resources import DATASETS, LANCE_POOL
from graindex.trained.checks import MODEL_CHECKS
from orchestration.definitions import defs
from orchestration.jobs import CATALOG, CHECK, TRAIN
from orchestration.run import RUNNABLE
from schemas.arrow import describe
from schemas.fields import FIELDS
from schemas.tables import TABLES

REPOSITORY = Path(__file__).parents[2]
GROUPS = {
    "datasets": "catalogue",
    "samples": "catalogue",
    "micrographs": "catalogue",
    "image_quality": "quality",
    "micrograph_vectors": "embeddings",
    "particle_masks_2d": "particles",
    "particles_2d": "particles",
    "particle_annotations": "particles",
    "segmentation_scores": "particles",
    "volumes": "catalogue",
    "particle_labels_3d": "particles",
    "particles_3d": "particles",
    "contacts": "particles",
    "electrode_statistics": "particles",
    "phase_peaks": "particles",
    "conduction_maps": "particles",
    "detachment_groups": "particles",
    "image_faults": "quality",
    "near_duplicates": "quality",
    "label_issues": "quality",
    "confounders": "quality",
    "drift": "quality",
}
OF_MODELS = {"training_sets": "training_sets", "trained_models": "model_runs"}
"""Assets of one model each, and the table that each writes."""

OF_IMAGES = {
    "micrographs",
    "image_quality",
    "micrograph_vectors",
    "particle_masks_2d",
    "particles_2d",
    "particle_annotations",
    "segmentation_scores",
    "image_faults",
    "near_duplicates",
    "label_issues",
    "confounders",
    "drift",
}
OF_VOLUMES = {
    "volumes",
    "particle_labels_3d",
    "particles_3d",
    "contacts",
    "phase_peaks",
    "conduction_maps",
    "detachment_groups",
}
PHYSICAL = {
    ("particles_2d", "areas_are_pixels"),
    ("particles_2d", "discs_are_roundest"),
    ("volumes", "phases_sum_to_one"),
    ("particles_3d", "volumes_are_voxels"),
    ("particles_3d", "damage_in_range"),
    ("particles_3d", "spheres_are_roundest"),
    ("particles_3d", "packing_at_most_one"),
    ("contacts", "symmetric"),
    ("electrode_statistics", "ordered_percentiles"),
    ("electrode_statistics", "phases_sum_to_one"),
}
COMPLETE = {
    "image_quality",
    "micrograph_vectors",
    "particle_masks_2d",
    "particles_2d",
    "particle_labels_3d",
    "particles_3d",
}
BLOCKING = {
    *((name, "dictionary") for name in GROUPS),
    *((name, "complete") for name in COMPLETE),
    *PHYSICAL,
    ("micrographs", "nothing_lost"),
    ("volumes", "nothing_lost"),
    ("micrograph_vectors", "finite_unit_length"),
}
COUNTED = ("micrographs", "volumes", "particles_2d", "particles_3d")
WARNING = {
    *((name, "up_to_date") for name in GROUPS),
    *((name, "row_count") for name in COUNTED),
    *((name, "sources_agree") for name in ("micrographs", "volumes")),
    *((name, "no_quarantine") for name in ("micrographs", "volumes")),
    ("particle_annotations", "images_annotated"),
    ("particle_annotations", "annotations_of_images"),
    ("label_issues", "labels_agree"),
    ("label_issues", "labels_fit"),
    ("confounders", "not_confounded"),
    ("drift", "no_drift"),
    ("micrograph_vectors", "of_this_collection"),
    *(
        ("image_faults", check)
        for check in ("blurred", "saturated", "charging", "empty_or_foreign")
    ),
    *(
        ("micrographs", check)
        for check in (
            "no_databar_among_databars",
            "stale_calibration",
            "magnification_out_of_family",
            "acquisition_order",
            "wrong_sidecar",
        )
    ),
    ("near_duplicates", "repeated_fields"),
    ("near_duplicates", "duplicates_across_specimens"),
}

# Only libraries and this repository may be read; `sys.argv[1]` is the repository.
LOAD = """
import os, pwd, sys
allowed = (sys.prefix, sys.base_prefix, sys.argv[1])
forbidden = (pwd.getpwuid(os.getuid()).pw_dir, os.getcwd())
def watch(event, arguments):
    if event == "socket.connect":
        raise RuntimeError(f"connects to {arguments[1]}")
    if event == "open" and isinstance(arguments[0], str):
        path = os.path.abspath(arguments[0])
        if path.startswith(forbidden) and not path.startswith(allowed):
            raise RuntimeError(f"opens {path}")
sys.path.insert(0, sys.argv[1])
sys.addaudithook(watch)
from orchestration.definitions import defs
defs.resolve_all_job_defs()
print(len(list(defs.resolve_asset_graph().get_all_asset_keys())))
"""


def nodes() -> dict[str, object]:
    graph = defs.resolve_asset_graph()
    return {key.to_user_string(): graph.get(key) for key in graph.get_all_asset_keys()}


def test_definitions_load_without_environment_network_or_data(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", LOAD, str(REPOSITORY)],
        env={},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout.strip()) == (0, str(len(GROUPS) + len(OF_MODELS))), (
        done.stderr
    )
    assert list(tmp_path.iterdir()) == []


def test_every_asset_is_described() -> None:
    found = nodes()
    groups = GROUPS | dict.fromkeys(OF_MODELS, "models")
    assert {name: node.group_name for name, node in found.items()} == groups
    for name, node in found.items():
        assert len(node.kinds) >= 2, name
        assert node.owners, name
        assert node.description.endswith("."), name
        assert node.code_version, name
        assert node.partitions_def == (MODELS if name in OF_MODELS else DATASETS), name


@pytest.mark.parametrize("name", [*GROUPS, *OF_MODELS])
def test_every_asset_shows_the_columns_of_the_dictionary(name: str) -> None:
    schema = nodes()[name].metadata["dagster/column_schema"].value
    table = TABLES[OF_MODELS.get(name, name)]
    assert [column.name for column in schema.columns] == list(table.columns)
    for column in schema.columns:
        assert column.description == describe(column.name)
        unit = FIELDS[column.name].unit
        assert unit is None or column.description.endswith(f"[{unit}]")
        assert column.constraints.nullable == (column.name not in table.never_null)
        # Dagster cuts longer labels off.
        bounded = FIELDS[column.name].lower is not None
        assert not bounded or all(len(text) < 25 for text in column.constraints.other)


def test_checks_that_guard_downstream_work_block_it() -> None:
    found = {
        (spec.asset_key.to_user_string(), spec.name): spec.blocking
        for checks in defs.asset_checks or ()
        for spec in checks.check_specs
    }
    of_models = {("trained_models", check.name) for check in MODEL_CHECKS}
    assert {key for key, blocking in found.items() if blocking} == BLOCKING | of_models
    assert {key for key, blocking in found.items() if not blocking} == WARNING


def test_jobs_cover_what_each_kind_of_collection_fills() -> None:
    checks = BLOCKING | WARNING
    for kind, others in (("micrographs", OF_VOLUMES), ("volumes", OF_IMAGES)):
        job = defs.resolve_job_def(CATALOG[kind]).asset_layer
        names = {key.to_user_string() for key in job.executable_asset_keys}
        assert names == GROUPS.keys() - others
        found = {
            (key.asset_key.to_user_string(), key.name) for key in job.asset_graph.asset_check_keys
        }
        assert found == {(asset, name) for asset, name in checks if asset in names}
    train = RUNNABLE.resolve_job_def(TRAIN).asset_layer
    assert {key.to_user_string() for key in train.executable_asset_keys} == OF_MODELS.keys()
    assert len(train.asset_graph.asset_check_keys) == len(MODEL_CHECKS)
    check = RUNNABLE.resolve_job_def(CHECK).asset_layer
    assert len(check.asset_graph.asset_check_keys) == len(checks)
    assert not set(check.executable_asset_keys)


def test_writers_of_vectors_wait_for_each_other() -> None:
    pools = {name: defs.resolve_assets_def(dg.AssetKey(name)).op.pool for name in GROUPS}
    assert pools == dict.fromkeys(GROUPS) | {"micrograph_vectors": LANCE_POOL}
