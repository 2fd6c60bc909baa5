"""`nms` and `roi_align` in plain torch, for a torchvision whose compiled operators do not load.

Torchvision's own substitute for `roi_align` looks at every pixel of the feature map for each
sample, and its `nms` has none. Where the compiled operators are there, they are left alone.
Out of scope: declarations that the import of torchvision needs (`torchvision_ops`).
"""

import functools
import importlib
import sys

import torch
from torch import Tensor
from torch.nn import functional

from models.encode.torchvision_ops import declare_missing_operators

_ROI_ALIGN = (
    "roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, "
    "SymInt pooled_width, int sampling_ratio, bool aligned) -> Tensor"
)


@functools.cache
def provide_kernels() -> torch.library.Library | None:
    """Make torchvision's detection networks run, also without its compiled operators.

    Later calls do nothing.

    Returns:
        The fragment with the operators, None where the compiled ones are there.
    """
    fragment = declare_missing_operators()
    if fragment is None:
        return None
    fragment.define(_ROI_ALIGN)  # type: ignore[no-untyped-call]
    fragment.impl("nms", nms, "CompositeExplicitAutograd")  # type: ignore[no-untyped-call]
    # differentiated through what it is composed of
    fragment.impl("roi_align", roi_align, "CompositeImplicitAutograd")  # type: ignore[no-untyped-call]
    importlib.import_module("torchvision.ops")
    # they ask whether the compiled library was loaded, not whether the operator is there
    for module in ("torchvision.extension", "torchvision.ops.roi_align"):
        sys.modules[module]._has_ops = lambda: True  # type: ignore[attr-defined]
    return fragment


def nms(dets: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Keep the boxes that no kept one of a higher score overlaps too much.

    A box stays if none of the kept ones before it overlaps it. Starting from "all are kept", each
    round settles at least the next box in the order, in practice all within about ten rounds.

    Args:
        dets: (N, 4) boxes (x0, y0, x1, y1).
        scores: (N,); of equal ones the first box goes first.
        iou_threshold: intersection over union above which a box is suppressed.

    Returns:
        (K,) int64 indices of the kept boxes, the highest score first.
    """
    order = scores.argsort(descending=True, stable=True)
    boxes = dets[order]
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    upper = torch.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    sides = (upper - torch.maximum(boxes[:, None, :2], boxes[None, :, :2])).clamp_(min=0)
    shared = sides[..., 0] * sides[..., 1]  # (N, N)
    beats = (shared > iou_threshold * (area[:, None] + area[None] - shared)).triu_(diagonal=1)
    kept = torch.ones(len(order), dtype=torch.bool, device=dets.device)
    while True:
        settled = ~beats[kept].any(dim=0)
        if torch.equal(settled, kept):
            return order[kept]
        kept = settled


def roi_align(
    input: Tensor,
    rois: Tensor,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    """Mean of bilinear samples in each bin of each region (He et al., ICCV 2017).

    Args:
        input: (N, C, Y, X) feature maps.
        rois: (K, 5): index of the map, then (x0, y0, x1, y1) before `spatial_scale`.
        spatial_scale: feature pixels per unit of the regions.
        pooled_height: bins in Y.
        pooled_width: bins in X.
        sampling_ratio: samples of a bin along each axis; 0 or less: about one for each pixel.
        aligned: whether regions are shifted by half a pixel, and may be smaller than one.

    Returns:
        (K, C, pooled_height, pooled_width).
    """
    corners = rois[:, 1:].detach() * spatial_scale - (0.5 if aligned else 0.0)
    start, size = corners[:, :2], corners[:, 2:] - corners[:, :2]  # (K, 2) x, y
    size = size if aligned else size.clamp(min=1.0)
    step = size / size.new_tensor([pooled_width, pooled_height])
    counts = torch.full_like(step, sampling_ratio) if sampling_ratio > 0 else step.ceil()
    counts = counts.clamp(min=1).long()  # (K, 2) samples of a bin along x and y
    pooled = input.new_zeros((len(rois), input.shape[1], pooled_height, pooled_width))
    for count in torch.unique(counts, dim=0):
        chosen = (counts == count).all(dim=1).nonzero()[:, 0]
        across, down = count.tolist()
        x = _places(start[chosen, 0], step[chosen, 0], pooled_width, across)
        y = _places(start[chosen, 1], step[chosen, 1], pooled_height, down)
        pooled = pooled.index_copy(0, chosen, _means(input, rois[chosen, 0].long(), y, x))
    return pooled


def _places(start: Tensor, step: Tensor, bins: int, count: int) -> Tensor:
    """(K, bins, count) positions of the samples along one axis."""
    share = (torch.arange(bins * count, device=start.device) + 0.5) / count
    return (start[:, None] + step[:, None] * share.to(start)).view(-1, bins, count)


def _means(maps: Tensor, index: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Means of bilinear samples of maps (N, C, Y, X) at y (K, P, I) and x (K, Q, J).

    Up to one pixel outside of a map its edge goes on, beyond is zero. A weighted sum of rows of
    the flattened maps: no copy of a map for each region, as sampling by a grid would take.

    Returns:
        (K, C, P, Q).
    """
    y_low, y_weight = _corners(y, maps.shape[-2])  # (K, P, 2 · I)
    x_low, x_weight = _corners(x, maps.shape[-1])
    line = index[:, None, None] * maps.shape[-2] + y_low
    places = line[:, :, None, :, None] * maps.shape[-1] + x_low[:, None, :, None, :]
    weights = y_weight[:, :, None, :, None] * x_weight[:, None, :, None, :]
    sums = functional.embedding_bag(
        places.flatten(3).flatten(0, 2),  # (K · P · Q, 4 · I · J)
        maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1]),  # (N · Y · X, C)
        per_sample_weights=weights.flatten(3).flatten(0, 2).to(maps),
        mode="sum",
    )
    return sums.view(*places.shape[:3], -1).permute(0, 3, 1, 2)


def _corners(place: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Both neighbours of positions (…, I) along an axis, and their shares of a mean: (…, 2 · I)."""
    inside = (place >= -1) & (place <= side)
    clamped = place.clamp(0, side - 1)
    low = clamped.long()
    upper = clamped - low
    shares = torch.cat([1 - upper, upper], dim=-1) * torch.cat([inside, inside], dim=-1)
    return torch.cat([low, (low + 1).clamp(max=side - 1)], dim=-1), shares / place.shape[-1]
