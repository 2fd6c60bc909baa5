"""Collections, specimens and images: from a listing to rows, examining only what changed.

Out of scope: looking into a file (`graindex.examine`) and what is derived from pixels
(`graindex.derive`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from graindex.checkpoint import Checkpoint
from graindex.examine import CODE_VERSION, Examination, Source, examine, identify
from graindex.files import sha256
from graindex.forget.withdrawn import withdrawn_contents
from graindex.labels import Labelling, label
from graindex.outcome import Outcome, recalibration
from graindex.parallel import in_threads
from graindex.progress import report
from graindex.readers.frame import UnreadableImageError
from graindex.recipes import Recipe, settings_json
from graindex.records import (
    CATALOGUE_TABLES,
    Record,
    Rows,
    add_examinations,
    examinations_in,
    refusal_record,
)
from graindex.sample_table import read_sample_table
from graindex.scan import Listing, Original, list_collection
from graindex.segmentation import settings_record
from graindex.volume_scan import list_volumes
from schemas.arrow import empty, from_records
from schemas.tables import TABLES

if TYPE_CHECKING:
    from graindex.store import Store

DATASETS_CODE_VERSION = "2"
SAMPLES_CODE_VERSION = "1"
_DUPLICATE = "same bytes as"
_SAVE_EVERY = 25  # files between checkpoints: about half a minute of reading databars


def refresh_dataset(store: "Store", recipe: Recipe, *, author: str) -> Outcome:
    """Bring the row of a collection up to date.

    Raises:
        CollectionError: its location is gone.
    """
    listing = list_collection(recipe.location_uri)
    record = {
        **_declared(recipe),
        "file_count": len(named_paths(recipe, listing)),
        "input_hash": dataset_input_hash(recipe, listing),
        "code_version": DATASETS_CODE_VERSION,
    }
    return _commit_whole(store, recipe, "datasets", [record], author)


def _declared(recipe: Recipe) -> Record:
    """Columns of `datasets` that the user declared."""
    own = {
        "modality", "declared_voxel_size_um", "volumes", "segmentation", "measurement",
        "annotations", "checks", "detachment",
    }  # fmt: skip
    voxel = zip("zyx", recipe.declared_voxel_size_um or (None,) * 3, strict=True)
    return {
        **recipe.model_dump(exclude=own),
        **{f"declared_voxel_size_{axis}_um": size for axis, size in voxel},
        "segmentation_settings": settings_json(settings_record(recipe.segmentation)),
        "measurement_settings": settings_json(recipe.measurement),
    }


def dataset_input_hash(recipe: Recipe, listing: Listing) -> str:
    """Hash that changes when a collection's registration or any of its files does.

    Annotations, and groups of volumes, have rows and hashes of their own.
    """
    own = {"annotations", "checks", "detachment"}
    return listing.signature(recipe.model_dump_json(exclude=own))


def refresh_samples(store: "Store", recipe: Recipe, *, author: str) -> Outcome:
    """Bring the specimens of a collection up to date.

    Raises:
        CollectionError: its location or its table of samples is gone or wrong.
    """
    labelling = label_collection(recipe, list_collection(recipe.location_uri))
    records: list[Record] = [
        {
            **sample,
            "input_hash": sha256(*(f"{k}={v}" for k, v in sorted(sample.items()))),
            "code_version": SAMPLES_CODE_VERSION,
        }
        for sample in labelling.samples
    ]
    return _commit_whole(store, recipe, "samples", records, author)


def label_collection(recipe: Recipe, listing: Listing) -> Labelling:
    """Specimens and labels of a listed collection.

    Raises:
        CollectionError: its table of samples is gone or wrong.
    """
    return label_paths(recipe, named_paths(recipe, listing))


def label_paths(recipe: Recipe, paths: Sequence[str]) -> Labelling:
    """Specimens and labels of the images or volumes at these relative paths.

    Raises:
        CollectionError: the collection's table of samples is gone or wrong.
    """
    table = read_sample_table(recipe.samples_uri) if recipe.samples_uri else None
    return label(recipe, paths, table)


def named_paths(recipe: Recipe, listing: Listing) -> list[str]:
    """Relative paths of the images or volumes of a collection, by their names."""
    if recipe.kind == "volumes":
        volumes = list_volumes(recipe.location_uri, listing, recipe.volumes)
        return [group.path for group in volumes.groups]
    return [original.path for original in listing.images]


def _commit_whole(
    store: "Store", recipe: Recipe, name: str, records: list[Record], author: str
) -> Outcome:
    """Replace a small table's partition; rows whose input hash stands already count as kept."""
    before = store.lake.read(name, recipe.dataset)
    known = set(before["input_hash"].to_pylist())
    kept = sum(record["input_hash"] in known for record in records)
    rows = from_records(TABLES[name], records)
    snapshot = store.lake.replace(
        {name: rows}, recipe.dataset, author=author, message=f"{name} of {recipe.dataset}"
    )
    dropped = max(0, before.num_rows - kept)
    return Outcome(len(records), len(records) - kept, kept, dropped, {}, snapshot)


def refresh_micrographs(store: "Store", recipe: Recipe, *, author: str) -> Outcome:
    """Bring the images of a collection up to date; refused files go to the quarantine.

    A file is examined when its content, its sidecar, the reading settings or the code changed.
    Specimens and the choice between readings are worked out anew each time: they cost nothing.

    Raises:
        CollectionError: its location or its table of samples is gone or wrong.
    """
    if recipe.kind != "micrographs":
        return _without_micrographs(store, recipe, author)
    listing = list_collection(recipe.location_uri)
    labelling = label_collection(recipe, listing)
    work = Checkpoint(store.location, "micrographs", recipe.dataset)
    memory = _Memory.load(store, recipe, work)
    sources, refused = _identify_all(listing, store, recipe.dataset, memory)
    firsts = {source.content_hash: source for source in reversed(sources)}
    todo = [source for source in firsts.values() if not memory.knows(source)]
    _examine_all(store, todo, memory, work, recipe, labelling)

    rows = Rows()
    for source in sources:
        first = firsts[source.content_hash]
        result = memory.result(first)
        if first is not source:
            result = f"{_DUPLICATE} {first.original.path!r}, which is catalogued"
        if isinstance(result, str):
            refused[source.original.path] = (source.original.uri, result, source)
        else:
            add_examinations(rows, source, result, recipe, labelling)
    rows.quarantine += [
        refusal_record(recipe, path, uri, reason, source, CODE_VERSION)
        for path, (uri, reason, source) in sorted(refused.items())
    ]
    tables = {name: from_records(TABLES[name], r) for name, r in rows.tables().items()}
    before = store.lake.read("micrographs", recipe.dataset)
    snapshot = store.lake.replace(
        tables, recipe.dataset, author=author, message=f"micrographs of {recipe.dataset}"
    )
    work.clear()
    ids = {record["micrograph_id"] for record in rows.micrographs}
    fresh = {source.input_hash for source in todo}
    computed = sum(record["input_hash"] in fresh for record in rows.micrographs)
    return Outcome(
        rows=len(ids),
        computed=computed,
        kept=len(ids) - computed,
        dropped=len(memory.ids - ids),
        refused={path: reason for path, (_, reason, _) in sorted(refused.items())},
        snapshot=snapshot,
        recalibration=recalibration(
            before, tables["micrographs"], "micrograph_id", ("pixel_size_um",)
        ),
    )


def _without_micrographs(store: "Store", recipe: Recipe, author: str) -> Outcome:
    """A collection of another kind: rows of the time when it was of this one go.

    Refused inputs are left to the other kind.
    """
    own = [name for name in CATALOGUE_TABLES if name != "quarantine"]
    dropped = store.lake.read("micrographs", recipe.dataset).num_rows
    tables = {name: empty(TABLES[name]) for name in own}
    message = f"no micrographs in {recipe.dataset}"
    snapshot = store.lake.replace(tables, recipe.dataset, author=author, message=message)
    return Outcome(0, 0, 0, dropped, {}, snapshot)


Refused = dict[str, tuple[str, str, Source | None]]


@dataclass
class _Memory:
    """What earlier runs found out, by input hash; and file hashes by path."""

    ids: set[object]
    hashes: dict[str, tuple[int, datetime, str]]
    results: dict[str, list[Examination] | str]

    @classmethod
    def load(cls, store: "Store", recipe: Recipe, work: Checkpoint) -> "_Memory":
        committed = {name: store.lake.read(name, recipe.dataset) for name in CATALOGUE_TABLES}
        saved = {name: work.load(name) for name in CATALOGUE_TABLES}
        hashes: dict[str, tuple[int, datetime, str]] = {}
        results: dict[str, list[Examination] | str] = {}
        for tables in (committed, saved):
            for row in (*tables["micrographs"].to_pylist(), *tables["quarantine"].to_pylist()):
                if row["content_hash"] is not None:
                    stamp = (row["file_size_bytes"], row["file_modified_at"], row["content_hash"])
                    hashes[row["path"]] = stamp
            for row in tables["quarantine"].to_pylist():
                # A duplicate's reason is about another file, which may be gone by now.
                about_itself = not row["reason"].startswith(_DUPLICATE)
                if about_itself and row["code_version"] == CODE_VERSION and row["input_hash"]:
                    results[row["input_hash"]] = row["reason"]
            for (input_hash, version), found in examinations_in(tables).items():
                if version == CODE_VERSION:
                    results[input_hash] = found
        ids = set(committed["micrographs"]["micrograph_id"].to_pylist())
        return cls(ids, hashes, results)

    def knows(self, source: Source) -> bool:
        return source.input_hash in self.results

    def result(self, source: Source) -> list[Examination] | str:
        return self.results[source.input_hash]


def _identify_all(
    listing: Listing, store: "Store", dataset: str, memory: _Memory
) -> tuple[list[Source], Refused]:
    """Hashes of every file, in the order of their paths; what is unreadable or withdrawn."""
    refused: Refused = {r.path: (r.uri, r.reason, None) for r in listing.refusals}
    readers = store.settings.readers
    withdrawn = withdrawn_contents(store, dataset)

    def one(original: Original) -> Source:
        return identify(original, listing, readers, memory.hashes.get(original.path))

    sources = []
    for original, result in in_threads(one, listing.images, expected=(OSError,)):
        if not isinstance(result, Source):
            refused[original.path] = (original.uri, why(result), None)
        elif result.content_hash in withdrawn:  # no hash of it stays
            refused[original.path] = (original.uri, withdrawn[result.content_hash], None)
        else:
            sources.append(result)
    return sorted(sources, key=lambda source: source.original.path), refused


def _examine_all(
    store: "Store",
    todo: list[Source],
    memory: _Memory,
    work: Checkpoint,
    recipe: Recipe,
    labelling: Labelling,
) -> None:
    """Examine files in threads into `memory`, saving finished rows as it goes."""
    readers, files = store.settings.readers, store.files
    rows = Rows()
    report("micrographs", 0, len(todo))
    expected = (UnreadableImageError, OSError)
    results = in_threads(lambda source: examine(source, readers, files), todo, expected=expected)
    for done, (source, result) in enumerate(results, start=1):
        memory.results[source.input_hash] = result if isinstance(result, list) else why(result)
        if isinstance(result, list):
            add_examinations(rows, source, result, recipe, labelling)
        elif isinstance(result, UnreadableImageError):
            # What the bytes cannot give is remembered; what the system refused is tried again.
            path, uri = source.original.path, source.original.uri
            record = refusal_record(recipe, path, uri, result.reason, source, CODE_VERSION)
            rows.quarantine.append(record)
        if done % _SAVE_EVERY == 0:
            work.save(rows.tables())
            rows = Rows()
        report("micrographs", done, len(todo))


def why(error: Exception) -> str:
    """Reason for the quarantine, in one line."""
    if isinstance(error, UnreadableImageError):
        return error.reason
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"cannot be read: {' '.join(words.split())}"
