"""Prediction: known particles are found at any scale and in any tiles; nothing gives nothing."""

import numpy as np
import pytest
from scipy import ndimage

from models.measure.matching import evaluate
from models.segment.mask_rcnn.config import MaskRcnnError, NetworkConfig
from models.segment.mask_rcnn.detection import finder
from models.segment.mask_rcnn.finding import PredictionOptions
from models.segment.mask_rcnn.instances import Instances, render
from models.segment.mask_rcnn.prediction import segment_image
from models.segment.mask_rcnn.tiles import image_instances
from models.segment.mask_rcnn.torch_runtime import TorchParts
from models.segment.mask_rcnn.validation import tune_finder
from models.segment.star_convex.config import StarConvexError
from models.segment.star_convex.finding import Tiling
from models.segment.star_convex.patches import Example


@pytest.fixture(scope="module")
def segment(disc_network):
    def run(grey, **options):
        network = disc_network.network
        find = finder(TorchParts(network))
        return segment_image(find, network.config, grey, PredictionOptions(**options))

    return run


def test_a_handful_of_discs_is_learnt_by_heart(segment, disc_image):
    for seed in (0, 1, 200):
        example = disc_image(seed)
        labels, _ = segment(example.grey, diameter_px=27)
        counts = evaluate(example.labels, labels).at(0.5)
        assert counts.recall == 1
        assert counts.precision == 1
        assert counts.iou_sum / counts.true_positives > 0.8


@pytest.mark.parametrize("radius_px", [20, 30])
def test_the_typical_diameter_is_found_out(segment, disc_image, radius_px):
    example = disc_image(300, (6 * radius_px, 9 * radius_px), radius_px)
    labels, _ = segment(example.grey)
    assert evaluate(example.labels, labels).at(0.5).f1 >= 0.85


def test_every_particle_has_a_confidence_at_its_number(segment, disc_image):
    labels, confidence = segment(disc_image(301).grey, diameter_px=27)
    assert labels.dtype == np.int32
    assert confidence.dtype == np.float32
    np.testing.assert_array_equal(np.unique(labels), np.arange(len(confidence) + 1))
    assert ((confidence > 0.5) & (confidence <= 1)).all()
    assert (np.diff(confidence) <= 0).all()


@pytest.mark.parametrize("grey", [np.zeros((64, 80)), np.full((33, 200), 17, np.uint8)])
def test_an_empty_image_gives_an_empty_typed_result(segment, grey):
    labels, confidence = segment(grey)
    assert labels.shape == grey.shape
    assert labels.dtype == np.int32
    assert confidence.dtype == np.float32
    assert not labels.any()
    assert len(confidence) == 0


BLOCKS = NetworkConfig(mask_px=2)


def blocks(image, least):
    """Says that every bright rectangle is a particle, as probable as it is bright."""
    boxes, scores = [], []
    for rows, columns in ndimage.find_objects(ndimage.label(image > 0.2)[0]):
        boxes.append([columns.start, rows.start, columns.stop, rows.stop])
        scores.append(image[rows, columns].mean())
    found = Instances(
        np.array(boxes, np.float32).reshape(-1, 4) - np.float32(0.5),
        np.ones((len(boxes), 2, 2), np.float32),
        np.array(scores, np.float32),
    )
    return found.take(found.probability > least)


@pytest.mark.parametrize("core_px", [32, 64, 96])
def test_every_particle_comes_whole_and_once_from_tiles(core_px):
    rng = np.random.default_rng(0)
    image = np.zeros((150, 210), np.float32)
    for top in range(1, 120, 30):
        for left in range(1, 190, 30):
            height, width = rng.integers(8, 26, 2)
            image[top : top + height, left : left + width] = rng.uniform(0.3, 1)
    whole, said = render(
        image_instances(blocks, image, BLOCKS, 0.25, Tiling(256, 0)), (150, 210), 0.4
    )
    np.testing.assert_array_equal(whole > 0, image > 0)
    found = image_instances(blocks, image, BLOCKS, 0.25, Tiling(core_px, 32))
    assert len(found) == len(said) == 28
    tiled, again = render(found, (150, 210), 0.4)
    np.testing.assert_array_equal(tiled, whole)
    np.testing.assert_array_equal(again, said)


def test_labels_hardly_depend_on_the_tiles(segment, disc_image):
    """A network sees the border of a tile where the receptive field is wider than the overlap."""
    grey = disc_image(302, (230, 330)).grey
    whole, _ = segment(grey, diameter_px=27, tiling=Tiling(1000, 96))
    tiled, _ = segment(grey, diameter_px=27, tiling=Tiling(160, 128))
    assert evaluate(whole, tiled).at(0.75).f1 > 0.9
    assert ((whole > 0) != (tiled > 0)).mean() < 0.05


def test_thresholds_and_their_worth_come_from_images_that_were_not_learnt_from():
    """Dim rectangles are wrong here, bright ones mostly right."""
    rng = np.random.default_rng(0)
    examples = []
    for _ in range(4):
        grey, truth = np.zeros((150, 210)), np.zeros((150, 210), np.int32)
        for number, corner in enumerate(np.ndindex(4, 6), start=1):
            place = tuple(slice(30 * at + 2, 30 * at + 22) for at in corner)
            grey[place] = rng.uniform(0.35, 0.99)
            if grey[place].min() + rng.uniform(-0.1, 0.1) > 0.65:
                truth[place] = number
        grey[149] = 1  # brightest: grey levels stay as they are
        examples.append(Example(grey, truth))
    tuned = tune_finder(blocks, BLOCKS, examples)
    assert tuned.probability == pytest.approx(0.6, abs=0.11)
    dim, bright = tuned.calibration.confidence([0.5, 0.9])
    assert dim < 0.2
    assert bright > 0.8


@pytest.mark.parametrize(
    ("grey", "message"),
    [
        (np.zeros((2, 8, 8)), "shape"),
        (np.zeros((0, 8)), "not empty"),
        (np.full((8, 8), np.nan), "not finite"),
    ],
)
def test_what_is_no_image_is_refused(segment, grey, message):
    with pytest.raises(StarConvexError, match=message):
        segment(grey)


@pytest.mark.parametrize(
    "options", [{"probability": 1.0}, {"overlap": 2.0}, {"diameter_px": 0.0}, {"passes": -1}]
)
def test_options_without_meaning_are_refused(options):
    with pytest.raises(MaskRcnnError, match="take"):
        PredictionOptions(**options)
