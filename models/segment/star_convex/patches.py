"""Training patches: cut from images at the wanted scale, turned, toned, printed on; with targets.

Out of scope: the order in which they are drawn (`training`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from models.segment.star_convex.config import NetworkConfig, StarConvexError
from models.segment.star_convex.distractors import paste_background, print_on
from models.segment.star_convex.phantom_views import draw_phantom
from models.segment.star_convex.scaling import normalised, resized, scale_factor
from models.segment.star_convex.targets import Targets, star_targets, typical_diameter_px

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int32]

MARGIN_PX = 32
"""Seen by the targets beyond the patch, so that its border does not cut their distances."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How patches differ from images. Shares are of patches, 0…1.

    Attributes:
        scale: sizes vary log-uniformly by up to this factor either way.
        phantoms: share of synthetic patches in place of real ones.
        print: share with letters, bars, databars or frames.
        background: share with texture under the particles.
        invert: share with bright and dark exchanged.
        tone: whether brightness, contrast, gamma, blur and noise vary.
        turn: whether patches are flipped and turned by right angles.
    """

    scale: float = 2.0
    phantoms: float = 0.25
    print: float = 0.35
    background: float = 0.25
    invert: float = 0.25
    tone: bool = True
    turn: bool = True


PLAIN = Augmentation(1.0, 0, 0, 0, 0, tone=False, turn=False)
"""Nothing but cut and scaled."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """An image to learn from.

    Attributes:
        grey: (Y, X) numbers.
        labels: (Y, X) integers, 0 = background; every particle is labelled.
        group: where it is from, such as a paper or a specimen.
    """

    grey: npt.NDArray[Any]
    labels: npt.NDArray[Any]
    group: str = ""

    def __post_init__(self) -> None:
        """Refuse labels of another size."""
        if self.grey.shape != self.labels.shape:
            raise StarConvexError(
                f"labels are {self.labels.shape} and their image is {self.grey.shape}: give "
                "labels of the same size"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """An example with grey levels normalised; `diameter_px` is typical of its particles."""

    image: Floats
    labels: Labels
    diameter_px: float | None
    particles: int


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What a network sees at once: (side, side) each; `valid` is False where nothing is known."""

    image: Floats
    labels: Labels
    valid: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Patch(View):
    """A view with what a star-convex network is to say of it."""

    targets: Targets


def prepare(examples: Sequence[Example]) -> list[Prepared]:
    """Normalise grey levels and measure typical diameters.

    Raises:
        StarConvexError: an image is not two-dimensional, is empty, or not finite throughout.
    """
    prepared = []
    for example in examples:
        labels = np.asarray(example.labels).astype(np.int32)
        particles = len(np.unique(labels[labels > 0]))
        diameter = typical_diameter_px(labels)
        prepared.append(Prepared(normalised(example.grey), labels, diameter, particles))
    return prepared


def draw_patch(
    examples: Sequence[Prepared],
    side_px: int,
    config: NetworkConfig,
    augmentation: Augmentation,
    rng: np.random.Generator,
) -> Patch:
    """A random view with its targets.

    Args:
        examples: to cut from; none: phantoms alone.
        side_px: of the patch.
        config: says rays, grid and typical diameter.
        augmentation: see there.
        rng: source of everything.
    """
    outer = side_px + 2 * MARGIN_PX
    return _with_targets(draw_view(examples, outer, config.diameter_px, augmentation, rng), config)


def draw_view(
    examples: Sequence[Prepared],
    side_px: int,
    diameter_px: float,
    augmentation: Augmentation,
    rng: np.random.Generator,
) -> View:
    """A random view: images with many particles come more often, by the root of their number.

    Args:
        examples: to cut from; none: phantoms alone.
        side_px: of the view.
        diameter_px: typical of the particles as the network is to see them.
        augmentation: see there.
        rng: source of everything.
    """
    factor = float(augmentation.scale ** rng.uniform(-1, 1))
    if not examples or rng.random() < augmentation.phantoms:
        image, labels = draw_phantom(side_px, diameter_px * factor, rng)
        valid = np.ones(image.shape, dtype=np.bool_)
    else:
        weights = np.sqrt([max(example.particles, 1) for example in examples])
        chosen = examples[int(rng.choice(len(examples), p=weights / weights.sum()))]
        image, labels, valid = cut(chosen, side_px, diameter_px * factor, rng)
    if rng.random() < augmentation.background:
        image = paste_background(image, labels, rng)
    if rng.random() < augmentation.print:
        print_on(image, labels, rng)
    if augmentation.turn:
        image, labels, valid = _turned(image, labels, valid, rng)
    if rng.random() < augmentation.invert:
        image = 1 - image
    if augmentation.tone:
        image = _toned(image, rng)
    return View(image, labels, valid)


def cut(
    example: Prepared, side_px: int, diameter_px: float, rng: np.random.Generator
) -> tuple[Floats, Labels, npt.NDArray[np.bool_]]:
    """Cut a square window at the scale at which particles have the wanted diameter.

    An image smaller than the window lies in it whole, mirrored beyond its border, where nothing
    is valid and nothing labelled.

    Args:
        example: to cut from.
        side_px: of the window, in scaled pixels.
        diameter_px: wanted, in scaled pixels.
        rng: source of the place.

    Returns:
        Image, labels and what is valid, (side, side) each.
    """
    shape = (example.image.shape[0], example.image.shape[1])
    factor = scale_factor(example.diameter_px or diameter_px, diameter_px, shape)
    window = side_px / factor
    spans = [_span(side, window, rng) for side in shape]
    box = tuple(slice(start, stop) for start, stop in spans)
    image = resized(example.image[box], factor)[:side_px, :side_px]
    labels = cv2.resize(
        example.labels[box].astype(np.float32), image.shape[::-1], interpolation=cv2.INTER_NEAREST
    ).astype(np.int32)
    before = [int(rng.integers(side_px - side + 1)) for side in image.shape]
    pads = [
        (start, side_px - side - start) for start, side in zip(before, image.shape, strict=True)
    ]
    around = (*pads[0], *pads[1])
    wide = cv2.copyMakeBorder(image, *around, cv2.BORDER_REFLECT)
    valid = np.pad(np.ones(image.shape, dtype=np.bool_), pads)
    return np.asarray(wide, dtype=np.float32), np.pad(labels, pads), valid


def plain_patch(
    example: Prepared, side_px: int, config: NetworkConfig, rng: np.random.Generator
) -> Patch:
    """A patch at the wanted scale without any change, for validation."""
    outer = side_px + 2 * MARGIN_PX
    return _with_targets(View(*cut(example, outer, config.diameter_px, rng)), config)


def _span(side: int, window: float, rng: np.random.Generator) -> tuple[int, int]:
    """Where a window begins and ends in an image's side, in pixels of the image."""
    length = min(round(window), side)
    start = int(rng.integers(side - length + 1))
    return start, start + max(length, 1)


def _with_targets(view: View, config: NetworkConfig) -> Patch:
    targets = star_targets(view.labels, rays=config.rays, grid=config.grid)
    inner = slice(MARGIN_PX, -MARGIN_PX)
    coarse = slice(MARGIN_PX // config.grid, -MARGIN_PX // config.grid)
    return Patch(
        np.ascontiguousarray(view.image[inner, inner]),
        view.labels[inner, inner],
        view.valid[inner, inner],
        Targets(targets.probability[coarse, coarse], targets.distances[:, coarse, coarse]),
    )


def _turned(
    image: Floats, labels: Labels, valid: npt.NDArray[np.bool_], rng: np.random.Generator
) -> tuple[Floats, Labels, npt.NDArray[np.bool_]]:
    quarters, mirrored = int(rng.integers(4)), bool(rng.random() < 0.5)

    def turn(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        turned = np.rot90(array, quarters)
        return np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)

    return turn(image), turn(labels), turn(valid)


def _toned(image: Floats, rng: np.random.Generator) -> Floats:
    """Gamma, contrast, brightness, blur, noise."""
    gamma = np.float32(np.exp(rng.uniform(-0.4, 0.4)))
    toned = np.sign(image) * np.abs(image) ** gamma
    toned = (toned - 0.5) * np.float32(rng.uniform(0.6, 1.2)) + 0.5
    toned += np.float32(rng.uniform(-0.15, 0.15))
    if rng.random() < 0.3:
        blurred = cv2.GaussianBlur(toned, (0, 0), float(rng.uniform(0.3, 1.5)))
        toned = np.asarray(blurred, dtype=np.float32)
    if rng.random() < 0.5:
        noise = rng.standard_normal(image.shape, dtype=np.float32)
        toned = toned + np.float32(rng.uniform(0, 0.12)) * noise
    return np.asarray(np.clip(toned, -0.5, 1.5), dtype=np.float32)
