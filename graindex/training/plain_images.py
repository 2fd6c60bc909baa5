"""Images as a training set of networks that look at nothing else.

Out of scope: networks (`graindex.trained.over_images`), annotated images (`.annotated`).
"""

from graindex.features.definition import ColumnFeatures, FeatureSet

PLAIN_IMAGES = "plain_images"
"""Name of the feature set."""

FEATURES = FeatureSet(
    name=PLAIN_IMAGES,
    entity="micrograph",
    description="Images for networks that look at the pixels, with their mean and contrast.",
    features=(
        ColumnFeatures(columns=("image_quality.brightness_mean", "image_quality.contrast_std")),
    ),
)
"""How bright and how contrasted each image is; a network takes the image itself."""
