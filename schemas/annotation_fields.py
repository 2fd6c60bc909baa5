"""Columns of annotated images: where people have drawn the particles.

Out of scope: particles that a method found (`schemas.particle_fields`).
"""

from schemas.field import HEX_SHA256, count, text

ANNOTATION_FIELDS = (
    text(
        "annotation",
        "Path of a label image below its folder, or the image's name in a JSON file.",
    ),
    text("annotation_uri", "File in which the particles of the image were annotated."),
    text(
        "annotation_format",
        "How they were annotated.",
        values=("label_image", "coco", "via"),
    ),
    text("annotation_hash", "SHA-256 of the annotation file's bytes.", pattern=HEX_SHA256),
    text("annotation_classes", "JSON object of the labels of each class."),
    count("overlap_px", "Pixels that several annotations claimed; the smallest has them.", "px"),
)
