"""From what the parts of a Mask R-CNN say of a tile to boxes and masks.

The same steps as torchvision takes (He et al., ICCV 2017; Ren et al., NeurIPS 2015), on arrays, so
that a network runs by torch or by OpenVINO alike. Boxes are (x0, y0, x1, y1) in pixels, 0 the
middle of the first pixel; offsets are of a box's middle, in its sides, and logarithms of factors of
its sides.
Out of scope: running the parts (`torch_runtime`, `openvino_parts`), larger images (`tiles`).
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from models.segment.mask_rcnn.config import NetworkConfig
from models.segment.mask_rcnn.instances import Instances, no_instances
from models.segment.star_convex.scaling import Floats

ANCHOR_RATIOS = (0.5, 1.0, 2.0)
"""Height over width of the boxes that proposals start from."""

PROPOSAL_OVERLAP, BOX_OVERLAP = 0.8, 0.7
"""Boxes that overlap more are one. Those of rods side by side at an angle overlap by more than the
usual 0.7 and 0.5, though the rods do not; what is seen twice goes as masks are drawn. On phantom
rods four times as long as wide F1 is 0.54 instead of 0.45, elsewhere the same (2026-11)."""

LEAST_OBJECTNESS = 0.01
"""Of a proposal that is looked at again. On a fold of EMPS the particles are the same ones without
a limit, in a fifth more time (2026-11)."""

LEAST_SCORE = 0.05
"""Of a box that may suppress others."""

BOX_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
"""The second network's offsets are this many times as large."""

REGION_STRIDES = (4, 8, 16, 32)
"""Of the levels that regions are taken from."""

Find = Callable[[Floats, float], Instances]
"""A tile (Y, X) float32 in whole strides → its particles of more than a probability."""

_PROPOSALS_PX2 = 576**2  # tile that the highest number of proposals is meant for
_LARGEST_CHANGE = math.log(1000 / 16)
_CANONICAL_PX, _CANONICAL_LEVEL = 224, 2  # a region of this side is taken from stride 16
_LEAST_PROPOSAL_PX, _LEAST_BOX_PX = 1e-3, 1e-2


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the first network says of a tile.

    Attributes:
        levels: the pyramid at the strides that regions are taken from, for the other parts.
        objectness: of each of five levels (A, Y, X), the logit that an anchor holds something.
        offsets: of each level (4 · A, Y, X), where it lies.
    """

    levels: Sequence[Any]
    objectness: Sequence[Floats]
    offsets: Sequence[Floats]


class Parts(Protocol):
    """A Mask R-CNN in three parts; each may be called from many threads at once."""

    @property
    def config(self) -> NetworkConfig:
        """Of the network."""
        ...

    def see(self, tile: Floats) -> Seen:
        """A tile (Y, X) in whole strides."""
        ...

    def regions(self, level: Any, boxes: Floats) -> tuple[Floats, Floats]:
        """Logits (N, 2) of nothing and of a particle, and offsets (N, 4), of N ≥ 1 regions.

        Args:
            level: of `Seen.levels`.
            boxes: (N, 4) float32 in pixels of the level.
        """
        ...

    def masks(self, level: Any, boxes: Floats) -> Floats:
        """Probabilities (N, M, M) in each part of N ≥ 1 boxes; arguments as of `regions`."""
        ...


def finder(parts: Parts) -> Find:
    """The network as `tiles` runs it."""
    return functools.partial(tile_instances, parts)


def tile_instances(parts: Parts, tile: Floats, least: float) -> Instances:
    """Particles of a tile (Y, X) in whole strides, of more than a probability."""
    seen = parts.see(tile)
    boxes, probability = _boxes(parts, seen, tile.shape)
    sure = probability > least
    boxes, probability = boxes[sure], probability[sure]
    masks = no_instances(parts.config.mask_px).masks
    if len(boxes):
        masks = np.empty((len(boxes), *masks.shape[1:]), np.float32)
        for number, chosen, scaled in _by_level(boxes):
            masks[chosen] = parts.masks(seen.levels[number], scaled)
    return Instances(boxes, masks, probability)


def _boxes(parts: Parts, seen: Seen, shape_px: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Boxes (N, 4) and probabilities (N,) of a tile, the most probable first."""
    share = max(shape_px[0] * shape_px[1] / _PROPOSALS_PX2, 1.0)
    most = round(parts.config.proposals * share)
    proposals = propose(seen, parts.config.anchors_px, shape_px, most)
    logits = np.empty((len(proposals), 2), np.float32)
    offsets = np.empty((len(proposals), 4), np.float32)
    for number, chosen, scaled in _by_level(proposals):
        logits[chosen], offsets[chosen] = parts.regions(seen.levels[number], scaled)
    probability = _sigmoid(logits[:, 1] - logits[:, 0])
    boxes = _inside(moved(proposals, offsets, BOX_WEIGHTS), shape_px)
    likely = (probability > LEAST_SCORE) & _larger(boxes, _LEAST_BOX_PX)
    boxes, probability = boxes[likely], probability[likely]
    kept = suppress(boxes, probability, BOX_OVERLAP)[:most]
    return boxes[kept], probability[kept]


def propose(seen: Seen, anchors_px: Sequence[int], shape_px: tuple[int, ...], most: int) -> Floats:
    """Regions (N, 4) of a tile that may hold particles, the likeliest first.

    Args:
        seen: see there.
        anchors_px: side of the anchors of each level.
        shape_px: (Y, X) of the tile.
        most: regions in all, and of each level before those that overlap are left out.
    """
    boxes, scores = [], []
    levels = zip(seen.objectness, seen.offsets, anchors_px, strict=True)
    for objectness, offsets, side in levels:
        places = np.ascontiguousarray(objectness.transpose(1, 2, 0)).ravel()  # (Y · X · A,)
        best = _highest(places, most)
        y, x, ratio = np.unravel_index(best, (*objectness.shape[1:], len(ANCHOR_RATIOS)))
        step = [size // cells for size, cells in zip(shape_px, objectness.shape[1:], strict=True)]
        middle = np.stack([x * step[1], y * step[0]] * 2, axis=1).astype(np.float32)
        by_ratio = offsets.reshape(len(ANCHOR_RATIOS), 4, *offsets.shape[1:])
        found = moved(middle + _anchors(side)[ratio], by_ratio[ratio, :, y, x], (1.0,) * 4)
        found, score = _inside(found, shape_px), _sigmoid(places[best])
        likely = (score >= LEAST_OBJECTNESS) & _larger(found, _LEAST_PROPOSAL_PX)
        found, score = found[likely], score[likely]
        kept = suppress(found, score, PROPOSAL_OVERLAP)
        boxes.append(found[kept])
        scores.append(score[kept])
    order = np.argsort(-np.concatenate(scores), kind="stable")[:most]
    return np.concatenate(boxes)[order]


def moved(boxes: Floats, offsets: Floats, weights: Sequence[float]) -> Floats:
    """Boxes (N, 4) moved and resized by offsets (N, 4) that are `weights` times as large."""
    sides = boxes[:, 2:] - boxes[:, :2]
    scaled = offsets / np.asarray(weights, np.float32)
    middle = boxes[:, :2] + sides / 2 + scaled[:, :2] * sides
    half = np.exp(np.minimum(scaled[:, 2:], np.float32(_LARGEST_CHANGE))) * sides / 2
    return np.concatenate([middle - half, middle + half], axis=1)


def suppress(boxes: Floats, scores: Floats, overlap: float) -> npt.NDArray[np.intp]:
    """Indices of boxes (N, 4) that no kept one of a higher score overlaps by more, best first.

    Args:
        boxes: (N, 4).
        scores: (N,) above 0; of equal ones the first box goes first.
        overlap: intersection over union.
    """
    if not len(boxes):
        return np.zeros(0, np.intp)
    corner_and_sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    # lists, says its signature; arrays are taken as well, without a number of its own for each
    kept = cv2.dnn.NMSBoxes(corner_and_sides.astype(np.float64), scores, 0.0, overlap)  # type: ignore[arg-type]
    return np.asarray(kept, dtype=np.intp)


def _anchors(side: int) -> Floats:
    """(A, 4) boxes around 0, whole pixels from the middle."""
    heights = np.sqrt(np.asarray(ANCHOR_RATIOS, np.float32))
    half = np.stack([side / heights, side * heights], axis=1) / 2
    return np.round(np.concatenate([-half, half], axis=1)).astype(np.float32)


def _highest(values: Floats, most: int) -> npt.NDArray[np.intp]:
    """Indices of the highest values, the highest first."""
    best = np.argpartition(-values, min(most, len(values) - 1))[:most]
    return best[np.argsort(-values[best], kind="stable")]


def _inside(boxes: Floats, shape_px: tuple[int, ...]) -> Floats:
    rows, columns = shape_px
    return np.clip(boxes, 0, np.array([columns, rows] * 2, np.float32))


def _larger(boxes: Floats, least: float) -> npt.NDArray[np.bool_]:
    return np.asarray((boxes[:, 2:] - boxes[:, :2] >= least).all(axis=1))


def _by_level(boxes: Floats) -> list[tuple[int, npt.NDArray[np.intp], Floats]]:
    """Number of a level, which boxes (N, 4) are taken from it, and these in its pixels."""
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    relative = np.log2(np.maximum(np.sqrt(area), 1e-12) / _CANONICAL_PX)
    level = np.floor(relative + _CANONICAL_LEVEL + 1e-6)
    level = np.clip(level, 0, len(REGION_STRIDES) - 1).astype(np.intp)
    return [
        (number, chosen, boxes[chosen] / np.float32(stride))
        for number, stride in enumerate(REGION_STRIDES)
        if len(chosen := np.flatnonzero(level == number))
    ]


def _sigmoid(logits: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-logits)), dtype=np.float32)
