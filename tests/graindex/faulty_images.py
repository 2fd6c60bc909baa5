"""Faults planted into real images of a home: the image changed, its figures measured again.

Out of scope: what the checks make of them.
"""

from dataclasses import asdict

import cv2
import numpy as np

from graindex.originals import load_content
from graindex.store import Store
from models.measure.image_faults import image_faults
from models.measure.image_quality import image_quality
from schemas.arrow import from_records
from schemas.tables import TABLES

Grey = np.ndarray


def clip(image: Grey) -> Grey:
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def blurred(image: Grey, sigma: float) -> Grey:
    return clip(cv2.GaussianBlur(image.astype(np.float32), (0, 0), sigma))


def defocused(image: Grey, sigma: float, noise: float, rng: np.random.Generator) -> Grey:
    """Blurred before the detector's noise was added."""
    smooth = cv2.GaussianBlur(image.astype(np.float32), (0, 0), sigma)
    return clip(smooth + rng.normal(0, noise, image.shape))


def overexposed(image: Grey, share: float) -> Grey:
    """Gain so high that a share of the pixels is white."""
    return clip(image * (255.0 / max(float(np.quantile(image, 1 - share)), 1.0)))


def underexposed(image: Grey, share: float) -> Grey:
    """Black level so high that a share of the pixels is black."""
    black = float(np.quantile(image, share))
    return clip((image - black) * (255.0 / (255.0 - black)))


def charged(image: Grey, rng: np.random.Generator) -> Grey:
    """Streaks along the scan lines that fade as the charge drains."""
    bright = image.astype(np.float32)
    height, width = image.shape
    for _ in range(int(rng.integers(3, 9))):
        top, rows = int(rng.integers(0, height - 12)), int(rng.integers(2, 13))
        start, fade = int(rng.integers(0, 3 * width // 4)), rng.uniform(0.25, 1) * width
        amplitude = rng.uniform(50, 130) * rng.choice([1, 1, 1, -1])
        bright[top : top + rows, start:] += amplitude * np.exp(-np.arange(width - start) / fade)
    return clip(bright)


def bare_foil(shape: tuple[int, int], brightness: float, rng: np.random.Generator) -> Grey:
    """Noise, faint rolling marks and a slope of brightness: a foil without coating."""
    height, width = shape
    marks = rng.normal(0, rng.uniform(0.5, 2), (height, 1)).repeat(width, axis=1)
    y, x = np.mgrid[:height, :width]
    slope = rng.uniform(-15, 15) * (x / width - 0.5) + rng.uniform(-15, 15) * (y / height - 0.5)
    noise = rng.normal(0, rng.uniform(2, 8), shape)
    return clip(brightness + noise + cv2.GaussianBlur(marks, (0, 0), 3) + slope)


def contents(store: Store, dataset: str) -> dict[str, Grey]:
    """Content of each image of a collection, by `micrograph_id`."""
    rows = store.read("micrographs", dataset).to_pylist()
    return {row["micrograph_id"]: load_content(row, store.limits) for row in rows}


def measure_again(store: Store, dataset: str, changed: dict[str, Grey]) -> None:
    """Put the figures of changed images in the place of those of the originals."""
    for table, figures in (("image_quality", image_quality), ("image_faults", image_faults)):
        rows = {row["micrograph_id"]: row for row in store.read(table, dataset).to_pylist()}
        for key, image in changed.items():
            rows[key] |= asdict(figures(image))
        records = from_records(TABLES[table], list(rows.values()))
        store.lake.replace({table: records}, dataset, author="test", message="planted")
