import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from models.encode.config import EncoderConfig
from models.encode.conversion import cosine
from models.encode.encoder import Encoder
from models.encode.openvino_runtime import core

JEOL_CONTENT_ROWS = 960
"""Of 1024; the databar below prints date and magnification, which go with the class."""


def read_grey(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("L"))


def precision_at_1(encoder: Encoder, paths: list[Path], labels: list[str], load) -> float:
    """Share of images whose nearest other image by cosine bears the same label."""
    found = dict(encoder.encode_stream(paths, load))
    vectors = np.stack([found[path] for path in paths])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    likeness = vectors @ vectors.T
    np.fill_diagonal(likeness, -1)
    names = np.asarray(labels)
    return float(np.mean(names[likeness.argmax(axis=1)] == names))


# That a store finds the same neighbours is tested with every run, in `tests/end_to_end/test_real`.
@pytest.mark.slow
@pytest.mark.real_data
def test_the_nearest_steel_has_the_same_microconstituent(encoder, real_data):
    with (real_data / "uhcs" / "metadata.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    images = {path.name: path for path in (real_data / "uhcs").rglob("*.png")}
    paths = [images[row["path"]] for row in rows]
    labels = [row["primary_microconstituent"] for row in rows]
    assert len(paths) == 97
    assert precision_at_1(encoder, paths, labels, read_grey) >= 0.85


@pytest.mark.slow
@pytest.mark.real_data
def test_the_nearest_electrolyte_is_of_the_same_material(encoder, real_data):
    folder = real_data / "llzto_llto_sem"
    paths = [p for name in ("LLZTO", "LLTO") for p in (folder / name).rglob("*") if p.is_file()]
    labels = [path.relative_to(folder).parts[0] for path in paths]
    assert len(paths) == 67
    found = precision_at_1(encoder, paths, labels, lambda path: read_grey(path)[:JEOL_CONTENT_ROWS])
    assert found >= 0.95


@pytest.mark.real_data
def test_the_scale_of_the_file_hardly_matters(encoder, real_data):
    path = sorted((real_data / "ncm622_cycled_sem").glob("*.jpg"))[0]
    whole = read_grey(path)[:896]
    half = cv2.resize(whole, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    other = read_grey(sorted((real_data / "ncm622_cycled_sem").glob("*.jpg"))[25])[:896]
    a, b, c = (v / np.linalg.norm(v) for v in map(encoder.encode, (whole, half, other)))
    assert a @ b > 0.99
    assert a @ b > a @ c


@pytest.mark.real_data
@pytest.mark.skipif(
    "BF16" not in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"),
    reason="this processor has no bfloat16; refusing it is tested elsewhere",
)
@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_bfloat16_vectors_stay_near_float32_on_real_micrographs(
    encoder, encoder_cache, real_data, every
):
    """The median keeps 0.997; single images of low contrast do not (0.989 among these steels)."""
    half = Encoder(EncoderConfig(device="cpu", precision="bfloat16"), str(encoder_cache))
    paths = sorted((real_data / "uhcs").rglob("*.png"))[::every]
    full_vectors = dict(encoder.encode_stream(paths, read_grey))
    half_vectors = dict(half.encode_stream(paths, read_grey))
    likeness = [cosine(full_vectors[path], half_vectors[path]) for path in paths]
    assert np.median(likeness) >= 0.997
    assert min(likeness) >= 0.98
