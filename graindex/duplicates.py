"""Table `near_duplicates`: pairs of images that show the same place, within and across collections.

Similar vectors say which pairs to look at, matched points whether they show the same. An image is
compared once, with everything that is there by then; a pair stays while both of its images do.
Out of scope: how two images are compared (`models.measure.image_overlap`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graindex.candidates import ComparableImages, candidates, comparable_images
from graindex.checkpoint import Checkpoint
from graindex.derive import pixels_hash
from graindex.errors import OriginalError
from graindex.files import sha256
from graindex.lake import AsOf
from graindex.outcome import Outcome
from graindex.parallel import in_threads
from graindex.progress import report
from graindex.records import Record
from graindex.sketches import Sketches
from models.measure.image_overlap import OVERLAP_CODE_VERSION, compare
from schemas.arrow import from_records
from schemas.tables import TABLES

if TYPE_CHECKING:
    from graindex.store import Store

PAIRS, COMPARED = "near_duplicates", "compared_images"
DUPLICATES_CODE_VERSION = f"1+overlap.{OVERLAP_CODE_VERSION}"
SAVE_EVERY = 100
"""Images between checkpoints: a minute of comparing on two cores."""

Pair = tuple[str, str]


def inputs_of_comparisons(store: "Store", dataset: str) -> dict[str, str]:
    """What the comparisons of each image rest on, by `micrograph_id`: pixels and encoder."""
    rows = store.lake.read("micrographs", dataset).to_pylist()
    encoder_id = store.encoder_id
    return {row["micrograph_id"]: sha256(pixels_hash(row), encoder_id) for row in rows}


def duplicate_pairs(
    store: "Store", datasets: Sequence[str] = (), as_of: AsOf | None = None
) -> list[Pair]:
    """Pairs of `micrograph_id` that show the same place, each once, in order.

    Args:
        store: the store.
        datasets: only pairs of which both are of these collections; all when empty.
        as_of: snapshot or time.

    Raises:
        QueryError: no snapshot is as old as `as_of`.
    """
    wanted = set(datasets)
    return sorted(
        {
            _ordered(row["micrograph_id"], row["other_id"])
            for row in store.lake.read(PAIRS, as_of=as_of).to_pylist()
            if not wanted or {row["dataset"], row["other_dataset"]} <= wanted
        }
    )


def refresh_duplicates(store: "Store", dataset: str, *, author: str) -> Outcome:
    """Compare a collection's new and changed images with all images that are similar.

    Images without a vector of today's pixels and encoder are left for a later run. Counts of the
    outcome are of pairs.

    Raises:
        HomeError: the store cannot be written.
    """
    images = comparable_images(store)
    work = Checkpoint(store.location, PAIRS, dataset)
    memory = _Memory.load(store, work, images, dataset)
    todo = [place for place in images.of(dataset) if images.ids[place] not in memory.compared]
    new, refused = _compare_all(store, images, todo, memory, work)
    pairs = [*memory.pairs.values(), *(pair for found in new for pair in found.pairs)]
    compared = [*memory.compared.values(), *(found.compared for found in new if found.complete)]
    before = store.lake.read(PAIRS, dataset)
    snapshot = store.lake.replace(
        {
            PAIRS: from_records(TABLES[PAIRS], pairs),
            COMPARED: from_records(TABLES[COMPARED], compared),
        },
        dataset,
        author=author,
        message=f"{PAIRS} of {dataset}",
    )
    work.clear()
    kept = len({_key(row) for row in before.to_pylist()} & memory.pairs.keys())
    return Outcome(len(pairs), len(pairs) - kept, kept, before.num_rows - kept, refused, snapshot)


@dataclass(frozen=True)
class _Found:
    """What comparing one image gave."""

    pairs: list[Record]
    compared: Record
    failure: str | None

    @property
    def complete(self) -> bool:
        return self.failure is None


@dataclass(frozen=True)
class _Memory:
    """What earlier runs found out: pairs by their key, and images that were compared."""

    pairs: dict[Pair, Record]
    compared: dict[str, Record]

    @classmethod
    def load(
        cls, store: "Store", work: Checkpoint, images: ComparableImages, dataset: str
    ) -> "_Memory":
        pairs: dict[Pair, Record] = {}
        compared: dict[str, Record] = {}
        own = {images.ids[place] for place in images.of(dataset)}
        for row in _rows(store, work, PAIRS, dataset):
            here = images.place.get(str(row["micrograph_id"]))
            there = images.place.get(str(row["other_id"]))
            if row["micrograph_id"] not in own or here is None or there is None:
                continue
            if row["input_hash"] == _pair_hash(images, here, there):
                pairs[_key(row)] = {**row, "similarity": images.similarity(here, there)}
        for row in _rows(store, work, COMPARED, dataset):
            key = str(row["micrograph_id"])
            if key in own and row["input_hash"] == images.comparison_hash(images.place[key]):
                compared[key] = row
        return cls(pairs, compared)


def _rows(store: "Store", work: Checkpoint, table: str, dataset: str) -> Iterable[Record]:
    for rows in (store.lake.read(table, dataset), work.load(table)):
        yield from (
            row for row in rows.to_pylist() if row["code_version"] == DUPLICATES_CODE_VERSION
        )


def _compare_all(
    store: "Store",
    images: ComparableImages,
    todo: Sequence[int],
    memory: _Memory,
    work: Checkpoint,
) -> tuple[list[_Found], dict[str, str]]:
    """Compare images with their candidates in threads, saving what is finished as it goes."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # noqa: PLC0415

    likely = candidates(images, todo)
    sketches = Sketches(images, store.limits)
    decided = set(memory.pairs)

    def one(place: int) -> _Found:
        return _compare_one(images, place, likely, sketches, decided)

    found: list[_Found] = []
    refused: dict[str, str] = {}
    unsaved: list[_Found] = []
    report(PAIRS, 0, len(todo))
    # The threads here fill the machine; those of matrix products would quintuple the time.
    with threadpool_limits(1, "blas"):
        for done, (place, result) in enumerate(in_threads(one, todo, expected=()), start=1):
            assert isinstance(result, _Found)
            found.append(result)
            unsaved.append(result)
            if result.failure is not None:
                refused[images.ids[place]] = result.failure
            if len(unsaved) >= SAVE_EVERY:
                _save(work, unsaved)
                unsaved = []
            report(PAIRS, done, len(todo))
    return found, refused


def _save(work: Checkpoint, found: Sequence[_Found]) -> None:
    work.save(
        {
            PAIRS: [pair for part in found for pair in part.pairs],
            COMPARED: [part.compared for part in found if part.complete],
        }
    )


def _compare_one(
    images: ComparableImages,
    place: int,
    likely: dict[int, list[int]],
    sketches: Sketches,
    decided: set[Pair],
) -> _Found:
    """One image against its candidates, but for pairs that are another image's to decide."""
    pairs: list[Record] = []
    failure: str | None = None
    for other in likely[place]:
        key = _ordered(images.ids[place], images.ids[other])
        if key in decided or (other < place and place in likely.get(other, ())):
            continue
        try:
            overlap = compare(sketches[place], sketches[other])
        except OriginalError as error:
            failure = str(error)
            continue
        if overlap is not None:
            pairs.append(
                {
                    **_ends(images, place, other),
                    "duplicate_kind": overlap.kind,
                    "similarity": images.similarity(place, other),
                    "overlap_fraction": overlap.fraction,
                    "input_hash": _pair_hash(images, place, other),
                    "code_version": DUPLICATES_CODE_VERSION,
                }
            )
    compared: Record = {
        "dataset": images.datasets[place],
        "micrograph_id": images.ids[place],
        "candidate_count": len(likely[place]),
        "input_hash": images.comparison_hash(place),
        "code_version": DUPLICATES_CODE_VERSION,
    }
    return _Found(pairs, compared, failure)


def _ends(images: ComparableImages, place: int, other: int) -> Record:
    """Key of a pair's row: within a collection the smaller id first, else its own first."""
    if images.datasets[place] == images.datasets[other]:
        place, other = sorted((place, other), key=lambda at: images.ids[at])
    return {
        "dataset": images.datasets[place],
        "micrograph_id": images.ids[place],
        "other_dataset": images.datasets[other],
        "other_id": images.ids[other],
    }


def _pair_hash(images: ComparableImages, place: int, other: int) -> str:
    return sha256(*sorted((images.hashes[place], images.hashes[other])))


def _key(row: Record) -> Pair:
    return _ordered(str(row["micrograph_id"]), str(row["other_id"]))


def _ordered(one: str, other: str) -> Pair:
    return (one, other) if one < other else (other, one)
