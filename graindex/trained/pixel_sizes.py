"""Whether an image has the pixel size that a model was made for.

Out of scope: where pixel sizes come from (`graindex.trained.seen`), predictions.
"""

from dataclasses import dataclass, field

from graindex.errors import ModelError
from graindex.trained.card import Card


@dataclass(slots=True)
class PixelSizes:
    """Pixel sizes of the images that a model is asked about.

    Attributes:
        card: card of the model.
        accept_any: take other pixel sizes as well, and remark on them.
        remarks: what there is to say of images that were taken all the same, by image.
    """

    card: Card
    accept_any: bool = False
    remarks: dict[str, str] = field(default_factory=dict)

    def check(self, image: str, pixel_size_um: float | None) -> None:
        """Refuse an image whose pixel size the model was not made for, or remark on it.

        Raises:
            ModelError: it lies outside of what the model saw, or is unknown, and is not accepted.
        """
        found = self._doubt(pixel_size_um)
        if found is None:
            return
        told, advice = found
        if not self.accept_any:
            raise ModelError(f"{image}: {told}: {advice}")
        self.remarks[image] = told

    def _doubt(self, pixel_size_um: float | None) -> tuple[str, str] | None:
        """What is wrong with a pixel size, and what to do; None where it fits."""
        rule = self.card.pixel_size
        if rule is None or rule.least_um is None or rule.greatest_um is None:
            return None
        made = f"model {self.card.reference} was made for"
        seen = f"{rule.least_um:.4g} to {rule.greatest_um:.4g} µm a pixel"
        if pixel_size_um is None:
            if rule.without == "accept":
                return None
            return (
                f"its pixel size is unknown, and {made} {seen}",
                "give --pixel-size-um, or for images of the store --pixel-size-um of graindex add; "
                "--any-pixel-size predicts all the same",
            )
        least = rule.least_um * (1 - rule.tolerance)
        greatest = rule.greatest_um * (1 + rule.tolerance)
        if least <= pixel_size_um <= greatest:
            return None
        return (
            f"{pixel_size_um:.4g} µm a pixel, and {made} {seen} (± {rule.tolerance:.0%})",
            "take an image of that scale, or train on such ones; --any-pixel-size predicts all the "
            "same",
        )
