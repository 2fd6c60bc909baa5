"""Annotated images as a training set: what is seen is the image, its label a label image.

Out of scope: annotations themselves (`graindex.annotations`), networks (`graindex.trained`).
"""

from graindex.features.definition import ColumnFeatures, FeatureSet

ANNOTATED_IMAGES = "annotated_images"
"""Name of the feature set."""

ANNOTATIONS = "particle_annotations"
"""Table of annotated images, and name of the label: content address of the label image."""

FEATURES = FeatureSet(
    name=ANNOTATED_IMAGES,
    entity="micrograph",
    description="Images whose particles somebody annotated, for networks that find particles.",
    features=(
        ColumnFeatures(
            columns=(f"{ANNOTATIONS}.particle_count", f"{ANNOTATIONS}.particle_fraction")
        ),
    ),
)
"""How much was drawn in each image; a network takes the image itself."""
