"""What one network's own training images tell about scales: of target, descriptors, grey levels.

Out of scope: grey levels of single images (`levels`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from models.learn.image_networks.augment import Image
from models.learn.image_networks.config import ImageNetworkError
from models.learn.image_networks.levels import Equalise, Levels, common_levels
from models.learn.learner import Floats, Rows

Floats32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """An image as a network takes it, but for the part that is cut out of it.

    Attributes:
        pixels: (Y, X).
        mean: to subtract from them.
        deviation: to divide them by.
        descriptors: (D,) standardised.
        target: standardised; NaN where it is to be predicted.
        weight: of its squared error.
    """

    pixels: Image
    mean: float
    deviation: float
    descriptors: Floats32
    target: float
    weight: float

    def scaled(self, view: Image) -> Floats32:
        """Part of the pixels as the network takes it."""
        scaled: Floats32 = (view.astype(np.float32) - np.float32(self.mean)) / np.float32(
            self.deviation
        )
        return scaled


@dataclass(frozen=True, slots=True, eq=False)
class Scales:
    """Scales of what goes into a network and of what comes out.

    Attributes:
        target: weighted mean and standard deviation of the targets; 0 and 1 of codes of classes.
        centre: (D,) weighted mean of the descriptors.
        factor: (D,) one over their standard deviation; 0 where these training images all have the
            same: the network then does not see the descriptor, about which it knows nothing.
        grey: common mean and standard deviation of the grey levels.
    """

    target: tuple[float, float]
    centre: Floats
    factor: Floats
    grey: tuple[float, float]

    @classmethod
    def fit(cls, rows: Rows, images: Sequence[Levels], classes: int = 0) -> Self:
        """Scales of training rows with their images; `classes` is 0 for numbers.

        Raises:
            ImageNetworkError: a target that never varies.
        """
        if np.ptp(rows.target) == 0:
            what = "are of one class" if classes else f"have the target {rows.target[0]:g}"
            raise ImageNetworkError(
                f"a network would learn from {len(images)} images that all {what}: take other "
                "groups, or more of them"
            )
        share = rows.weight / rows.weight.sum()
        mean, deviation = 0.0, 1.0
        if not classes:
            mean = float(share @ rows.target)
            deviation = float(np.sqrt(share @ (rows.target - mean) ** 2))
        centre = share @ rows.x
        spread = np.sqrt(share @ (rows.x - centre) ** 2)
        varies = np.ptp(rows.x, axis=0) > 0
        factor = np.divide(1, spread, out=np.zeros_like(spread), where=varies)
        return cls((mean, deviation), centre, factor, common_levels(images))

    def prepare(
        self,
        image: Levels,
        descriptors: Floats,
        equalise: Equalise,
        target: float = np.nan,
        weight: float = 1.0,
    ) -> Prepared:
        """An image as the network takes it.

        Args:
            image: pixels.
            descriptors: (D,).
            equalise: as the pixels were made.
            target: to be learnt.
            weight: of its squared error.
        """
        return Prepared(
            image.pixels,
            *image.affine(equalise, self.grey),
            ((descriptors - self.centre) * self.factor).astype(np.float32),
            (target - self.target[0]) / self.target[1],
            weight,
        )

    def back(self, outputs: Floats) -> Floats:
        """A network's outputs as targets."""
        numbers: Floats = self.target[0] + self.target[1] * outputs
        return numbers

    def tensors(self) -> dict[str, Floats]:
        """Arrays that `restore` takes."""
        return {
            "target": np.array(self.target),
            "centre": self.centre,
            "factor": self.factor,
            "grey": np.array(self.grey),
        }

    @classmethod
    def restore(cls, tensors: Mapping[str, npt.NDArray[Any]]) -> Self:
        """The scales whose `tensors()` these are."""
        target, grey = tensors["target"], tensors["grey"]
        return cls(
            (float(target[0]), float(target[1])),
            np.asarray(tensors["centre"], float),
            np.asarray(tensors["factor"], float),
            (float(grey[0]), float(grey[1])),
        )
