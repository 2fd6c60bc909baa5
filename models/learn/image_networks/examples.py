"""Images with a number or a class each, checked once before anything is learnt from them.

Out of scope: where they come from, which of them train and which validate (`ensemble`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.learn.image_networks.config import Architecture, ImageNetworkError
from models.learn.learner import Floats, Rows


@dataclass(frozen=True, slots=True, eq=False)
class ImageExample:
    """A micrograph and what is to be predicted of it.

    Attributes:
        grey: (Y, X) of any real dtype.
        descriptors: (D,) numbers known besides, such as composition and heating temperatures.
        target: the number, on the scale that errors are squared on: log10 of a conductivity; or
            the code of a class, from 0.
        group: such as the specimen; images of a group never stand on both sides of a validation.
        weight: of its loss, at least 0; one of weight 0 plays no part.
    """

    grey: npt.NDArray[Any]
    descriptors: Floats
    target: float
    group: str
    weight: float = 1.0


def rows_of(images: Sequence[ImageExample], architecture: Architecture, classes: int = 0) -> Rows:
    """Descriptors, targets, groups and weights of checked images, as rows.

    Args:
        images: all of a weight above 0.
        architecture: descriptors are looked at for "descriptors" alone, and else (N, 0).
        classes: that the targets are codes of; 0 for numbers.

    Raises:
        ImageNetworkError: no images, one of no size or that is not finite, a target or a
            descriptor that is not finite, numbers of descriptors that differ, a target or a
            descriptor that is the same in every image, or fewer than two groups.
    """
    if not images:
        raise ImageNetworkError("no images of a weight above 0")
    for number, image in enumerate(images):
        check_grey(image.grey, number)
        if not np.isfinite(image.target):
            raise ImageNetworkError(f"image {number} has the target {image.target}")
    target = np.array([float(image.target) for image in images])
    if np.ptp(target) == 0:
        what = "is of one class" if classes else f"has the target {target[0]:g}"
        raise ImageNetworkError(f"every image {what}: there is nothing to learn")
    names, groups = np.unique([image.group for image in images], return_inverse=True)
    if len(names) < 2:
        raise ImageNetworkError(
            f"the {len(images)} images are of one group: a network needs two groups or more"
        )
    x = np.empty((len(images), 0))
    if architecture == "descriptors":
        x = stacked_descriptors([image.descriptors for image in images])
        constant = np.flatnonzero(np.ptp(x, axis=0) == 0)
        if constant.size:
            raise ImageNetworkError(
                f"descriptor {constant[0]} is {x[0, constant[0]]:g} in every image: leave it out"
            )
    return Rows(x, target, groups, np.array([float(image.weight) for image in images]))


def weighted(images: Sequence[ImageExample]) -> list[ImageExample]:
    """The images of a weight above 0.

    Raises:
        ImageNetworkError: a weight below 0 or not finite.
    """
    for number, image in enumerate(images):
        if not 0 <= image.weight < np.inf:
            raise ImageNetworkError(f"image {number} has the weight {image.weight}: take 0 or more")
    return [image for image in images if image.weight > 0]


def check_grey(grey: npt.NDArray[Any], number: int) -> None:
    """Refuse what is no image.

    Args:
        grey: to look at.
        number: of the image, from 0, for the message.

    Raises:
        ImageNetworkError: it is not (Y, X), of no size, not of real numbers, or not finite.
    """
    if grey.ndim != 2 or grey.size == 0:
        raise ImageNetworkError(f"image {number} has the shape {grey.shape}: take (Y, X)")
    if grey.dtype.kind not in "buif":
        raise ImageNetworkError(f"image {number} holds {grey.dtype}: take real numbers")
    if grey.dtype.kind == "f" and not np.isfinite(grey).all():
        raise ImageNetworkError(f"image {number} has pixels that are not finite")


def stacked_descriptors(rows: Sequence[Floats]) -> Floats:
    """Descriptors of N images as (N, D) float64.

    Raises:
        ImageNetworkError: one has none or another number of them, or one is not finite.
    """
    lengths = sorted({np.size(row) for row in rows})
    if lengths[0] == 0 or len(lengths) > 1:
        raise ImageNetworkError(
            f"images have {' or '.join(map(str, lengths))} descriptors: take one number, from 1 up"
        )
    x = np.array([np.ravel(row) for row in rows], float)
    wrong = np.argwhere(~np.isfinite(x))
    if len(wrong):
        number, column = wrong[0]
        raise ImageNetworkError(f"image {number} has the descriptor {column} = {x[number, column]}")
    return x
