"""Prediction: known particles are found at any scale and in any tiles; nothing gives nothing."""

import numpy as np
import pytest

from models.measure.matching import evaluate
from models.segment.star_convex.config import NetworkConfig, StarConvexError
from models.segment.star_convex.finding import PredictionOptions, Tiling
from models.segment.star_convex.options import TrainingOptions
from models.segment.star_convex.patches import Augmentation, prepare
from models.segment.star_convex.prediction import segment_image
from models.segment.star_convex.scaling import normalised, resized, scale_factor
from models.segment.star_convex.shapes import candidates
from models.segment.star_convex.tiles import image_candidates
from models.segment.star_convex.torch_runtime import torch_forward
from models.segment.star_convex.training import train
from models.segment.star_convex.validation import choose_thresholds, validation_patches

LEAST = 0.3  # so short a training leaves probabilities low


@pytest.fixture(scope="module")
def segment(small_network):
    forward = torch_forward(small_network.network)

    def run(grey, **options):
        options = PredictionOptions(**{"probability": LEAST} | options)
        return segment_image(forward, small_network.network.config, grey, options=options)

    return run


def test_a_short_training_finds_nine_of_ten_particles(segment, made_particles):
    found = [
        evaluate(made.labels, segment(made.image, diameter_px=30).labels).at(0.5)
        for made in (made_particles(seed) for seed in (200, 201, 202))
    ]
    counts = found[0] + found[1] + found[2]
    assert counts.recall >= 0.9
    assert counts.precision >= 0.9


@pytest.mark.parametrize("diameter_px", [22.0, 60.0, 100.0])
def test_the_typical_diameter_is_found_out(segment, made_particles, diameter_px):
    side = int(256 * max(diameter_px / 30, 1))
    made = made_particles(300, diameter_px=diameter_px, shape_px=(side, side), overlap=0.0)
    found = segment(made.image)
    assert found.diameter_px == pytest.approx(diameter_px, rel=0.15)
    assert evaluate(made.labels, found.labels).at(0.5).f1 >= 0.85


def test_every_particle_has_a_confidence_at_its_number(segment, made_particles):
    found = segment(made_particles(301).image, refine=True)
    assert found.labels.dtype == np.int32
    np.testing.assert_array_equal(np.unique(found.labels), np.arange(len(found.confidence) + 1))
    assert ((found.confidence > LEAST) & (found.confidence <= 1)).all()
    assert (np.diff(found.confidence) <= 0).all()


@pytest.mark.parametrize("grey", [np.zeros((64, 80)), np.full((33, 200), 17, np.uint8)])
def test_an_empty_image_gives_an_empty_typed_result(segment, grey):
    found = segment(grey)
    assert found.labels.shape == grey.shape
    assert found.labels.dtype == np.int32
    assert found.confidence.dtype == np.float32
    assert not found.labels.any()
    assert len(found.confidence) == 0
    assert found.diameter_px is None


@pytest.mark.parametrize("core_px", [64, 112, 200])
def test_labels_do_not_depend_on_the_tiles(segment, made_particles, core_px):
    """But for one pixel in a thousand: sums of the network's convolutions round differently."""
    grey = made_particles(302, shape_px=(230, 330)).image
    whole = segment(grey, diameter_px=30, tiling=Tiling(1000, 96)).labels
    tiled = segment(grey, diameter_px=30, tiling=Tiling(core_px, 96)).labels
    agreement = evaluate(whole, tiled)
    assert agreement.at(0.9).f1 == 1
    assert ((whole > 0) != (tiled > 0)).mean() < 1e-3


def test_every_candidate_comes_from_one_tile():
    config = NetworkConfig(kind="unet", rays=4)

    def forward(image):
        """The grey level as probability, and a fixed outline."""
        probability = image[::2, ::2]
        return probability, np.ones((4, *probability.shape), np.float32)

    image = np.random.default_rng(0).random((160, 208), dtype=np.float32)
    whole = candidates(*forward(image), 2, 0.5)
    tiled = image_candidates(forward, image, config, 0.5, Tiling(48, 16))
    order = np.lexsort((tiled.points[:, 1], tiled.points[:, 0]))
    np.testing.assert_array_equal(tiled.points[order], whole.points)
    np.testing.assert_array_equal(tiled.probability[order], whole.probability)


def test_grey_levels_are_normalised_whatever_their_depth():
    grey = np.random.default_rng(0).integers(0, 200, (50, 60))
    np.testing.assert_allclose(normalised(grey * 256 + 1000), normalised(grey), atol=1e-5)
    assert not normalised(np.full((5, 5), 9)).any()


def test_scaling_has_limits():
    assert scale_factor(60, 30, (500, 500)) == 0.5
    assert scale_factor(500, 30, (500, 400)) == pytest.approx(96 / 500)
    assert scale_factor(2, 30, (500, 400)) == 4
    assert resized(np.zeros((10, 20), np.float32), 0.01).shape == (1, 1)


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
    with pytest.raises(StarConvexError, match="take"):
        PredictionOptions(**options)


@pytest.mark.slow
def test_two_minutes_on_phantoms_of_any_look(made_particles, made_example):
    options = TrainingOptions(
        epochs=7,
        steps=40,
        batch=4,
        patch_px=160,
        learning_rate=2e-3,
        averaging=0.95,
        augmentation=Augmentation(1.6, 0.3, 0.2, 0.2, 0.3),
    )
    seen = [made_example(seed, "seen", contrast=60 + 10 * seed) for seed in range(6)]
    unseen = [made_example(100 + seed, "unseen") for seed in range(4)]
    trained = train(NetworkConfig(), seen, unseen, options)
    patches = validation_patches(prepare(unseen), trained.network.config, options)
    probability, overlap = choose_thresholds(trained.network, patches)
    forward = torch_forward(trained.network)
    options = PredictionOptions(probability=probability, overlap=overlap)
    counts = []
    for seed, contrast in ((400, 70), (401, 100), (402, -70)):
        made = made_particles(seed, contrast=contrast, background=120)
        found = segment_image(forward, trained.network.config, made.image, options=options)
        counts.append(evaluate(made.labels, found.labels).at(0.5))
    whole = counts[0] + counts[1] + counts[2]
    assert whole.recall >= 0.9
    assert whole.precision >= 0.9
