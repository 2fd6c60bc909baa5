"""The collection of cathodes: twelve classes that structure tells, and nothing else does."""

import csv
import io
import re
from collections import Counter
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import kruskal
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.tree import DecisionTreeClassifier

from models.phantoms.cathode import render_cathode
from models.phantoms.cathode_collection import (
    CATHODE_LABEL_PATTERN,
    COMPOSITIONS,
    SPECIMENS_PER_CLASS,
    STATES,
    CathodeFile,
    cathode_collection,
    cathode_samples_csv,
    cathode_specimens,
)

CHANCE = 1 / 12


@pytest.fixture(scope="module")
def files() -> list[CathodeFile]:
    return list(cathode_collection())


def _groups(file: CathodeFile) -> re.Match[str]:
    found = re.fullmatch(CATHODE_LABEL_PATTERN, file.relative_path)
    assert found is not None
    return found


def _class(file: CathodeFile) -> str:
    return f"{_groups(file)['composition']}_{_groups(file)['state']}"


def _tree_accuracy(files: list[CathodeFile], values: np.ndarray) -> float:
    """Of a small tree that guesses the class of specimens it has not seen."""
    classes = np.array([_class(file) for file in files])
    specimens = np.array([_groups(file)["sample"] for file in files])
    folds = StratifiedGroupKFold(4, shuffle=True, random_state=0)
    right = []
    for training, held in folds.split(values, classes, specimens):
        tree = DecisionTreeClassifier(max_depth=6, random_state=0)
        tree.fit(values[training], classes[training])
        right.append(tree.predict(values[held]) == classes[held])
    return float(np.concatenate(right).mean())


def test_each_of_twelve_classes_has_four_specimens_of_four_fields(files: list[CathodeFile]) -> None:
    assert len({file.relative_path for file in files}) == len(files) == 192
    assert set(Counter(_groups(file)["sample"] for file in files).values()) == {4}
    specimens = Counter((s.composition, s.state) for s in cathode_specimens())
    assert set(specimens) == {(c, s) for c in COMPOSITIONS for s in STATES}
    assert set(specimens.values()) == {SPECIMENS_PER_CLASS} == {4}


def test_paths_are_read_back_and_strangers_are_not(files: list[CathodeFile]) -> None:
    assert files[80].relative_path == "NCM622_cycled/K33/field_2.png"
    assert _groups(files[80]).groupdict() == {
        "composition": "NCM622",
        "state": "cycled",
        "sample": "K33",
    }
    path = files[0].relative_path
    for stranger in (f"{path}.txt", path.replace("K01", "1"), "field_1.png"):
        assert re.fullmatch(CATHODE_LABEL_PATTERN, stranger) is None


def test_samples_table_joins_every_specimen(files: list[CathodeFile]) -> None:
    rows = {row["sample"]: row for row in csv.DictReader(io.StringIO(cathode_samples_csv()))}
    assert len(rows) == 48
    for file in files:
        row, groups = rows[_groups(file)["sample"]], _groups(file)
        assert (row["composition"], row["state"]) == (groups["composition"], groups["state"])
        assert row["cathode_class"] == _class(file)
        assert row["material"] == "NCM"
        deviation = file.config.diameter_um / float(row["diameter_planted_um"])
        assert 0.85 < deviation < 1.15
    assert {(r["state"], r["cycles"]) for r in rows.values()} == {
        ("pristine", "0"),
        ("formation", "4"),
        ("cycled", "100"),
    }
    assert float(rows["K48"]["ni_fraction"]) == 0.8


def test_the_law_is_monotone() -> None:
    laws, states = list(COMPOSITIONS.values()), list(STATES.values())
    for a, b in pairwise(laws):
        assert a.ni_fraction < b.ni_fraction
        assert 1.3 < b.diameter_um / a.diameter_um < 1.6
        assert a.primary_grain_um > 1.3 * b.primary_grain_um
        assert a.roughness > b.roughness
    for a, b in pairwise(states):
        assert a.cycles < b.cycles
        assert a.crack_share + 0.3 < b.crack_share
        assert a.binder_share > b.binder_share
        assert a.debris_share < b.debris_share
    assert states[0].crack_share == states[0].debris_share == 0


def test_specimens_differ_less_within_a_class_than_between_classes(
    files: list[CathodeFile],
) -> None:
    sizes: dict[str, dict[str, set[float]]] = {}
    for file in files:
        groups = _groups(file)
        of_class = sizes.setdefault(groups["composition"], {})
        of_class.setdefault(groups["sample"], set()).add(file.config.diameter_um)
    ranges = []
    for composition in COMPOSITIONS:
        assert all(len(found) == 1 for found in sizes[composition].values())
        own = [size for found in sizes[composition].values() for size in found]
        assert len(set(own)) == 12
        ranges.append((min(own), max(own)))
    assert all(low[1] < high[0] for low, high in pairwise(ranges))


def test_brightness_contrast_and_noise_are_distributed_alike_in_all_classes() -> None:
    files = list(cathode_collection(960))
    for name in ("brightness", "contrast", "noise_std"):
        by_class: dict[str, list[float]] = {}
        for file in files:
            by_class.setdefault(_class(file), []).append(getattr(file.config, name))
        assert kruskal(*by_class.values()).pvalue > 0.01


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_setting_of_the_microscope_tells_the_class(seed: int) -> None:
    files = list(cathode_collection(192, seed=seed))
    greys = np.array([(f.config.brightness, f.config.contrast) for f in files])
    assert _tree_accuracy(files, greys) < 2 * CHANCE
    settings = np.array(
        [
            (
                f.config.kv,
                f.config.magnification,
                f.config.noise_std,
                f.config.acquired_at.timestamp(),
            )
            for f in files
        ]
    )
    assert _tree_accuracy(files, settings) < 2 * CHANCE + 0.05
    structure = np.array([(f.config.diameter_um, f.config.crack_share) for f in files])
    assert _tree_accuracy(files, structure) > 0.9  # the same tree finds what is planted


def test_pixels_have_the_brightness_and_contrast_that_were_drawn(
    files: list[CathodeFile],
) -> None:
    for file in files[2:48:18]:  # three classes
        rendered = render_cathode(file.config)
        content = rendered.image[: rendered.content_rows]
        assert content.mean() == pytest.approx(file.config.brightness, abs=0.03)
        assert content.std() == pytest.approx(file.config.contrast, abs=0.03)


def test_every_specimen_is_imaged_in_a_session_of_its_own_at_one_voltage(
    files: list[CathodeFile],
) -> None:
    by_specimen: dict[str, list[CathodeFile]] = {}
    for file in files:
        by_specimen.setdefault(_groups(file)["sample"], []).append(file)
    spans = []
    for of_specimen in by_specimen.values():
        times = [file.config.acquired_at for file in of_specimen]
        assert times == sorted(times)
        assert times[-1] - times[0] < timedelta(minutes=20)
        assert all(8 <= time.hour < 18 for time in times)
        assert len({file.config.kv for file in of_specimen}) == 1
        assert len({file.config.seed for file in of_specimen}) == 4
        spans.append((times[0], times[-1]))
    spans.sort()
    assert all(later[0] - earlier[1] > timedelta(minutes=30) for earlier, later in pairwise(spans))
    assert len({file.config.kv for file in files}) == 3


def test_one_field_in_four_is_closer_with_the_pixel_size_that_belongs_to_it() -> None:
    files = list(cathode_collection(384))
    for number in range(48):
        fields = [file.config for file in files[number::48]]
        for configs, closer in ((fields[:4], 1000), (fields[4:], 2000)):
            assert Counter(c.magnification for c in configs) == {500: 3, closer: 1}
    for file in files:
        width_um = file.config.pixel_size_um * file.config.shape_px[1]
        assert width_um * file.config.magnification == pytest.approx(127_000)
    places = {i // 48 for i, file in enumerate(files) if file.config.magnification == 1000}
    assert places == {0, 1, 2, 3}  # not always the same field


def test_same_seed_same_collection_and_a_shorter_one_is_its_beginning(
    files: list[CathodeFile],
) -> None:
    assert list(cathode_collection()) == files
    assert list(cathode_collection(50)) == files[:50]
    assert list(cathode_collection(200))[:192] == files
    assert list(cathode_collection(48, seed=5)) != files[:48]


def test_negative_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="n=-1"):
        next(cathode_collection(-1))
