"""Tables of annotated images: label images that people drew, and segmentations beside them.

Out of scope: particles that a method found (`schemas.particle_tables`).
"""

from schemas.score_fields import SCORE_FIELDS
from schemas.table import Table, in_collection

_DRAWN = ("mask", "particle_count", "particle_fraction", "annotation_classes", "overlap_px")
_SCORED = tuple(
    field.name
    for field in SCORE_FIELDS
    if field.name not in ("score_id", "segmentation", "of_collection", "learned_side")
)
_FRAME = ("micrographs.height_px", "micrographs.width_px")
_CONTENT = tuple(
    f"micrographs.{name}"
    for name in (
        "content_hash", "page", "bits_used",
        "content_x0_px", "content_y0_px", "content_x1_px", "content_y1_px",
    )
)  # fmt: skip

ANNOTATION_TABLES = (
    Table(
        "particle_annotations",
        "image whose particles somebody annotated",
        (
            "dataset",
            "micrograph_id",
            "annotation",
            "annotation_uri",
            "annotation_format",
            "annotation_hash",
            "file_size_bytes",
            "file_modified_at",
            *_DRAWN,
            "overlay",
            "input_hash",
            "code_version",
        ),
        key=("dataset", "micrograph_id"),
        required=(
            "annotation",
            "annotation_uri",
            "annotation_format",
            "annotation_hash",
            "file_size_bytes",
            *_DRAWN,
            "overlay",
            "input_hash",
            "code_version",
        ),
        lineage={
            "dataset": ("micrographs.dataset",),
            "micrograph_id": ("micrographs.micrograph_id",),
            **dict.fromkeys(_DRAWN, _FRAME),
            "overlay": _CONTENT,
        },
        references=(in_collection("micrograph_id", "micrographs"),),
    ),
    Table(
        "annotation_findings",
        "thing about an annotation that a person should know",
        (
            "dataset",
            "annotation",
            "finding",
            "detail",
            "micrograph_id",
            "input_hash",
            "code_version",
        ),
        key=("dataset", "annotation", "finding", "detail"),
        required=("code_version",),
        references=(in_collection("micrograph_id", "micrographs"),),
    ),
    Table(
        "segmentation_scores",
        "annotated image and segmentation of it: how well they agree",
        (
            "dataset",
            "micrograph_id",
            "score_id",
            "segmentation",
            "segmentation_method",
            "segmentation_settings",
            "of_collection",
            "learned_side",
            *_SCORED,
            "overlay",
            "input_hash",
            "code_version",
        ),
        key=("dataset", "micrograph_id", "segmentation"),
        required=(
            "score_id",
            "segmentation_method",
            "segmentation_settings",
            "of_collection",
            "true_particles",
            "predicted_particles",
            "overlay",
            "input_hash",
            "code_version",
        ),
        lineage={
            "dataset": ("micrographs.dataset",),
            "micrograph_id": ("particle_annotations.micrograph_id",),
            **dict.fromkeys(_SCORED, (*_CONTENT, "particle_annotations.mask")),
            "overlay": (*_CONTENT, "particle_annotations.mask"),
        },
        references=(in_collection("micrograph_id", "particle_annotations"),),
    ),
)
