"""Columns of segmentations compared with annotated images.

Out of scope: metrics of trained models (`schemas.model_fields`).
"""

from schemas.field import HEX_ID, Field, Kind, count, number, text

_JIANG = "Jiang et al., Nat. Commun. 11, 2310 (2020), Supplementary Note 1"

SCORE_FIELDS = (
    text("score_id", "Key of image and segmentation.", pattern=HEX_ID),
    text(
        "segmentation",
        "What found the particles: method and network; collection: where the collection's own "
        "options differ from the defaults.",
    ),
    Field("of_collection", Kind.BOOLEAN, "Whether these are the masks of the collection."),
    text(
        "learned_side",
        "What the image was to the training of the network; null where it took no part.",
        values=("train", "test", "cross-validation"),
    ),
    count("true_particles", "Annotated particles."),
    count("predicted_particles", "Particles found."),
    count(
        "true_positives_50",
        "Annotated particles that were found at an overlap over union of 0.5 or more.",
    ),
    count(
        "false_positives_50",
        "Particles found that match none at an overlap over union of 0.5 or more.",
    ),
    count(
        "false_negatives_50",
        "Annotated particles that were not found at an overlap over union of 0.5 or more.",
    ),
    number(
        "f1_50",
        "1",
        "F1 of the particles at an overlap over union of 0.5 or more.",
        lower=0,
        upper=1,
    ),
    number(
        "mean_matched_iou_50",
        "1",
        "Mean overlap over union of pairs that match at an overlap over union of 0.5 or more; "
        "null without any.",
        lower=0,
        upper=1,
    ),
    count(
        "true_positives_75",
        "Annotated particles that were found at an overlap over union of 0.75 or more.",
    ),
    count(
        "false_positives_75",
        "Particles found that match none at an overlap over union of 0.75 or more.",
    ),
    count(
        "false_negatives_75",
        "Annotated particles that were not found at an overlap over union of 0.75 or more.",
    ),
    number(
        "f1_75",
        "1",
        "F1 of the particles at an overlap over union of 0.75 or more.",
        lower=0,
        upper=1,
    ),
    number(
        "mean_matched_iou_75",
        "1",
        "Mean overlap over union of pairs that match at an overlap over union of 0.75 or more; "
        "null without any.",
        lower=0,
        upper=1,
    ),
    number(
        "average_precision",
        "1",
        "Mean over overlaps of 0.5, 0.55 … 0.95 of TP / (TP + FP + FN).",
        lower=0,
        upper=1,
    ),
    number(
        "pixel_precision",
        "1",
        "Share of the pixels found that are of particles.",
        lower=0,
        upper=1,
        source=_JIANG,
    ),
    number(
        "pixel_sensitivity",
        "1",
        "Share of the pixels of particles that were found.",
        lower=0,
        upper=1,
        source=_JIANG,
    ),
    number(
        "pixel_jaccard",
        "1",
        "Pixels that both have over those that either has.",
        lower=0,
        upper=1,
        source=_JIANG,
    ),
    number(
        "pixel_dice",
        "1",
        "Twice the pixels that both have over the sum of those of each.",
        lower=0,
        upper=1,
        source=_JIANG,
    ),
    number(
        "pixel_f_measure",
        "1",
        "Harmonic mean of precision and sensitivity by pixel.",
        lower=0,
        upper=1,
        source=_JIANG,
    ),
    number(
        "pixel_matthews",
        "1",
        "Correlation of found and annotated pixels.",
        lower=-1,
        upper=1,
        source=_JIANG,
    ),
    number("d50_true_px", "px", "Median equivalent diameter of annotated particles.", lower=0),
    number("d50_predicted_px", "px", "Median equivalent diameter of particles found.", lower=0),
    number(
        "d50_error",
        "1",
        "Relative error of the median diameter; −1 where nothing was found.",
        lower=-1,
        formula="d50_predicted_px / d50_true_px − 1",
    ),
)
