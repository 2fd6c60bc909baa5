"""Tables of collections and images, and the list of all tables of a store.

Out of scope: what a column means, which is `schemas.fields`.
"""

from schemas.annotation_tables import ANNOTATION_TABLES
from schemas.detachment_tables import DETACHMENT_TABLES
from schemas.feature_tables import FEATURE_TABLES
from schemas.history_tables import HISTORY_TABLES
from schemas.model_tables import MODEL_TABLES
from schemas.particle_tables import PARTICLE_TABLES
from schemas.quality_tables import QUALITY_TABLES
from schemas.table import Table, by_name, in_collection
from schemas.volume_tables import VOLUME_TABLES

_CONTENT = tuple(
    f"micrographs.{name}"
    for name in (
        "content_hash",
        "bits_used",
        "content_x0_px",
        "content_y0_px",
        "content_x1_px",
        "content_y1_px",
    )
)
_QUALITY_COLUMNS = (
    "brightness_mean",
    "contrast_std",
    "sharpness_laplacian",
    "sharpness_tenengrad",
    "noise_std",
    "saturation_fraction_low",
    "saturation_fraction_high",
    "entropy_bits",
)
_SAME_MICROGRAPH = {
    "dataset": ("micrographs.dataset",),
    "micrograph_id": ("micrographs.micrograph_id",),
}

_ALL = (
    Table(
        "datasets",
        "collection",
        (
            "dataset",
            "kind",
            "location_uri",
            "label_pattern",
            "samples_uri",
            "declared_pixel_size_um",
            "declared_voxel_size_z_um",
            "declared_voxel_size_y_um",
            "declared_voxel_size_x_um",
            "segmentation_settings",
            "measurement_settings",
            "description",
            "source",
            "licence",
            "citation",
            "file_count",
            "registered_at",
            "input_hash",
            "code_version",
        ),
        key=("dataset",),
        required=("kind", "location_uri", "file_count", "registered_at", "code_version"),
    ),
    Table(
        "samples",
        "specimen",
        (
            "dataset",
            "sample_id",
            "sample",
            "material",
            "composition",
            "state",
            "input_hash",
            "code_version",
        ),
        key=("dataset", "sample_id"),
        required=("sample", "code_version"),
        lineage={"dataset": ("datasets.dataset",), "sample": ("datasets.label_pattern",)},
        references=(by_name("datasets", "dataset"),),
        is_open=True,
    ),
    Table(
        "micrographs",
        "image",
        (
            "dataset",
            "micrograph_id",
            "sample_id",
            "path",
            "uri",
            "page",
            "content_hash",
            "file_size_bytes",
            "file_modified_at",
            "sidecar_uri",
            "file_format",
            "modality",
            "colour_mode",
            "width_px",
            "height_px",
            "bit_depth",
            "bits_used",
            "nonfinite_pixels",
            "content_x0_px",
            "content_y0_px",
            "content_x1_px",
            "content_y1_px",
            "pixel_size_um",
            "pixel_size_uncertainty_um",
            "pixel_size_source",
            "magnification",
            "accelerating_voltage_kv",
            "working_distance_mm",
            "acquired_at",
            "instrument",
            "detector",
            "thumbnail",
            "input_hash",
            "code_version",
        ),
        key=("dataset", "micrograph_id"),
        required=(
            "path",
            "uri",
            "page",
            "content_hash",
            "file_size_bytes",
            "file_format",
            "modality",
            "width_px",
            "height_px",
            "bit_depth",
            "bits_used",
            "content_x0_px",
            "content_y0_px",
            "content_x1_px",
            "content_y1_px",
            "thumbnail",
            "input_hash",
            "code_version",
        ),
        lineage={
            "dataset": ("datasets.dataset",),
            "sample_id": ("samples.sample_id", "datasets.label_pattern"),
            "uri": ("datasets.location_uri",),
            "pixel_size_um": ("datasets.declared_pixel_size_um",),
        },
        references=(
            by_name("datasets", "dataset"),
            in_collection("sample_id", "samples"),
        ),
    ),
    Table(
        "acquisition_readings",
        "quantity as one source states it for one image",
        (
            "dataset",
            "micrograph_id",
            "quantity",
            "reading_source",
            "value_number",
            "value_text",
            "value_time",
            "uncertainty",
            "confidence",
            "used",
            "detail",
        ),
        key=("dataset", "micrograph_id", "quantity", "reading_source", "detail"),
        required=("used",),
        references=(in_collection("micrograph_id", "micrographs"),),
    ),
    Table(
        "findings",
        "thing about an image that a person should know",
        ("dataset", "micrograph_id", "finding", "detail"),
        key=("dataset", "micrograph_id", "finding", "detail"),
        references=(in_collection("micrograph_id", "micrographs"),),
    ),
    Table(
        "quarantine",
        "refused input",
        (
            "dataset",
            "path",
            "uri",
            "reason",
            "content_hash",
            "file_size_bytes",
            "file_modified_at",
            "input_hash",
            "code_version",
        ),
        key=("dataset", "path"),
        required=("uri", "reason", "code_version"),
    ),
    Table(
        "image_quality",
        "image",
        ("dataset", "micrograph_id", *_QUALITY_COLUMNS, "input_hash", "code_version"),
        key=("dataset", "micrograph_id"),
        required=(*_QUALITY_COLUMNS, "input_hash", "code_version"),
        lineage={**_SAME_MICROGRAPH, **dict.fromkeys(_QUALITY_COLUMNS, _CONTENT)},
        references=(in_collection("micrograph_id", "micrographs"),),
    ),
    Table(
        "micrograph_vectors",
        "image and encoder",
        (
            "micrograph_id",
            "dataset",
            "encoder_id",
            "vector",
            "vector_norm",
            "input_hash",
            "code_version",
        ),
        key=("micrograph_id",),
        required=("dataset", "encoder_id", "vector", "vector_norm", "input_hash", "code_version"),
        lineage={
            **_SAME_MICROGRAPH,
            "vector": _CONTENT,
            "vector_norm": _CONTENT,
        },
        references=(in_collection("micrograph_id", "micrographs"),),
        in_lance=True,
    ),
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        *_ALL,
        *VOLUME_TABLES,
        *PARTICLE_TABLES,
        *DETACHMENT_TABLES,
        *ANNOTATION_TABLES,
        *FEATURE_TABLES,
        *MODEL_TABLES,
        *QUALITY_TABLES,
        *HISTORY_TABLES,
    )
}

# Tables that are assets of their own; the others are written along with one of these.
LAKE_ASSETS = (
    "datasets",
    "samples",
    "micrographs",
    "image_quality",
    "volumes",
    "particle_masks_2d",
    "particle_annotations",
    "segmentation_scores",
    "particle_labels_3d",
    "particles_2d",
    "particles_3d",
    "contacts",
    "electrode_statistics",
    "phase_peaks",
    "conduction_maps",
    "detachment_groups",
    "image_faults",
    "near_duplicates",
    "label_issues",
    "confounders",
    "drift",
)

COMPANIONS: dict[str, tuple[str, ...]] = {
    "samples": ("labels",),
    "micrographs": ("acquisition_readings", "findings", "quarantine"),
    "micrograph_vectors": ("vector_index",),
    "phase_peaks": ("phase_histograms",),
    "detachment_groups": ("detachment_comparisons", "detachment_correlations"),
    "near_duplicates": ("compared_images",),
    "particle_annotations": ("annotation_findings",),
    "volumes": ("volume_phases", "volume_findings", "quarantine"),
}
"""Tables of a collection that are written, and checked, along with an asset."""
