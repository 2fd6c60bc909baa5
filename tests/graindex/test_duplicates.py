"""Copies of real images are found as what they are, and nothing is compared twice."""

import functools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from graindex import duplicates, sketches
from graindex.catalogue import refresh_dataset, refresh_micrographs, refresh_samples
from graindex.derive import refresh_vectors
from graindex.duplicate_checks import duplicates_across_specimens, repeated
from graindex.duplicates import duplicate_pairs, refresh_duplicates
from graindex.freshness import out_of_date
from graindex.outcome import Outcome
from graindex.registration import register_collection
from graindex.store import Store, init_store, open_store
from models.encode.encoder import Encoder
from models.measure.image_overlap import Sketch, sketch

pytestmark = pytest.mark.real_data

ORIGINALS = ("1018", "1020", "447", "193", "26", "728")
OTHERS = ("9", "967")
PATTERN = r"(?P<structure>\w+)/"
Grey = np.ndarray

COPIES: dict[str, tuple[str, Callable[[Grey], Grey], str, str]] = {
    "bright/re-encoded.jpg": ("1018", lambda image: image, ".jpg", "near"),
    "bright/brightened.png": (
        "1020",
        lambda image: np.clip(1.3 * image.astype(float) + 20, 0, 255).astype(np.uint8),
        ".png",
        "near",
    ),
    "bright/cropped.png": ("193", lambda image: image[90:400, 150:560], ".png", "overlapping"),
    "bright/resized.png": (
        "26",
        lambda image: cv2.resize(image, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA),
        ".png",
        "near",
    ),
    "bright/rewritten.png": ("728", lambda image: image, ".tif", "exact"),
}
"""Path of each copy: what it is of, how it was made, how it is written, how it should be found."""


def write(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def refresh(store: Store, dataset: str) -> Outcome:
    recipe = store.recipe(dataset)
    refresh_dataset(store, recipe, author="test")
    refresh_samples(store, recipe, author="test")
    refresh_micrographs(store, recipe, author="test")
    refresh_vectors(store, dataset, author="test")
    return refresh_duplicates(store, dataset, author="test")


def plant(real: Path, folder: Path) -> None:
    for path, (number, change, suffix, _) in COPIES.items():
        image = cv2.imread(str(real / f"Croppedmicrograph{number}.png"), cv2.IMREAD_GRAYSCALE)
        target = (folder / path).with_suffix(suffix)
        target.parent.mkdir(parents=True, exist_ok=True)
        quality = [cv2.IMWRITE_JPEG_QUALITY, 60] if suffix == ".jpg" else []
        cv2.imwrite(str(target), change(image), quality)


@functools.cache
def sketch_of(data: bytes, shape: tuple[int, int]) -> Sketch:
    return sketch(np.frombuffer(data, np.uint8).reshape(shape))


@pytest.fixture(autouse=True, scope="module")
def sketched_once() -> Iterator[None]:
    """A tenth of a second an image, and the tests look at the same ones again and again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sketches, "sketch", lambda grey: sketch_of(grey.tobytes(), grey.shape))
        yield


@pytest.fixture(scope="module")
def made(
    real_data: Path, converted_encoder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with a home and its two collections, not to be changed."""
    base, real = tmp_path_factory.mktemp("duplicates"), real_data / "uhcs"
    store = init_store(base / "home")
    shutil.copytree(converted_encoder, base / "home" / "cache")
    for number in ORIGINALS:
        name = f"Croppedmicrograph{number}.png"
        write(real / name, base / "originals" / "dark" / name)
    for number in OTHERS:
        name = f"Croppedmicrograph{number}.png"
        write(real / name, base / "copies" / "bright" / name)
    plant(real, base / "copies")
    for dataset in ("originals", "copies"):
        register_collection(store, str(base / dataset), dataset=dataset, label_pattern=PATTERN)
        refresh(store, dataset)
    return base


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Store:
    """A copy of the home whose collections lie in the shared folder."""
    shutil.copytree(made / "home", tmp_path / "home")
    return open_store(tmp_path / "home")


@pytest.fixture(scope="module")
def encoder(made: Path) -> Encoder:
    """Loaded once: it takes seconds."""
    return open_store(made / "home").encoder


@pytest.fixture
def moved(made: Path, encoder: Encoder, tmp_path: Path) -> tuple[Store, Path]:
    """A copy of home and copies, so that files may be changed too."""
    shutil.copytree(made / "home", tmp_path / "home")
    shutil.copytree(made / "copies", tmp_path / "copies")
    store = open_store(tmp_path / "home")
    vars(store)["encoder"] = encoder
    register_collection(
        store, str(tmp_path / "copies"), dataset="copies", label_pattern=PATTERN, force=True
    )
    refresh(store, "copies")
    return store, tmp_path / "copies" / "bright"


def names(store: Store) -> dict[str, str]:
    rows = store.read("micrographs").to_pylist()
    return {row["micrograph_id"]: Path(row["path"]).stem for row in rows}


def found(store: Store, dataset: str) -> dict[frozenset[str], str]:
    name = names(store)
    return {
        frozenset((name[row["micrograph_id"]], name[row["other_id"]])): row["duplicate_kind"]
        for row in store.read("near_duplicates", dataset).to_pylist()
    }


WANTED = {
    frozenset((Path(path).stem, f"Croppedmicrograph{number}")): kind
    for path, (number, _, _, kind) in COPIES.items()
}


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pairs were laid over each other: one entry for each."""
    calls: list[int] = []
    compare = duplicates.compare

    def counting(*pair):
        calls.append(1)
        return compare(*pair)

    monkeypatch.setattr(duplicates, "compare", counting)
    return calls


def test_copies_are_found_across_collections_and_nothing_else(home: Store) -> None:
    assert found(home, "copies") == WANTED
    assert found(home, "originals") == {}
    rows = home.read("near_duplicates", "copies").to_pylist()
    assert {row["other_dataset"] for row in rows} == {"originals"}
    assert all(0.98 <= row["overlap_fraction"] <= 1 for row in rows)


def test_pairs_are_told_once_whatever_side_they_were_found_from(home: Store) -> None:
    before = duplicate_pairs(home)
    assert len(before) == len(WANTED)
    assert all(one < other for one, other in before)
    home.lake.replace(
        {name: home.read(name, "originals").slice(0, 0) for name in ("compared_images",)},
        "originals",
        author="test",
        message="forgotten",
    )
    outcome = refresh_duplicates(home, "originals", author="test")
    assert outcome.computed == len(WANTED)
    assert duplicate_pairs(home) == before
    assert duplicate_pairs(home, ("originals",)) == []


def test_pairs_as_of_a_snapshot_are_those_of_then(home: Store) -> None:
    empty = home.read("near_duplicates", "copies").slice(0, 0)
    then = home.snapshot()
    home.lake.replace({"near_duplicates": empty}, "copies", author="test", message="none")
    assert duplicate_pairs(home) == []
    assert len(duplicate_pairs(home, as_of=then)) == len(WANTED)


def test_a_second_run_compares_nothing(home: Store, counted: list[int]) -> None:
    snapshot = home.snapshot()
    outcome = refresh_duplicates(home, "copies", author="test")
    assert (outcome.computed, outcome.kept, counted) == (0, len(WANTED), [])
    assert outcome.snapshot == snapshot
    assert out_of_date(home, "near_duplicates", home.recipe("copies")) == {}


def test_a_new_image_costs_its_own_comparisons_and_one_that_goes_takes_its_pairs(
    moved: tuple[Store, Path], counted: list[int]
) -> None:
    store, folder = moved
    image = cv2.imread(str(folder / "brightened.png"), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(folder / "again.jpg"), image[:, 40:])
    (folder / "cropped.png").unlink()
    outcome = refresh(store, "copies")
    assert (outcome.computed, outcome.kept, outcome.dropped) == (2, len(WANTED) - 1, 1)
    assert 2 <= len(counted) < len(names(store))
    pairs = found(store, "copies")
    assert not any("cropped" in pair for pair in pairs)
    assert {pair for pair in pairs if "again" in pair} == {
        frozenset(("again", "brightened")),
        frozenset(("again", "Croppedmicrograph1020")),
    }


def test_a_run_that_was_cut_short_goes_on(
    home: Store, counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for table in ("near_duplicates", "compared_images"):
        rows = home.read(table, "copies").slice(0, 0)
        home.lake.replace({table: rows}, "copies", author="test", message="forgotten")
    monkeypatch.setattr(duplicates, "SAVE_EVERY", 1)
    compare = duplicates.compare

    def failing(*pair):
        if len(counted) >= 20:
            raise KeyboardInterrupt
        return compare(*pair)

    monkeypatch.setattr(duplicates, "compare", failing)
    with pytest.raises(KeyboardInterrupt):
        refresh_duplicates(home, "copies", author="test")
    monkeypatch.setattr(duplicates, "compare", compare)
    done = len(counted)
    refresh_duplicates(home, "copies", author="test")
    assert found(home, "copies") == WANTED
    images = len(OTHERS) + len(COPIES)
    whole = images * len(ORIGINALS) + images * (images - 1) // 2
    assert len(counted) - done < whole - 5


def test_images_wait_for_their_vector_and_for_files_that_cannot_be_read(
    moved: tuple[Store, Path],
) -> None:
    store, folder = moved
    image = cv2.imread(str(folder / "brightened.png"), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(folder / "again.png"), image[:, 40:])
    recipe = store.recipe("copies")
    refresh_micrographs(store, recipe, author="test")
    (new,) = (key for key, name in names(store).items() if name == "again")
    outcome = refresh_duplicates(store, "copies", author="test")
    assert (outcome.computed, outcome.kept, outcome.refused) == (0, len(WANTED), {})
    assert out_of_date(store, "near_duplicates", recipe) == {new: "missing"}

    refresh_vectors(store, "copies", author="test")
    hidden = (folder / "brightened.png").rename(folder / "hidden")
    outcome = refresh_duplicates(store, "copies", author="test")
    assert list(outcome.refused) == [new]
    assert "brightened.png cannot be read" in outcome.refused[new]
    assert frozenset(("again", "Croppedmicrograph1020")) in found(store, "copies")
    assert out_of_date(store, "near_duplicates", recipe) == {new: "missing"}

    hidden.rename(folder / "brightened.png")
    assert refresh_duplicates(store, "copies", author="test").refused == {}
    assert frozenset(("again", "brightened")) in found(store, "copies")
    assert out_of_date(store, "near_duplicates", recipe) == {}


def test_repeated_fields_are_warned_of_but_not_overlaps(home: Store) -> None:
    (problem,) = repeated(home, "copies")
    name = names(home)
    wanted = {Path(path).stem for path, (*_, kind) in COPIES.items() if kind != "overlapping"}
    assert {name[key] for key, _ in problem.rows} == wanted


def test_one_place_under_two_labels_is_a_contradiction(home: Store) -> None:
    (problem,) = duplicates_across_specimens(home, "copies")
    assert problem.count == len(COPIES)
    assert all("structure bright against dark" in told for _, told in problem.rows)
    assert duplicates_across_specimens(home, "originals") == []
