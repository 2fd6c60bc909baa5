"""Tables of particles: where they are, what was measured of them, and statistics over them.

Out of scope: single files without a store (`schemas.measured`).
"""

from schemas.particle_columns import (
    PARTICLES_2D,
    PARTICLES_3D,
    REQUIRED_2D,
    REQUIRED_3D,
    STATISTICS,
)
from schemas.table import Table, in_collection

_FOUND = (
    "segmentation_method",
    "segmentation_source",
    "segmentation_settings",
    "particle_count",
    "particle_fraction",
    "overlay",
    "input_hash",
    "code_version",
)
_PIXELS = tuple(
    f"micrographs.{name}"
    for name in (
        "content_hash", "page", "bits_used",
        "content_x0_px", "content_y0_px", "content_x1_px", "content_y1_px",
    )
)  # fmt: skip
_VOXELS = ("volumes.grey_hash", "volumes.phases_hash", "volumes.labels_hash")
_SPACING = tuple(f"volumes.voxel_size_{axis}_um" for axis in "zyx")
_GREY = frozenset(
    {"electron_density_mean", "electron_density_mean_body", "electron_density_std", "homogeneity",
     "grey_not_finite_voxels"}
)  # fmt: skip
_BINDER = frozenset({"detachment", "conduction_path_mean_um", "conduction_path_max_um"})
_LABELS_3D = "particle_labels_3d.label_volume"


def _sources_2d(name: str) -> tuple[str, ...]:
    if name.endswith(("_um", "_um2")):
        return ("particle_masks_2d.mask", "micrographs.pixel_size_um")
    if name.startswith("brightness"):
        return ("particle_masks_2d.mask", *_PIXELS)
    return ("particle_masks_2d.mask",)


def _sources_3d(name: str) -> tuple[str, ...]:
    if name in {"label", "voxels", "touches_border", "neighbours", "segmentation_confidence"}:
        return (_LABELS_3D,)
    if name in _GREY:
        return (_LABELS_3D, "volumes.grey_hash")
    if name in _BINDER:
        return (_LABELS_3D, "volumes.phases_hash", *_SPACING)
    return (_LABELS_3D, *_SPACING)


PARTICLE_TABLES = (
    Table(
        "particle_masks_2d",
        "image with its particles labelled",
        ("dataset", "micrograph_id", "mask", *_FOUND),
        key=("dataset", "micrograph_id"),
        required=("mask", *_FOUND),
        lineage={
            "dataset": ("micrographs.dataset",),
            "micrograph_id": ("micrographs.micrograph_id",),
            **dict.fromkeys(
                ("mask", "particle_count", "particle_fraction", "overlay"),
                (*_PIXELS, "datasets.segmentation_settings"),
            ),
        },
        references=(in_collection("micrograph_id", "micrographs"),),
    ),
    Table(
        "particle_labels_3d",
        "volume with its particles labelled",
        ("dataset", "volume_id", "label_volume", *_FOUND),
        key=("dataset", "volume_id"),
        required=("label_volume", *_FOUND),
        lineage={
            "dataset": ("volumes.dataset",),
            "volume_id": ("volumes.volume_id",),
            **dict.fromkeys(
                ("label_volume", "particle_count", "particle_fraction", "overlay"),
                (*_VOXELS, "datasets.segmentation_settings"),
            ),
        },
        references=(in_collection("volume_id", "volumes"),),
    ),
    Table(
        "particles_2d",
        "particle in an image",
        (
            "dataset",
            "micrograph_id",
            "particle_id",
            *PARTICLES_2D,
            "input_hash",
            "code_version",
        ),
        key=("dataset", "particle_id"),
        required=("micrograph_id", "label", *REQUIRED_2D, "input_hash", "code_version"),
        lineage={
            "dataset": ("particle_masks_2d.dataset",),
            "micrograph_id": ("particle_masks_2d.micrograph_id",),
            **{name: _sources_2d(name) for name in ("particle_id", *PARTICLES_2D)},
        },
        references=(in_collection("micrograph_id", "particle_masks_2d"),),
    ),
    Table(
        "particles_3d",
        "particle in a volume",
        (
            "dataset",
            "volume_id",
            "particle_id",
            *PARTICLES_3D,
            "calibration_um",
            "input_hash",
            "code_version",
        ),
        key=("dataset", "particle_id"),
        required=("volume_id", "label", *REQUIRED_3D, "input_hash", "code_version"),
        lineage={
            "dataset": ("particle_labels_3d.dataset",),
            "volume_id": ("particle_labels_3d.volume_id",),
            "particle_id": (_LABELS_3D,),
            **{name: _sources_3d(name) for name in PARTICLES_3D},
            "calibration_um": ("volumes.voxel_size_z_um",),
        },
        references=(in_collection("volume_id", "particle_labels_3d"),),
    ),
    Table(
        "contacts",
        "pair of touching particles",
        (
            "dataset",
            "volume_id",
            "label_a",
            "label_b",
            "particle_a_id",
            "particle_b_id",
            "contact_area_um2",
            "input_hash",
            "code_version",
        ),
        key=("dataset", "volume_id", "label_a", "label_b"),
        required=(
            "particle_a_id",
            "particle_b_id",
            "contact_area_um2",
            "input_hash",
            "code_version",
        ),
        lineage={
            "dataset": ("particle_labels_3d.dataset",),
            "volume_id": ("particle_labels_3d.volume_id",),
            **dict.fromkeys(
                ("label_a", "label_b", "particle_a_id", "particle_b_id"), (_LABELS_3D,)
            ),
            "contact_area_um2": (_LABELS_3D, *_SPACING),
        },
        references=(
            in_collection("volume_id", "particle_labels_3d"),
            in_collection("particle_a_id", "particles_3d", "particle_id"),
            in_collection("particle_b_id", "particles_3d", "particle_id"),
        ),
    ),
    Table(
        "electrode_statistics",
        "statistic of a volume, a specimen or a collection, of all particles or of a class",
        (
            "dataset",
            "entity",
            "entity_id",
            "statistic",
            "bin",
            *STATISTICS[1:],
            "input_hash",
            "code_version",
        ),
        key=("dataset", "entity_id", "statistic", "bin"),
        required=("entity", "unit", "count", "input_hash", "code_version"),
        lineage={
            "dataset": ("datasets.dataset",),
            "entity_id": ("volumes.volume_id", "samples.sample_id"),
            "value": (
                "particles_3d.equivalent_diameter_um",
                "particles_3d.volume_um3",
                "particles_3d.damage",
                "particles_3d.detachment",
                "particles_3d.depth_fraction",
                "particles_3d.touches_border",
                "volumes.phases_hash",
                "particles_2d.equivalent_diameter_um",
                "particles_2d.touches_border",
            ),
        },
        references=(
            in_collection("entity_id", "volumes", "volume_id", when=("entity", "volume")),
            in_collection("entity_id", "samples", "sample_id", when=("entity", "specimen")),
        ),
    ),
)
