"""Maps of kept networks lie on what truly conducts, and no longer do where targets are shuffled.

Two phases differ in texture alone; the truth of every image is known pixel by pixel.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from graindex.errors import ModelError
from graindex.store import Store, open_store
from graindex.trained.definition import ModelDefinition
from graindex.trained.image_maps import ImageMaps
from graindex.trained.kept import kept_model
from graindex.trained.kept_maps import kept_maps
from graindex.trained.train import train_model
from models.explain.channel_maps import segmented
from models.phantoms.two_phases import TwoPhases, render_phases, two_phases_s_per_cm
from tests.graindex.trained.conftest import GRAIN
from tests.graindex.training.catalogued import Collection

SIDE, FIELDS = 128, 2
TRUE = "conductivity_s_per_cm"
NETWORK = {
    "method": "image-network",
    "parameters": {
        "filters": [4, 8, 16],
        "inner_folds": 1,
        "crop_px": SIDE,
        "epochs": 15,
        "patience": 15,
        "batch": 4,
        "learning_rate": 5e-3,
    },
}


@dataclass(frozen=True)
class Planted:
    """A home with a collection, the truth of each image by its path, and names of labels."""

    home: Path
    truth: dict[str, np.ndarray]
    labels: tuple[str, ...]

    @property
    def store(self) -> Store:
        return open_store(self.home)


def shuffles(shares: np.ndarray, pairs: int) -> dict[str, np.ndarray]:
    """Shares dealt to other specimens, each deal with its mirror image, in which high is low."""
    found = {}
    for number in range(pairs):
        dealt = np.random.default_rng(number).permutation(len(shares))
        found[f"shuffled_{number}_s_per_cm"] = shares[dealt]
        found[f"mirrored_{number}_s_per_cm"] = shares[::-1][dealt]
    return found


def configs(specimens: int) -> dict[str, TwoPhases]:
    """By path; brightness and contrast are drawn for each image, whatever conducts in it."""
    rng = np.random.default_rng(7)
    return {
        f"S{specimen:02d}/field {field}.png": TwoPhases(
            seed=100 * specimen + field,
            conducting_share=float(share),
            brightness=rng.uniform(100, 150),
            contrast=rng.uniform(20, 40),
            shape_px=(SIDE, SIDE),
        )
        for specimen, share in enumerate(np.linspace(0.1, 0.9, specimens))
        for field in range(FIELDS)
    }


def plant(folder: Path, empty_home: Path, specimens: int, pairs: int) -> Planted:
    """Every third specimen is held out of each training."""
    truth = {}
    for name, config in configs(specimens).items():
        rendered = render_phases(config)
        path = folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rendered.image).save(path)
        truth[name] = rendered.conducting
    shares = np.linspace(0.1, 0.9, specimens)
    columns = {TRUE: shares} | shuffles(shares, pairs)
    lines = [",".join(("sample", "part", *columns))]
    for specimen in range(specimens):
        numbers = [f"{two_phases_s_per_cm(own[specimen]):.8e}" for own in columns.values()]
        part = "test" if specimen % 3 == 1 else "train"
        lines.append(",".join((f"S{specimen:02d}", part, *numbers)))
    (folder / "samples.csv").write_text("\n".join(lines))
    shutil.copytree(empty_home, folder / "home")
    collection = Collection(open_store(folder / "home"), folder / "images", "phases")
    collection.register()
    collection.refresh()
    return Planted(folder / "home", truth, tuple(columns))


def train(store: Store, label: str, **more) -> str:
    """Train and keep a network on all specimens that are not held out; its name."""
    name = label.removesuffix("_s_per_cm")
    fields = {
        "name": name,
        "label": {"name": label, "transform": "log10"},
        "where": "part = 'train'",
        "split": "none",
    }
    train_model(store, ModelDefinition.model_validate(NETWORK | fields | more), author="test")
    return name


def held_out(planted: Planted) -> dict[str, str]:
    """Paths of the images that no network learned from, by micrograph_id."""
    rows = planted.store.read("micrographs", "phases").to_pylist()
    return {row["micrograph_id"]: row["path"] for row in rows if int(row["path"][1:3]) % 3 == 1}


def looked_at(planted: Planted, model: str) -> list[tuple[ImageMaps, np.ndarray]]:
    """Maps of held-out images, each with the truth."""
    paths = held_out(planted)
    found = kept_maps(planted.store, model, list(paths))
    return [(maps, planted.truth[path]) for maps, path in zip(found, paths.values(), strict=True)]


def areas(looked: list[tuple[ImageMaps, np.ndarray]], name: str) -> list[float]:
    """Areas under the curve of a map over what conducts, of each image."""
    return [
        float(roc_auc_score(truth.ravel(), getattr(maps, name).ravel())) for maps, truth in looked
    ]


@pytest.fixture(scope="module")
def planted(empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Planted:
    made = plant(tmp_path_factory.mktemp("phases"), empty_home, specimens=12, pairs=1)
    for label in made.labels:
        by_part = {"where": None, "split": {"kind": "column", "column": "part"}}
        train(made.store, label, **(by_part if label == TRUE else {}))
    return made


@pytest.fixture(scope="module")
def looked(planted: Planted) -> dict[str, list[tuple[ImageMaps, np.ndarray]]]:
    """By label: maps of held-out images with their truth."""
    return {label: looked_at(planted, label.removesuffix("_s_per_cm")) for label in planted.labels}


def test_held_out_specimens_are_predicted(planted):
    card = kept_model(planted.store, "conductivity").card
    tested = {m.metric: m.value for m in card.metrics if (m.evaluation, m.part) == ("test", "all")}
    assert card.training_set.trained_rows == 16
    assert tested["r2"] > 0.8


@pytest.mark.parametrize("name", ["high", "evidence"])
def test_maps_of_held_out_images_lie_on_what_conducts(looked, name):
    found = areas(looked[TRUE], name)
    assert len(found) == 8
    assert min(found) > 0.8  # in every image; 0.5 is chance


def test_channels_of_low_numbers_lie_on_what_insulates(looked):
    assert max(areas(looked[TRUE], "low")) < 0.3


def test_the_segmented_map_overlaps_what_conducts_more_than_chance_would(looked):
    gains = []
    for maps, truth in looked[TRUE]:
        mask = segmented(maps.high)
        overlap = (mask & truth).sum() / (mask | truth).sum()
        both = mask.mean() * truth.mean()  # of masks that know nothing of each other
        gains.append(overlap - both / (mask.mean() + truth.mean() - both))
    assert min(gains) > 0.05
    assert np.mean(gains) > 0.2


@pytest.mark.parametrize("name", ["high", "evidence"])
def test_shuffled_targets_destroy_it(looked, name):
    """A network trained on nothing still agrees on a sign: what it lights up is chance's choice."""
    found = [np.mean(areas(own, name)) for label, own in looked.items() if label != TRUE]
    assert len(found) == 2
    assert abs(np.mean(found) - 0.5) < 0.15
    assert max(found) < min(areas(looked[TRUE], name))


def test_maps_of_a_kept_model_are_those_of_its_page_and_come_in_order(planted):
    ids = list(held_out(planted))
    store = planted.store
    first, second = kept_maps(store, "conductivity", ids[:2])
    (again,) = kept_maps(store, "conductivity@1", ids[1:2])
    assert not np.array_equal(first.high, second.high)
    for name in ("seen", "high", "low", "evidence"):
        np.testing.assert_array_equal(getattr(second, name), getattr(again, name))
        assert getattr(second, name).shape == (SIDE, SIDE)


def test_what_has_no_maps_is_refused_in_one_line(planted, read_only):
    with pytest.raises(ModelError, match="looks at no pixels"):
        kept_maps(read_only, GRAIN["name"], [])
    with pytest.raises(ModelError, match="is no micrograph_id of the store"):
        kept_maps(planted.store, "conductivity", ["0123456789abcdef"])


@pytest.mark.slow
def test_more_specimens_and_more_shuffles_say_the_same(empty_home, tmp_path):
    large = plant(tmp_path, empty_home, specimens=24, pairs=6)
    found = {
        label: areas(looked_at(large, train(large.store, label)), "high") for label in large.labels
    }
    true = found.pop(TRUE)
    means = [np.mean(own) for own in found.values()]
    assert min(true) > 0.85
    assert abs(np.mean(means) - 0.5) < 0.1
    assert max(means) < np.mean(true) - 0.05
