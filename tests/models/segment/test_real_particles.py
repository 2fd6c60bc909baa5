"""Watershed on real micrographs with instances outlined by hand, and on a real electrode."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from models.segment.blocks import segment_blocks
from models.segment.watershed import segment_image, segment_volume
from models.segment.watershed_options import WatershedOptions

pytestmark = pytest.mark.real_data

IOU = 0.5


def matches(found: np.ndarray, truth: np.ndarray) -> tuple[int, int, int]:
    """Pairs that overlap by more than half of their union, found and true particles."""
    table = np.zeros((int(found.max()) + 1, int(truth.max()) + 1), np.int64)
    np.add.at(table, (found.ravel(), truth.ravel()), 1)
    shared = table[1:, 1:]
    sizes, true_sizes = table[1:].sum(axis=1), table[:, 1:].sum(axis=0)
    union = sizes[:, None] + true_sizes - shared
    pairs = int((shared > IOU * np.maximum(union, 1)).sum())
    return pairs, int((sizes > 0).sum()), int((true_sizes > 0).sum())


def f1_score(folder: Path, every: int, polarity_known: bool) -> float:
    """Over the particles of every so manyth image."""
    totals = np.zeros(3)
    for path in sorted((folder / "images").glob("*.png"))[::every]:
        grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        truth = cv2.imread(str(folder / "segmaps" / path.name), cv2.IMREAD_UNCHANGED)
        sides = ("bright", "dark") if polarity_known else ("auto",)
        tries = [segment_image(grey, options=WatershedOptions(polarity=side)) for side in sides]
        best = max(tries, key=lambda labels: ((labels > 0) == (truth > 0)).mean())
        totals += matches(best, truth)
    return float(2 * totals[0] / (totals[1] + totals[2]))


def test_particles_of_many_materials(real_data: Path) -> None:
    assert f1_score(real_data / "emps", every=3, polarity_known=False) > 0.5  # 0.53


@pytest.mark.slow
def test_particles_of_many_materials_in_full(real_data: Path) -> None:
    assert f1_score(real_data / "emps", every=1, polarity_known=False) > 0.46  # 0.471
    assert f1_score(real_data / "emps", every=1, polarity_known=True) > 0.6  # 0.619


def test_an_electrode_in_blocks(real_data: Path) -> None:
    name = "taufactor_electrode_256.tif"
    phases = tifffile.imread(real_data / "nmc_tomography" / name)[:96, :128, :160]
    options = WatershedOptions(phase_values=(85,))
    whole = segment_volume(phases, spacing_um=(1, 1, 1), options=options)
    labels = np.zeros(phases.shape, np.int32)
    count = segment_blocks(
        phases,
        labels,
        spacing_um=(1, 1, 1),
        options=options,
        block_shape=(96, 128, 80),
        overlap=48,
    )
    sizes = np.bincount(whole.ravel())[1:]
    diameter = np.cbrt(6 * sizes / np.pi)
    assert 12 < np.median(diameter) < 40
    assert abs(count - whole.max()) <= 0.02 * whole.max()
    pairs, found, true = matches(labels, whole)
    assert 2 * pairs / (found + true) > 0.97
