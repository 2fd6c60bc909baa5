"""The databar is found where it is, whatever is printed on it, and nowhere else."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from models.calibrate.databar import Box, ContentBox, find_content_box

BLANKS = (0, 255, 128)


def textured(rows, columns, *, mean=110.0, contrast=35.0, noise=4.0, seed=0):
    """Grains with detector noise."""
    rng = np.random.default_rng(seed)
    grains = cv2.GaussianBlur(rng.standard_normal((rows, columns)), (0, 0), 6)
    field = mean + contrast * grains / grains.std() + noise * rng.standard_normal(grains.shape)
    return np.clip(field, 0, 255).astype(np.uint8)


def strip(rows, columns, *, ground=0, ink=255, text="15 kV  x1000  WD 8mm  100 um"):
    image = Image.new("L", (columns, rows), ground)
    font = ImageFont.load_default(size=rows // 3)
    ImageDraw.Draw(image).text((10, rows // 3), text, fill=ink, font=font)
    return np.asarray(image)


def load(path):
    return np.asarray(Image.open(path).convert("L"))


@pytest.mark.parametrize(("ground", "ink"), [(0, 255), (255, 0), (60, 230), (200, 20)])
@pytest.mark.parametrize("rows", [24, 64, 100])
def test_strip_of_any_colour_is_found_at_the_foot(ground, ink, rows):
    content = textured(480, 640)
    box = find_content_box(np.vstack([content, strip(rows, 640, ground=ground, ink=ink)]))
    assert box == ContentBox(0, 0, 480, 640, Box(480, 0, 480 + rows, 640))


def test_strip_is_found_at_the_head():
    content = textured(480, 640)
    image = np.vstack([strip(40, 640, ground=255, ink=0), content])
    box = find_content_box(image)
    assert box == ContentBox(40, 0, 520, 640, Box(0, 0, 40, 640))
    np.testing.assert_array_equal(box.crop(image), content)


def test_separator_lines_and_frame_belong_to_the_strip():
    bar = strip(64, 640).copy()
    bar[[0, 16, 63]] = 255
    bar[:, [0, 200, 400, 639]] = 255
    box = find_content_box(np.vstack([textured(480, 640), bar]))
    assert box.databar is not None
    assert box.y1 in (480, 481)


@settings(deadline=None, max_examples=30)
@given(
    height=st.integers(20, 100),
    blank=st.integers(0, 255),
    mean=st.integers(20, 230),
    noise=st.floats(2.0, 12.0),
    seed=st.integers(0, 2**16),
)
def test_blanking_leaves_the_box(height, blank, mean, noise, seed):
    image = np.vstack([textured(400, 512, mean=mean, noise=noise, seed=seed), strip(height, 512)])
    box = find_content_box(image)
    image[box.y1 :] = blank
    assert box.databar is not None
    assert find_content_box(image) == box


@settings(deadline=None, max_examples=20)
@given(text=st.text(alphabet="0123456789 kVxmuWD.:", min_size=3, max_size=40))
def test_other_text_leaves_the_box(text):
    content = textured(400, 640)
    box = find_content_box(np.vstack([content, strip(60, 640, text=text + "5.0")]))
    assert box.y1 == 400


@pytest.mark.parametrize("level", [0, 1, 128, 255])
def test_uniform_image_has_no_databar(level):
    image = np.full((300, 400), level, np.uint8)
    assert find_content_box(image) == ContentBox(0, 0, 300, 400, None)


@pytest.mark.parametrize("level", [0, 6, 128, 250])
@pytest.mark.parametrize("noise", [0.7, 1.5, 4.0])
def test_noisy_band_at_the_foot_is_specimen(level, noise):
    rng = np.random.default_rng(3)
    image = textured(480, 640)
    band = level + noise * rng.standard_normal((70, 640))
    image[410:] = np.clip(np.rint(band), 0, 255)
    assert find_content_box(image).databar is None


def test_vignette_that_fades_to_black_is_specimen():
    fade = np.clip(np.linspace(2.0, -0.6, 480), 0, 1)[:, np.newaxis]
    image = (textured(480, 640) * fade).astype(np.uint8)
    assert (image[-40:] == 0).all()
    assert find_content_box(image).databar is None


def test_ragged_dark_pore_at_the_foot_is_specimen():
    image = textured(480, 640)
    edge = 430 + 12 * np.sin(np.arange(640) / 25)
    image[np.arange(480)[:, np.newaxis] > edge] = 0
    assert find_content_box(image).databar is None


def test_label_box_in_a_corner_is_not_a_databar():
    image = textured(480, 640)
    image[440:, :200] = strip(40, 200, ground=255, ink=0, text="100 nm")
    assert find_content_box(image).databar is None


@pytest.mark.parametrize("shape", [(1, 1), (5, 40), (16, 16), (40, 5), (2000, 1)])
def test_tiny_images_have_no_databar(shape):
    image = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    assert find_content_box(image).databar is None


def test_only_grey_uint8_is_taken():
    with pytest.raises(ValueError, match="uint8"):
        find_content_box(np.zeros((4, 4), np.uint16))
    with pytest.raises(ValueError, match=r"\(Y, X\)"):
        find_content_box(np.zeros((4, 4, 3), np.uint8))


def collections(folder: Path):
    sec = [(path, 896) for path in sorted(folder.glob("ncm622_cycled_sem/*.jpg"))]
    jeol = [(path, 960) for path in sorted(folder.glob("llzto_llto_sem/LL*/*/*"))]
    return sec + jeol


@pytest.mark.real_data
def test_row_and_blanking_on_every_real_databar(real_data):
    files = collections(real_data)
    assert len(files) == 51 + 67
    for path, row in files:
        image = load(path)
        box = find_content_box(image)
        assert (box.y1, box.databar) == (row, Box(row, 0, *image.shape)), path.name
        for blank in (*BLANKS, int(np.median(box.crop(image)))):
            blanked = image.copy()
            blanked[row:] = blank
            assert find_content_box(blanked) == box, (path.name, blank)


@pytest.mark.real_data
@pytest.mark.parametrize("quality", [60, 90])
@pytest.mark.parametrize("scale", [0.5, 0.73, 1.0, 1.5])
def test_recompressed_and_resized_copies(real_data, quality, scale):
    for path, row in collections(real_data)[::20]:
        image = load(path)[3:]  # the edge no longer lies between two blocks of the codec
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        _, stream = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])
        copy = cv2.imdecode(stream, cv2.IMREAD_GRAYSCALE)
        box = find_content_box(copy)
        assert abs(box.y1 - (row - 3) * scale) <= 2, path.name
        copy[box.y1 :] = 128
        assert find_content_box(copy) == box, path.name


@pytest.mark.real_data
def test_cropped_micrographs_have_no_databar(real_data):
    paths = sorted(real_data.glob("uhcs/*.png"))
    assert len(paths) == 97
    for path in paths:
        image = load(path)
        assert find_content_box(image) == ContentBox(0, 0, *image.shape, None), path.name


# First row of the strip, read off the published figures by eye.
FIGURES_WITH_STRIP = {
    "07330c8ea1": 514, "1b3c6536a3": 462, "21308b3614": 481, "2bc87a8698": 487,
    "2e4a3ab627": 487, "3027f9ffe7": 476, "37ce835fb2": 466, "427ebc9e15": 450,
    "4628753cd8": 465, "7e85b64066": 464, "a1dada3898": 481, "a4027c076c": 465,
    "af124a45d9": 483, "bc5529f7ca": 483, "c36b04376a": 482, "c984680063": 486,
    "ea71fe4650": 481,
}  # fmt: skip


@pytest.mark.real_data
def test_published_figures_with_and_without_strip(real_data):
    found = {}
    for path in sorted(real_data.glob("emps/images/*.png")):
        image = load(path)
        box = find_content_box(image)
        if box.databar is None:
            continue
        found[path.stem] = box.y1
        for blank in BLANKS:
            blanked = image.copy()
            blanked[box.y1 :] = blank
            assert find_content_box(blanked) == box, (path.name, blank)
    assert found.keys() == FIGURES_WITH_STRIP.keys()
    for name, row in FIGURES_WITH_STRIP.items():
        assert abs(found[name] - row) <= 2, name
