"""The demonstration collection: its paths, its laws and the truth of all 48 images."""

import csv
import io
import re
import time
from collections import Counter
from itertools import pairwise, product

import cv2
import numpy as np
import pytest

from models.phantoms.collection import (
    DEMO_LABEL_PATTERN,
    demo_collection,
    demo_samples_csv,
    demo_specimens,
    grain_diameter_um,
)
from models.phantoms.sem import render


def test_twelve_specimens_of_four_fields_cover_the_grid() -> None:
    files = list(demo_collection())
    assert len({file.relative_path for file in files}) == len(files) == 48
    groups = [re.fullmatch(DEMO_LABEL_PATTERN, file.relative_path) for file in files]
    assert set(Counter(g["sample"] for g in groups).values()) == {4}
    levels = {(s.grain_diameter_um, s.roughness, s.brightness_level) for s in demo_specimens()}
    assert levels == set(product((2.0, 4.0, 8.0), (0.2, 0.8), (95.0, 145.0)))


def test_paths_state_the_configuration() -> None:
    for file in demo_collection():
        group = re.fullmatch(DEMO_LABEL_PATTERN, file.relative_path)
        assert float(group["grain_diameter_um"]) == file.config.grain_diameter_um
        assert float(group["roughness"]) == file.config.roughness
        assert group["texture_class"].endswith("rough" if file.config.roughness > 0.5 else "smooth")
    third = list(demo_collection())[26]
    assert third.relative_path == "fine_rough/S03_grain2.0um_rough0.8/field_3.png"


def test_sidecars_and_strangers_do_not_match_the_pattern() -> None:
    path = next(demo_collection()).relative_path
    for stranger in (f"{path}.txt", path.replace("S01", "1"), "field_1.png"):
        assert re.fullmatch(DEMO_LABEL_PATTERN, stranger) is None


def test_samples_table_joins_every_specimen_and_follows_the_growth_law() -> None:
    rows = {row["sample"]: row for row in csv.DictReader(io.StringIO(demo_samples_csv()))}
    assert list(next(iter(rows.values()))) == [
        "sample",
        "sintering_temperature_c",
        "brightness_level",
        "material",
    ]
    for file in demo_collection():
        row = rows[re.fullmatch(DEMO_LABEL_PATTERN, file.relative_path)["sample"]]
        temperature = float(row["sintering_temperature_c"])
        assert grain_diameter_um(temperature) == file.config.grain_diameter_um
        assert file.config.brightness == pytest.approx(float(row["brightness_level"]), abs=3)
        assert row["material"] == "phantom"
    assert len(rows) == 12


def test_growth_law_is_monotone() -> None:
    diameters = [grain_diameter_um(t) for t in range(1000, 1301, 10)]
    assert all(a < b for a, b in pairwise(diameters))


def test_fields_of_a_specimen_differ_and_are_taken_in_one_session() -> None:
    by_specimen: dict[str, list] = {}
    for file in demo_collection():
        by_specimen.setdefault(file.relative_path.rsplit("/", 1)[0], []).append(file.config)
    assert len(by_specimen) == 12
    for configs in by_specimen.values():
        assert len({c.seed for c in configs}) == len({c.brightness for c in configs}) == 4
        times = [c.acquired_at for c in configs]
        assert times == sorted(times)
        assert (times[-1] - times[0]).total_seconds() < 20 * 60
        assert all(8 <= t.hour < 18 for t in times)
    starts = sorted(configs[0].acquired_at for configs in by_specimen.values())
    assert all((b - a).total_seconds() > 3600 for a, b in pairwise(starts))


def test_same_seed_same_collection_and_a_shorter_one_is_its_beginning() -> None:
    whole = list(demo_collection(48, seed=4))
    assert list(demo_collection(48, seed=4)) == whole
    assert list(demo_collection(20, seed=4)) == whole[:20]
    assert list(demo_collection(48, seed=5)) != whole


def test_negative_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="n=-1"):
        next(demo_collection(-1))


def test_all_48_images_hold_their_truth_within_15_processor_seconds() -> None:
    start = time.process_time()
    for file in demo_collection():
        config, rendered = file.config, render(file.config)
        content = rendered.image[: rendered.content_rows]
        assert content.mean() == pytest.approx(config.brightness, abs=2)
        area = np.bincount(rendered.labels.ravel())
        border = [rendered.labels[edge] for edge in (0, -1)]
        border += [rendered.labels[:, edge] for edge in (0, -1)]
        area[np.concatenate(border)] = 0
        diameters = 2 * np.sqrt(area[1:][area[1:] > 0] / np.pi) * config.pixel_size_um
        assert diameters.mean() == pytest.approx(config.grain_diameter_um, rel=0.1)
        encoded, _ = cv2.imencode(".png", rendered.image)
        assert encoded
    assert time.process_time() - start < 15
