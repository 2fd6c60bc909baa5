"""What is in micrographs and is no particle: letters, scale bars, databars, frames, texture.

Drawn into training images, so that the network learns not to take them for particles.
Out of scope: geometry and tone of the images (`patches`).
"""

import functools
import string
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from models.phantoms.databar import (
    DATABAR_MIN_WIDTH_PX,
    DatabarText,
    draw_databar,
    length_label,
    scale_bar,
)
from models.phantoms.shading import height_px, secondary_electrons
from models.phantoms.surface import grain_labels

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int32]

_LETTERS = np.array(list(string.ascii_letters + string.digits + "()=.:%#"))
_FONT_SIZES = (8, 12, 18, 26, 40)
_EDGE_PX = 1.5  # softness of the border between particle and pasted background


def print_on(image: Floats, labels: Labels, rng: np.random.Generator) -> None:
    """Draw one to three things that are printed on micrographs, in place.

    What has a ground of its own (databars, boxes) hides particles, which end there; letters and
    bars drawn straight on the image leave them as they are, as people who outline particles do.

    Args:
        image: (Y, X) of about 0…1.
        labels: (Y, X).
        rng: source of everything.
    """
    things: tuple[Callable[[Floats, Labels, np.random.Generator], None], ...]
    things = (_letters, _letters, _bar, _databar, _frame)
    for _ in range(int(rng.integers(1, 4))):
        things[int(rng.integers(len(things)))](image, labels, rng)


def paste_background(image: Floats, labels: Labels, rng: np.random.Generator) -> Floats:
    """Lay a texture under the particles, wholly or partly replacing what was there.

    Args:
        image: (Y, X) of about 0…1.
        labels: (Y, X), 0 is replaced.
        rng: source of everything.
    """
    ground = (labels == 0).astype(np.float32)
    softened = np.asarray(cv2.GaussianBlur(ground, (0, 0), _EDGE_PX), dtype=np.float32)
    share = np.float32(rng.uniform(0.2, 1.0)) * softened * ground
    level = np.float32(np.median(image[labels == 0]) if ground.any() else 0.5)
    amplitude = np.float32(rng.uniform(0.03, 0.25))
    laid = level + amplitude * texture((image.shape[0], image.shape[1]), rng)
    return np.asarray(image * (1 - share) + laid * share, dtype=np.float32)


def texture(shape_px: tuple[int, int], rng: np.random.Generator, *, grains: bool = True) -> Floats:
    """A surface of mean 0 and deviation 1: clouds, grooves or fine grains.

    Args:
        shape_px: (Y, X).
        rng: source of everything.
        grains: whether they are among them; they are particles where they are alone.
    """
    kinds = (_clouds, _clouds, _grooves, _grains) if grains else (_clouds, _clouds, _grooves)
    pattern = kinds[int(rng.integers(len(kinds)))](shape_px, rng)
    return np.asarray((pattern - pattern.mean()) / max(float(pattern.std()), 1e-6), np.float32)


def _clouds(shape_px: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Noise of several correlation lengths, the long ones stronger by a random exponent."""
    total = np.zeros(shape_px, dtype=np.float32)
    exponent = rng.uniform(0.0, 1.2)
    for length_px in (1, 2, 4, 8, 16, 32):
        coarse = [side // length_px + 2 for side in shape_px]
        noise = rng.standard_normal(coarse).astype(np.float32)
        large = cv2.resize(noise, shape_px[::-1], interpolation=cv2.INTER_CUBIC)
        total += np.float32(length_px**exponent) * large
    return total


def _grooves(shape_px: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Noise drawn out in one direction: brushed foil, fibres, curtaining."""
    noise = rng.standard_normal(shape_px).astype(np.float32)
    across, along = rng.uniform(0.6, 3.0), rng.uniform(10, 40)
    smooth = cv2.GaussianBlur(noise, (0, 0), sigmaX=along, sigmaY=across)
    middle = (shape_px[1] / 2, shape_px[0] / 2)
    turn = cv2.getRotationMatrix2D(middle, float(rng.uniform(0, 180)), 1.0)
    turned = cv2.warpAffine(smooth, turn, shape_px[::-1], borderMode=cv2.BORDER_REFLECT)
    return np.asarray(turned, dtype=np.float32)


def _grains(shape_px: tuple[int, int], rng: np.random.Generator) -> Floats:
    """A sintered surface of grains much finer than the particles."""
    diameter_px = float(rng.uniform(5, 9))
    labels = grain_labels(shape_px, diameter_px, rng)
    height = height_px(labels, diameter_px, 0.2, float(rng.uniform(0, 1)), rng)
    return secondary_electrons(labels, height, diameter_px, rng)


def _letters(image: Floats, labels: Labels, rng: np.random.Generator) -> None:
    words = "".join(rng.choice(_LETTERS, int(rng.integers(1, 12))))
    if rng.random() < 0.3:  # a panel letter
        words = f"({words[0]})" if rng.random() < 0.5 else words[0]
    _put(image, labels, _written(words, rng), rng)


def _bar(image: Floats, labels: Labels, rng: np.random.Generator) -> None:
    """A scale bar with its length, above or below it."""
    length, thick = int(rng.integers(25, 160)), int(rng.integers(2, 9))
    bar = np.ones((thick, length), dtype=np.float32)
    words = _written(length_label(float(rng.choice([1, 2, 5, 10, 20, 50, 100, 500]))), rng)
    width = max(length, words.shape[1])
    parts = [_centred(part, width) for part in (bar, words)]
    gap = np.zeros((2, width), dtype=np.float32)
    order = (1, 0) if rng.random() < 0.5 else (0, 1)
    _put(image, labels, np.vstack([parts[order[0]], gap, parts[order[1]]]), rng)


def _databar(image: Floats, labels: Labels, rng: np.random.Generator) -> None:
    """A strip along the upper or lower border."""
    bar_px, bar_um = scale_bar(float(10 ** rng.uniform(-3, 1)))
    text = DatabarText(
        voltage=f"{rng.integers(1, 31)} kV",
        magnification=f"x{rng.integers(1, 100) * 500}",
        acquired_at=f"20{rng.integers(10, 26)}.{rng.integers(1, 13):02d}",
        working_distance=f"WD {rng.uniform(3, 15):.1f}mm",
    )
    width = DATABAR_MIN_WIDTH_PX
    strip = draw_databar(width, text, bar_px, bar_um).astype(np.float32) / 255
    rows = min(int(rng.integers(14, 56)), image.shape[0] // 3)
    columns = max(round(width * rows / len(strip)), image.shape[1])
    small = cv2.resize(strip, (columns, rows), interpolation=cv2.INTER_AREA)
    start = int(rng.integers(columns - image.shape[1] + 1))
    strip = np.asarray(small[:, start : start + image.shape[1]], dtype=np.float32)
    if rng.random() < 0.3:
        strip = 1 - strip
    place = slice(-rows, None) if rng.random() < 0.8 else slice(0, rows)
    image[place] = np.float32(rng.uniform(0.9, 1.2)) * strip
    labels[place] = 0


def _frame(image: Floats, labels: Labels, rng: np.random.Generator) -> None:
    """The outline of a box, an ellipse or an arrow: a marked region or an inset's border."""
    canvas = np.zeros(image.shape, dtype=np.uint8)
    rows, columns = image.shape
    start = [int(rng.integers(columns)), int(rng.integers(rows))]
    size = rng.integers(15, 120, 2).tolist()
    thick, kind = int(rng.integers(1, 4)), int(rng.integers(3))
    end = [start[0] + size[0], start[1] + size[1]]
    if kind == 0:
        cv2.rectangle(canvas, start, end, 255, thick)
    elif kind == 1:
        cv2.ellipse(canvas, (start, size, float(rng.uniform(0, 180))), 255, thick)
    else:
        cv2.arrowedLine(canvas, start, end, 255, thick, tipLength=0.3)
    ink = canvas.astype(np.float32) / 255
    image[:] = image * (1 - ink) + _ink(rng) * ink


def _put(image: Floats, labels: Labels, print_: Floats, rng: np.random.Generator) -> None:
    """Print something at a random place, now and then on a box of its own."""
    print_ = print_[: image.shape[0], : image.shape[1]]
    top, left = (
        int(rng.integers(whole - part + 1))
        for whole, part in zip(image.shape, print_.shape, strict=True)
    )
    box = (slice(top, top + print_.shape[0]), slice(left, left + print_.shape[1]))
    ink = _ink(rng)
    if rng.random() < 0.3:
        image[box] = 1 - ink
        labels[box] = 0
    image[box] = image[box] * (1 - print_) + ink * print_


def _ink(rng: np.random.Generator) -> np.float32:
    return np.float32(rng.choice([0.0, 1.0, 1.0, rng.uniform(0.2, 0.9)]))


def _written(words: str, rng: np.random.Generator) -> Floats:
    """Coverage 0…1 of words in one of a few sizes."""
    font = _font(int(rng.choice(_FONT_SIZES)))
    left, top, right, bottom = (round(side) for side in font.getbbox(words))
    sheet = Image.new("L", (max(right - left, 1) + 4, max(bottom - top, 1) + 4), 0)
    ImageDraw.Draw(sheet).text((2 - left, 2 - top), words, fill=255, font=font)
    return np.asarray(np.array(sheet, dtype=np.float32) / 255, dtype=np.float32)


def _centred(part: Floats, width: int) -> Floats:
    before = (width - part.shape[1]) // 2
    return np.pad(part, ((0, 0), (before, width - part.shape[1] - before)))


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)
