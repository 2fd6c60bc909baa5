"""Slices labelled alone and linked: spheres that are known come back."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from models.measure.arrays import InvalidVolumeError
from models.measure.matching import evaluate
from models.segment.star_convex.config import StarConvexError
from models.segment.view_fusion.linked import segment_slices
from models.segment.view_fusion.options import SliceOptions
from models.segment.view_fusion.sliced import slice_labels, slices_diameter_px

SURE = SliceOptions()
ONE_SCALE = replace(
    SURE, diameter_px=20.0, detail=1.0, smallest=0.2, links=replace(SURE.links, confidence=0.1)
)
CUBIC = (0.5, 0.5, 0.5)


def test_linked_slices_are_the_spheres(config, packed) -> None:
    out = np.full(packed.labels.shape, 7, np.int32)
    steps = []
    found = segment_slices(
        packed.exact,
        config,
        packed.volume,
        spacing_um=CUBIC,
        options=ONE_SCALE,
        labels_out=out,
        progress=lambda done, of: steps.append((done, of)),
    )
    assert found.labels is out
    assert found.diameter_px == 20
    counts = evaluate(packed.labels, out).at(0.5)
    assert counts.f1 == 1
    assert counts.mean_matched_iou > 0.8
    assert found.confidence.shape == (out.max(),)
    assert ((found.confidence > 0.1) & (found.confidence <= 1)).all()
    assert steps == [(n + 1, len(out)) for n in range(len(out))]
    least = float(np.median(found.confidence))
    surer = replace(ONE_SCALE, links=replace(ONE_SCALE.links, confidence=least))
    again = segment_slices(
        packed.exact, config, packed.volume, spacing_um=CUBIC, options=surer
    ).confidence
    np.testing.assert_array_equal(again, found.confidence[found.confidence >= least])


def test_every_second_slice_says_the_same_with_its_distance(config, packed) -> None:
    thin, labels = packed.volume[::2], packed.labels[::2]
    found = segment_slices(
        packed.exact, config, thin, spacing_um=(1.0, 0.5, 0.5), options=ONE_SCALE
    )
    assert evaluate(labels, found.labels).at(0.5).f1 == 1


@pytest.mark.parametrize("cut_px", [0, 4])
def test_a_particle_that_the_edge_cuts_is_found(config, bright, spheres, cut_px) -> None:
    made = spheres((30, 60, 60), [(15, 30, cut_px), (15, 30, 40)], [10, 10])
    found = segment_slices(bright, config, made.volume, spacing_um=CUBIC, options=ONE_SCALE)
    assert evaluate(made.labels, found.labels).at(0.75).f1 == 1


def test_memory_does_not_grow_with_the_depth(config, bright, spheres, tmp_path) -> None:
    made = spheres((20, 40, 40), [(10, 20, 20)], [9])

    def peak_bytes(times: int) -> int:
        volume, out = (
            np.memmap(tmp_path / f"{name}{times}", kind, "w+", shape=(20 * times, 40, 40))
            for name, kind in (("grey", np.float32), ("labels", np.int32))
        )
        volume[:] = np.tile(made.volume, (times, 1, 1))
        tracemalloc.start()
        segment_slices(bright, config, volume, spacing_um=CUBIC, options=ONE_SCALE, labels_out=out)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert out.max() == times
        return peak

    peak_bytes(2)  # compiles what is compiled
    more = 4 * 2 * made.volume.nbytes  # grey levels and labels
    assert peak_bytes(6) < peak_bytes(2) + more / 4


def test_slices_without_particles_stay_empty(config, bright, spheres) -> None:
    made = spheres((30, 40, 40), [(15, 20, 20)], [9])
    seen = list(slice_labels(bright, config, made.volume, diameter_px=20.0, options=ONE_SCALE))
    assert [bool(image.any()) for image, _ in seen[:3]] == [False] * 3
    image, probability = seen[15]
    assert image.max() == len(probability) == 1
    assert (image.dtype, probability.dtype) == (np.int32, np.float32)


def test_nothing_is_found_in_an_empty_volume(config, bright) -> None:
    empty = np.zeros((4, 40, 40), np.uint8)
    assert slices_diameter_px(bright, config, empty) is None
    out = np.full(empty.shape, 7, np.int32)
    found = segment_slices(bright, config, empty, spacing_um=CUBIC, labels_out=out)
    assert found.diameter_px is None
    assert not out.any()
    assert len(found.confidence) == 0


def test_what_does_not_fit_is_refused(config, bright) -> None:
    with pytest.raises(InvalidVolumeError, match="expected axes"):
        slices_diameter_px(bright, config, np.zeros((40, 40)))
    holed = np.zeros((4, 40, 40))
    holed[1] = np.nan
    with pytest.raises(InvalidVolumeError, match="NaN or infinite"):
        list(slice_labels(bright, config, holed, diameter_px=20.0))
    whole = np.zeros((4, 40, 40))
    with pytest.raises(InvalidVolumeError, match="square; take view-fusion"):
        segment_slices(bright, config, whole, spacing_um=(0.5, 0.5, 0.4))
    with pytest.raises(InvalidVolumeError, match="labels_out"):
        out = np.zeros((3, 40, 40), np.int32)
        segment_slices(bright, config, whole, spacing_um=CUBIC, labels_out=out)
    with pytest.raises(StarConvexError, match="take a share"):
        SliceOptions(probability=1.5)
    with pytest.raises(StarConvexError, match="smallest is -1"):
        SliceOptions(smallest=-1)
