"""Two images of one place are recognised with the right share of it, others are not."""

import cv2
import numpy as np
import pytest

from models.measure.image_overlap import compare, sketch

SHAPE = (480, 640)


def surface(seed: int, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """Overlapping discs of many sizes: what particles look like from far away."""
    rng = np.random.default_rng(seed)
    image = np.full(shape, 90, np.uint8)
    for _ in range(700):
        centre = (int(rng.integers(shape[1])), int(rng.integers(shape[0])))
        cv2.circle(image, centre, int(rng.integers(3, 22)), int(rng.integers(60, 200)), -1)
    noisy = cv2.GaussianBlur(image, (0, 0), 0.8) + rng.normal(0, 3, shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return surface(0)


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE))


def test_the_same_pixels_are_exact(image: np.ndarray) -> None:
    found = compare(sketch(image), sketch(image.copy()))
    assert found is not None
    assert (found.kind, found.fraction) == ("exact", 1.0)


@pytest.mark.parametrize(
    "copied",
    [
        lambda image: jpeg(image, 40),
        lambda image: np.clip(1.4 * image.astype(float) + 25, 0, 255).astype(np.uint8),
        lambda image: (255 * (image / 255) ** 2).astype(np.uint8),
        lambda image: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    ],
    ids=["re-encoded", "brightened", "gamma", "resized"],
)
def test_copies_of_the_whole_field_are_near(image: np.ndarray, copied) -> None:
    found = compare(sketch(image), sketch(copied(image)))
    assert found is not None
    assert found.kind == "near"
    assert found.fraction == pytest.approx(1, abs=0.02)


def test_a_crop_overlaps_by_all_of_itself(image: np.ndarray) -> None:
    found = compare(sketch(image), sketch(image[100:340, 150:450].copy()))
    assert found is not None
    assert found.kind == "overlapping"
    assert found.fraction == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("shift", [100, 200, 400])
def test_neighbouring_fields_overlap_by_what_they_share(shift: int) -> None:
    wide = surface(3, (480, 1100))
    found = compare(sketch(wide[:, :640]), sketch(wide[:, shift : shift + 640]))
    assert found is not None
    assert found.kind == "overlapping"
    assert found.fraction == pytest.approx(1 - shift / 640, abs=0.01)


def test_a_turned_and_enlarged_part_is_recognised(image: np.ndarray) -> None:
    turn = cv2.getRotationMatrix2D((320, 240), 20, 2)
    found = compare(sketch(image), sketch(cv2.warpAffine(image, turn, (640, 480))))
    assert found is not None
    assert found.kind == "overlapping"


def test_the_order_of_the_two_does_not_matter(image: np.ndarray) -> None:
    crop = sketch(image[:300, :400].copy())
    assert compare(sketch(image), crop) == compare(crop, sketch(image))


def test_other_places_are_not_confused() -> None:
    sketches = [sketch(surface(seed)) for seed in range(6)]
    pairs = [(a, b) for i, a in enumerate(sketches) for b in sketches[:i]]
    assert [compare(a, b) for a, b in pairs] == [None] * len(pairs)


@pytest.mark.parametrize("shape", [(3, 3), (40, 30), (480, 640)])
def test_an_image_of_one_grey_value_shows_no_place(shape: tuple[int, int]) -> None:
    flat = sketch(np.full(shape, 80, np.uint8))
    assert compare(flat, sketch(np.full(shape, 90, np.uint8))) is None
    assert len(flat.points) == 0


def test_a_sketch_is_small(image: np.ndarray) -> None:
    made = sketch(cv2.resize(image, None, fx=4, fy=4))
    assert max(made.grey.shape) <= 320
    assert made.grey.nbytes + made.points.nbytes + made.descriptors.nbytes < 300_000
