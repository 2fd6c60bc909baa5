"""Kernels in plain torch: against what is known of boxes, planes and means."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from models.encode.torchvision_kernels import nms, roi_align

REPOSITORY = Path(__file__).parents[3]


def greedy(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    """As it is defined, one box after the other."""
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        for other in kept:
            low = np.maximum(boxes[index, :2], boxes[other, :2])
            high = np.minimum(boxes[index, 2:], boxes[other, 2:])
            shared = np.prod(np.maximum(high - low, 0))
            areas = [np.prod(boxes[i, 2:] - boxes[i, :2]) for i in (index, other)]
            if shared > threshold * (sum(areas) - shared):
                break
        else:
            kept.append(int(index))
    return kept


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7])
def test_suppression_is_the_greedy_one(threshold):
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 60, (150, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(5, 30, (150, 2))], axis=1)
    scores = rng.integers(0, 40, 150) / 40  # many are equal
    kept = nms(torch.from_numpy(boxes), torch.from_numpy(scores), threshold)
    assert kept.tolist() == greedy(boxes, scores, threshold)


def test_a_suppressed_box_suppresses_none():
    """The second goes because of the first, the third stays since the second is gone."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]])
    assert nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.3).tolist() == [0, 2]


def test_overlap_of_a_third_is_not_more_than_a_third():
    boxes = torch.tensor([[0.0, 0, 2, 1], [1, 0, 3, 1]])  # intersection 1, union 3
    scores = torch.tensor([0.4, 0.6])
    assert nms(boxes, scores, 0.34).tolist() == [1, 0]
    assert nms(boxes, scores, 0.33).tolist() == [1]


def test_no_boxes_are_none():
    assert nms(torch.zeros(0, 4), torch.zeros(0), 0.5).shape == (0,)
    assert roi_align(torch.zeros(1, 3, 8, 8), torch.zeros(0, 5), 1.0, 7, 7, 2, False).shape == (
        0,
        3,
        7,
        7,
    )


@pytest.mark.parametrize("sampling_ratio", [1, 2, 0])
@pytest.mark.parametrize("aligned", [False, True])
def test_a_plane_is_sampled_exactly(sampling_ratio, aligned):
    """Bilinear samples of a plane are its values, and their mean that in the middle of a bin."""
    y, x = torch.meshgrid(torch.arange(20.0), torch.arange(30.0), indexing="ij")
    maps = torch.stack([torch.stack([y, x]), torch.stack([3 * y + 1, 2 * x - y])])
    rois = torch.tensor([[0, 4.0, 6, 24, 30], [1, 8.5, 2.25, 50, 33.0], [0, 10, 10, 12.5, 36]])
    pooled = roi_align(maps, rois, 0.5, 3, 5, sampling_ratio, aligned)
    for number, (index, *box) in enumerate(rois.tolist()):
        x0, y0, x1, y1 = (0.5 * side - 0.5 * aligned for side in box)
        width, height = x1 - x0, y1 - y0
        if not aligned:
            width, height = max(width, 1.0), max(height, 1.0)
        at_y = (y0 + height * (torch.arange(3) + 0.5) / 3)[:, None].expand(3, 5)
        at_x = (x0 + width * (torch.arange(5) + 0.5) / 5)[None].expand(3, 5)
        wanted = [at_y, at_x] if index == 0 else [3 * at_y + 1, 2 * at_x - at_y]
        torch.testing.assert_close(pooled[number], torch.stack(wanted), rtol=1e-5, atol=1e-4)


def test_as_many_samples_as_pixels_give_the_mean_of_a_checkerboard():
    """One sample in each bin would give 0 or 1."""
    board = (torch.arange(16)[:, None] + torch.arange(16)[None]) % 2
    rois = torch.tensor([[0.0, 0, 0, 16, 16]])
    pooled = roi_align(board[None, None].float(), rois, 1.0, 2, 2, 0, True)
    torch.testing.assert_close(pooled, torch.full((1, 1, 2, 2), 0.5))


def test_beyond_a_map_is_its_edge_for_a_pixel_and_then_nothing():
    ones = torch.ones(1, 1, 8, 8)
    beside = torch.tensor([[0.0, 8, 0, 9, 8]])  # aligned: samples at x = 7.75 and 8.25
    pooled = roi_align(ones, beside, 1.0, 1, 2, 1, True)
    assert pooled.flatten().tolist() == [1, 0]


def test_the_gradient_is_that_of_a_mean_of_samples():
    maps = torch.rand(2, 2, 6, 7, dtype=torch.float64, requires_grad=True)
    rois = torch.tensor([[0, 0.5, 1, 5, 5], [1, 2, 2, 6, 3.5]], dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda maps: roi_align(maps, rois, 1.0, 2, 3, 2, False), maps, atol=1e-6
    )


def test_torchvision_uses_them_and_needs_no_compiler():
    script = """
from models.encode.torchvision_kernels import provide_kernels
assert provide_kernels() is provide_kernels()
import torch
from torchvision.ops import batched_nms, roi_align
box = torch.tensor([[0.0, 0, 4, 4]])
print(batched_nms(box, torch.ones(1), torch.zeros(1), 0.5).tolist())
print(roi_align(torch.ones(1, 1, 8, 8), [box], 2).flatten().tolist())
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == ["[0]", "[1.0, 1.0, 1.0, 1.0]"]
