"""What is withdrawn: all frames of an image file, or all volumes of the same voxels.

Out of scope: what it touches (`graindex.forget.touched`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from graindex.errors import QueryError
from graindex.forget.lake_files import LakeFiles
from graindex.forget.marks import Marks
from graindex.forget.withdrawn import withdrawn_on
from graindex.history.stored_files import address_columns
from graindex.lake import LAKE_TABLES
from schemas.ddl import literal, quote

if TYPE_CHECKING:
    from graindex.store import Store

Kind = Literal["micrograph", "volume"]
WITHDRAWN = "withdrawn"

_TABLES: dict[Kind, str] = {"micrograph": "micrographs", "volume": "volumes"}
_URIS: dict[Kind, tuple[str, ...]] = {
    "micrograph": ("uri", "sidecar_uri"),
    "volume": ("grey_uri", "phases_uri", "labels_uri"),
}
_CONTENTS: dict[Kind, tuple[str, ...]] = {
    "micrograph": ("content_hash",),
    "volume": ("grey_hash", "phases_hash", "labels_hash"),
}


@dataclass(frozen=True)
class Target:
    """One file, or files of one volume, with all that is known by it.

    Attributes:
        dataset: its collection.
        kind: image or volume.
        ids: its frames, or its volumes.
        content_hash: SHA-256 that the collection refuses from now on.
        contents: hashes that no other image or volume of the collection names.
        exclusive: whether no other collection holds the same content.
        paths: relative paths, of all times.
        uris: where its files lie or lay.
        sample_ids: specimens that it is or was of.
        keys: ids, those of its particles, and of statements on either.
        vectors: hashes of its vectors by table.
        addresses: files and volumes of the store that its rows name.
    """

    dataset: str
    kind: Kind
    ids: tuple[str, ...]
    content_hash: str
    contents: tuple[str, ...]
    exclusive: bool
    paths: tuple[str, ...]
    uris: tuple[str, ...]
    sample_ids: tuple[str, ...]
    keys: tuple[str, ...]
    vectors: dict[str, tuple[str, ...]]
    addresses: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that a command may call it."""
        return (*self.ids, *(f"{self.dataset}:{path}" for path in self.paths))

    def marks(self, replaced: dict[str, str] | None = None) -> Marks:
        """How its rows are told from others.

        Args:
            replaced: further texts that are replaced in rows of something else.
        """
        gone = [*self.ids, *(self.contents if self.exclusive else ())]
        texts = {**dict.fromkeys(gone, WITHDRAWN), **(replaced or {})}
        return Marks(self.dataset, frozenset(self.keys), frozenset(self.contents), texts)


def targets_of(store: "Store", files: LakeFiles, names: Sequence[str]) -> list[Target]:
    """What the names stand for, each file once.

    Args:
        store: the store.
        files: its lake.
        names: ids of images or volumes, or ``dataset:path``.

    Raises:
        QueryError: a name stands for nothing, or for what was withdrawn already.
    """
    found: dict[tuple[str, str], Target] = {}
    for name in names:
        seeds = list(_seeds(store, files, name))
        if not seeds:
            raise QueryError(_unknown(store, name))
        for kind, dataset, content in seeds:
            if (dataset, content) not in found:
                found[dataset, content] = _target(files, kind, dataset, content)
    return list(found.values())


def _unknown(store: "Store", name: str) -> str:
    when = withdrawn_on(store, name)
    if when is not None:
        return f"{name!r} was withdrawn on {when:%Y-%m-%d}: nothing of it is left to withdraw"
    return (
        f"{name!r} is no micrograph_id or volume_id of any snapshot, nor DATASET:PATH; look with "
        "graindex sql 'SELECT micrograph_id, dataset, path FROM micrographs'"
    )


def _seeds(store: "Store", files: LakeFiles, name: str) -> Iterator[tuple[Kind, str, str]]:
    """Kind, collection and content of what a name stands for, now or else at any time."""
    dataset, colon, path = name.partition(":")
    for kind, table in _TABLES.items():
        if colon:
            where = f"dataset = {literal(dataset)} AND path = {literal(path)}"
        else:
            where = f"{kind}_id = {literal(name)}"
        now = store.lake.query(
            f"SELECT DISTINCT dataset, {_content(kind)} AS content FROM lake.{table} WHERE {where}"
        ).to_pylist()
        if now:
            yield from ((kind, row["dataset"], row["content"]) for row in now)
            return
        columns = ("dataset", "path", f"{kind}_id", *_CONTENTS[kind])
        before = files.select(table, columns, where)
        yield from {(kind, row[0], next(filter(None, row[3:]))) for row in before}


def _content(kind: Kind) -> str:
    return f"coalesce({', '.join(_CONTENTS[kind])})"


def _target(files: LakeFiles, kind: Kind, dataset: str, content: str) -> Target:
    table, key = _TABLES[kind], f"{kind}_id"
    own = (key, "path", "sample_id", *_URIS[kind], *_CONTENTS[kind])
    columns = ("dataset", *own)
    same = f"{_content(kind)} = {literal(content)}"
    rows = [dict(zip(columns, row, strict=True)) for row in files.select(table, columns, same)]
    ours = [row for row in rows if row["dataset"] == dataset]
    ids = _distinct(row[key] for row in ours)
    others = files.select(table, ("dataset", *_CONTENTS[kind]), f"NOT ({same})")
    named = {one for row in others if row[0] == dataset for one in row[1:]}
    hashes = {row[name] for row in ours for name in _CONTENTS[kind]} - named - {None}
    keys = [*ids, *_particles(files, kind, ids)]
    statements = files.select("labels", ("label_id", "entity_id"), _among("entity_id", keys))
    elsewhere = {row["dataset"] for row in rows} | {
        row[0]
        for row in files.select("quarantine", ("dataset", "content_hash"), "true")
        if row[1] == content
    }
    vectors: dict[str, tuple[str, ...]] = {}
    if kind == "micrograph":
        indexed = ("vector_table", "vector_hash", key)
        for name, digest, _ in files.select("vector_index", indexed, _among(key, ids)):
            vectors[name] = (*vectors.get(name, ()), digest)
    return Target(
        dataset=dataset,
        kind=kind,
        ids=ids,
        content_hash=content,
        contents=_distinct({*hashes, content}),
        exclusive=elsewhere <= {dataset},
        paths=_distinct(row["path"] for row in ours),
        uris=_distinct(row[name] for row in ours for name in _URIS[kind]),
        sample_ids=_distinct(row["sample_id"] for row in ours),
        keys=tuple(dict.fromkeys([*keys, *(row[0] for row in statements)])),
        vectors=vectors,
        addresses=_addresses(files, key, ids),
    )


def _particles(files: LakeFiles, kind: Kind, ids: Sequence[str]) -> list[str]:
    table = "particles_2d" if kind == "micrograph" else "particles_3d"
    columns = (f"{kind}_id", "particle_id")
    return [row[1] for row in files.select(table, columns, _among(columns[0], ids))]


def _addresses(files: LakeFiles, key: str, ids: Sequence[str]) -> tuple[str, ...]:
    found: list[str] = []
    for table in LAKE_TABLES:
        names = address_columns(table)
        if names and key in table.columns:
            rows = files.select(table.name, (key, *names), _among(key, ids))
            found += [value for row in rows for value in row[1:]]
    return _distinct(found)


def _among(column: str, values: Sequence[str]) -> str:
    listed = ", ".join(map(literal, values)) or "NULL"
    return f"{quote(column)} IN ({listed})"


def _distinct(values: object) -> tuple[str, ...]:
    assert hasattr(values, "__iter__")
    return tuple(sorted({str(value) for value in values if value is not None}))
