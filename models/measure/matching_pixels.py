"""How good a foreground is, pixel by pixel: the six measures of Jiang et al.

Out of scope: particles as wholes (`matching`).
"""

import math
from dataclasses import dataclass

from models.measure.matching_overlap import Overlap

PIXEL_MEASURES = ("precision", "sensitivity", "jaccard", "dice", "f_measure", "matthews")


@dataclass(frozen=True, slots=True)
class PixelCounts:
    """Pixels or voxels by true and predicted foreground, and six measures of their agreement.

    Source: Jiang et al. 2020, Nature Communications 11, 2310, Supplementary Note 1 and Figure 9b,
    which names the six and gives means ± standard deviations. Its text states neither formulas nor
    whether pixels or particles are counted. Pixels are counted here, since the Matthews correlation
    needs true negatives, which particles do not have. F measure is taken with equal weights
    (β = 1), and so is the same number as Dice.

    A foreground without a mistake is 1 in all six, also where there is none at all; otherwise a
    ratio without a denominator is 0.

    Attributes:
        true_positives: foreground in both.
        false_positives: foreground of the prediction alone.
        false_negatives: foreground of the truth alone.
        true_negatives: background in both.
    """

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @property
    def precision(self) -> float:
        """TP / (TP + FP), also called positive predictive value."""
        return self._share(self.true_positives, self.true_positives + self.false_positives)

    @property
    def sensitivity(self) -> float:
        """TP / (TP + FN), also called recall."""
        return self._share(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def jaccard(self) -> float:
        """TP / (TP + FP + FN)."""
        return self._share(self.true_positives, self.true_positives + self._wrong)

    @property
    def dice(self) -> float:
        """2 TP / (2 TP + FP + FN)."""
        return self._share(2 * self.true_positives, 2 * self.true_positives + self._wrong)

    @property
    def f_measure(self) -> float:
        """Harmonic mean of precision and sensitivity."""
        product = 2 * self.precision * self.sensitivity
        return product / (self.precision + self.sensitivity) if product else 0.0

    @property
    def matthews(self) -> float:
        """Correlation of the two foregrounds, −1 … 1; 0 where one of them is all or nothing."""
        if self._wrong == 0:
            return 1.0
        tp, fp, fn, tn = (
            self.true_positives,
            self.false_positives,
            self.false_negatives,
            self.true_negatives,
        )
        # whole numbers, which do not overflow in Python
        norm = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
        return (tp * tn - fp * fn) / math.sqrt(norm) if norm else 0.0

    @property
    def _wrong(self) -> int:
        return self.false_positives + self.false_negatives

    def _share(self, part: int, whole: int) -> float:
        return share(part, whole, perfect=self._wrong == 0)


def pixel_counts(overlap: Overlap) -> PixelCounts:
    """Count foreground and background of two label images that were laid over each other."""
    both = int(overlap.shared_pixels.sum())
    true, predicted = int(overlap.true_pixels.sum()), int(overlap.predicted_pixels.sum())
    return PixelCounts(
        both, predicted - both, true - both, overlap.pixels - true - predicted + both
    )


def share(part: int, whole: int, *, perfect: bool) -> float:
    """Part of a whole: 1 where nothing is wrong, 0 where there is no whole."""
    if perfect:
        return 1.0
    return part / whole if whole else 0.0
