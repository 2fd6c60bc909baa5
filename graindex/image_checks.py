"""Images that are unlike their own kind: blurred, saturated, charged, empty or foreign.

Each is compared with the images of its collection of the same modality and magnification, where
there are a dozen of them, else of the same modality, by median and median absolute deviation.
Out of scope: what is said about the images (`graindex.acquisition_checks`,
`graindex.duplicate_checks`) and labels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from graindex import acquisition_checks, duplicate_checks
from graindex.candidates import comparable_images
from graindex.check_rows import numbers, problem
from graindex.checking import Check, Problem
from graindex.ducklake import CATALOG
from graindex.store import Store
from models.measure.robust import Floats, kinds, robust_scores
from models.measure.vector_distance import nearest_distance

TOO_FAR = 4.0
"""Robust standard deviations; beyond it lie 3 in 100,000 values of a normal distribution."""

STREAKS_TOO_FAR = 5.0
LEAST_LOG_SPREAD = 0.1
"""Figures of images that are all alike may still differ by 40 % before they count as far."""

SATURATED, LEAST_ROOT_SPREAD = 0.01, 0.02
CLIPPED = 0.15
"""Share of an image at grey 0 or 255 that is too much whatever the other images are like."""

STREAKED, LEAST_STREAK_SPREAD = 0.002, 0.001
MAGNIFICATION_STEP = 1.1
NEIGHBOURS = 5
"""Up to as many foreign images of one kind are not hidden by being each other's neighbours."""


@dataclass(frozen=True)
class _Family:
    """Rows of a collection's images and the number of each one's kind."""

    rows: pa.Table
    kind: npt.NDArray[np.int64]

    @property
    def ids(self) -> list[str]:
        """`micrograph_id` of each."""
        return list(self.rows["micrograph_id"].to_pylist())

    def scores(self, values: Floats, least_spread: float) -> Floats:
        """Robust scores of a figure within the kinds."""
        return robust_scores(values, self.kind, least_spread)[0]


def blurred(store: Store, dataset: str) -> Sequence[Problem]:
    """Images with less fine detail than their kind, by either of two measures."""
    family = _family(store, dataset)
    fine = _log(numbers(family.rows, "fine_detail_ratio"))
    sharpness = numbers(family.rows, "sharpness_laplacian")
    gradient = numbers(family.rows, "sharpness_tenengrad")
    ratio = _log(np.divide(sharpness, gradient, where=gradient > 0, out=np.full_like(fine, np.nan)))
    scores = np.fmin(family.scores(fine, LEAST_LOG_SPREAD), family.scores(ratio, LEAST_LOG_SPREAD))
    return _far(family.ids, -scores, TOO_FAR, "as much fine detail as its kind", "less fine detail")


def saturated(store: Store, dataset: str) -> Sequence[Problem]:
    """Images of which more lies at grey 0 or at grey 255 than of their kind."""
    family = _family(store, dataset)
    problems: list[Problem] = []
    for column, grey in (("saturation_fraction_low", 0), ("saturation_fraction_high", 255)):
        share = numbers(family.rows, column)
        scores = family.scores(np.sqrt(share), LEAST_ROOT_SPREAD)
        wrong = ((share >= SATURATED) & (scores > TOO_FAR)) | (share >= CLIPPED)
        problems += problem(
            f"no more at grey {grey} than its kind",
            (
                (family.ids[place], f"{100 * share[place]:.1f} % of the pixels")
                for place in np.flatnonzero(wrong)
            ),
        )
    return problems


def charging(store: Store, dataset: str) -> Sequence[Problem]:
    """Images with streaks along the scan lines that their kind does not have."""
    family = _family(store, dataset)
    rows = numbers(family.rows, "streak_fraction_rows")
    excess = rows - numbers(family.rows, "streak_fraction_columns")
    scores = np.where(rows >= STREAKED, family.scores(excess, LEAST_STREAK_SPREAD), np.nan)
    rule = "no more streaks along rows than its kind"
    return _far(family.ids, scores, STREAKS_TOO_FAR, rule, "more streaks along rows")


def empty_or_foreign(store: Store, dataset: str) -> Sequence[Problem]:
    """Images that show nothing, or by their vectors something unlike the rest of their collection.

    What resembles another collection more than its own is `graindex.foreign_images`.
    """
    family = _family(store, dataset)
    structure = family.scores(_log(numbers(family.rows, "structure_std")), LEAST_LOG_SPREAD)
    images = comparable_images(store, dataset)
    itself = np.arange(len(images.rows))
    apart = nearest_distance(images.vectors, images.vectors, NEIGHBOURS, itself)
    scores, _ = robust_scores(_log(apart), np.zeros(len(apart), np.int64), LEAST_LOG_SPREAD)
    return [
        *_far(family.ids, -structure, TOO_FAR, "as much structure as its kind", "less structure"),
        *_far(images.ids, scores, TOO_FAR, "looks like its collection", "unlike the others"),
    ]


def _family(store: Store, dataset: str) -> _Family:
    rows = store.lake.query(
        f"""
        SELECT m.micrograph_id, m.modality, m.magnification, q.sharpness_laplacian,
               q.sharpness_tenengrad, q.saturation_fraction_low, q.saturation_fraction_high,
               f.fine_detail_ratio, f.structure_std, f.streak_fraction_rows,
               f.streak_fraction_columns
        FROM {CATALOG}.micrographs m
        LEFT JOIN {CATALOG}.image_quality q USING (dataset, micrograph_id)
        LEFT JOIN {CATALOG}.image_faults f USING (dataset, micrograph_id)
        WHERE m.dataset = ? ORDER BY m.micrograph_id
        """,
        [dataset],
    )
    modality = rows["modality"].to_pylist()
    steps = [_step(magnification) for magnification in rows["magnification"].to_pylist()]
    return _Family(rows, kinds(list(zip(modality, steps, strict=True)), modality))


def _step(magnification: float | None) -> int | None:
    """Magnifications that share a step of 10 % are one."""
    if magnification is None:
        return None
    return round(math.log(magnification) / math.log(MAGNIFICATION_STEP))


def _log(values: Floats) -> Floats:
    """Natural logarithm; of what is not above a millionth, that of a millionth."""
    return np.asarray(np.log(np.maximum(values, 1e-6)), np.float64)


def _far(ids: Sequence[str], scores: Floats, bound: float, rule: str, what: str) -> list[Problem]:
    """The rule with the images whose score is above the bound, the farthest first."""
    places = np.flatnonzero(scores > bound)
    ordered = places[np.argsort(-scores[places], kind="stable")]
    return problem(rule, ((ids[at], f"{what}, by {scores[at]:.1f} spreads") for at in ordered))


_LOOK = (
    "Look at the image; take it out of the collection, or out of training by its id, if it is so."
)

IMAGE_FAULT_CHECKS = (
    Check(
        "image_faults",
        "blurred",
        blurred,
        "Every image has as much fine detail as others of its kind.",
        _LOOK,
    ),
    Check(
        "image_faults",
        "saturated",
        saturated,
        "No image is clipped at black or white more than others of its kind.",
        "Take the image again with less contrast; clipped grey values are lost.",
    ),
    Check(
        "image_faults",
        "charging",
        charging,
        "No image has streaks along its scan lines that others of its kind do not have.",
        _LOOK,
    ),
    Check(
        "image_faults",
        "empty_or_foreign",
        empty_or_foreign,
        "Every image shows something, and what the rest of its collection shows.",
        _LOOK,
    ),
    Check(
        "micrographs",
        "no_databar_among_databars",
        acquisition_checks.no_databar,
        "Images have a databar where nearly all of their size have one.",
        "Look whether the databar was cut off or not recognised, and take the image from the "
        "instrument again.",
    ),
    Check(
        "micrographs",
        "stale_calibration",
        acquisition_checks.stale_calibration,
        "Pixel size × magnification is the same for all images of an instrument and width.",
        "Find out which is right, with a scale bar or a standard, and state it: "
        "`graindex add --pixel-size-um` or a column of the samples table.",
    ),
    Check(
        "micrographs",
        "magnification_out_of_family",
        acquisition_checks.magnification_out_of_family,
        "No image is of a magnification that is rare in its collection and far from the others.",
        "Look whether the magnification was misread; leave it out of sets that need one scale.",
    ),
    Check(
        "micrographs",
        "acquisition_order",
        acquisition_checks.acquisition_order,
        "Images were taken in the order of the running numbers in their names.",
        "Look whether files were renamed or the instrument's clock was changed.",
    ),
    Check(
        "micrographs",
        "wrong_sidecar",
        acquisition_checks.wrong_sidecar,
        "Every sidecar names its own image and says what databar and tags say.",
        "Put the image's own sidecar beside it, then run `graindex materialize`.",
    ),
    Check(
        "near_duplicates",
        "repeated_fields",
        duplicate_checks.repeated,
        "No image shows the field of another one again.",
        "Take one of the two out; splits keep them on one side in any case.",
    ),
    Check(
        "near_duplicates",
        "duplicates_across_specimens",
        duplicate_checks.duplicates_across_specimens,
        "Images that show the same place are of one specimen and have the same labels.",
        "Find out which label is right, and correct the folder or the samples table.",
    ),
)
