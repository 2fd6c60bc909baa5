"""Tables of annotated images: label images that people drew, and what could not be used.

Out of scope: particles that a method found (`schemas.particle_tables`).
"""

from schemas.table import Table, in_collection

_DRAWN = ("mask", "particle_count", "particle_fraction", "annotation_classes", "overlap_px")
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
)
