"""What people call specimens, images, volumes and particles, and which of them that is.

Out of scope: what is stated of them (`graindex.training.statements`).
"""

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from graindex.entities import KEYS, EntityKind
from graindex.training.label_files import LabelError, LabelFile

if TYPE_CHECKING:
    from graindex.store import Store

Names = Mapping[str, tuple[str, ...]]

_TABLES: dict[str, tuple[str, ...]] = {
    "sample_id": ("samples",),
    "micrograph_id": ("micrographs",),
    "volume_id": ("volumes",),
    "particle_id": ("particles_2d", "particles_3d"),
}
_SHOWN = 3


def entities_named(
    store: "Store", dataset: str, file: LabelFile, *, skip_unknown: bool
) -> tuple[EntityKind, Names, tuple[str, ...]]:
    """What the rows of a file are about.

    An image is named by its path below the collection, or by its bare file name where only one
    has it; the pages of a file go together.

    Returns:
        The kind, keys by name as the file writes it, and names that stand for nothing.

    Raises:
        CollectionError: the collection is not registered.
        LabelError: it holds nothing of this kind, a name stands for several specimens, or, unless
            `skip_unknown`, names stand for nothing.
    """
    kind, known = _known(store, dataset, file.key)
    if not known:
        store.recipe(dataset)
        message = (
            f"collection {dataset!r} holds no {kind} yet that could be labelled; "
            f"run: graindex materialize --dataset {dataset}"
        )
        raise LabelError(message)
    about = {statement.about: statement.line for statement in reversed(file.statements)}
    found = {name: known[key] for name in about if (key := _plain(name, file.key)) in known}
    several = [name for name, keys in found.items() if file.key == "sample" and len(keys) > 1]
    if several:
        message = f"{several[0]!r} is the name of several specimens of {dataset}: give sample_id"
        raise LabelError(message)
    unknown = tuple(sorted(about.keys() - found.keys(), key=lambda name: about[name]))
    if unknown and not skip_unknown:
        first = ", ".join(f"{name!r} (line {about[name]})" for name in unknown[:_SHOWN])
        more = ", …" if len(unknown) > _SHOWN else ""
        message = (
            f"table of labels {file.uri}: {len(unknown)} of {len(about)} names are no {kind} of "
            f"{dataset}: {first}{more}; correct them, or leave them out with --skip-unknown"
        )
        raise LabelError(message)
    return kind, found, unknown


def _known(store: "Store", dataset: str, key: str) -> tuple[EntityKind, Names]:
    """Kind of what a column identifies, and all there is of it by name."""
    if key == "path":
        images = _with_bare_names(_column(store, dataset, "micrographs", "path", "micrograph_id"))
        if images:
            return "micrograph", images
        volumes = _with_bare_names(_column(store, dataset, "volumes", "path", "volume_id"))
        return ("volume" if volumes else "micrograph"), volumes
    if key == "sample":
        return "sample", _column(store, dataset, "samples", "sample", "sample_id")
    kind = next(kind for kind, column in KEYS.items() if column == key)
    tables = (_column(store, dataset, table, key, key) for table in _TABLES[key])
    return kind, {name: keys for table in tables for name, keys in table.items()}


def _column(store: "Store", dataset: str, table: str, column: str, key: str) -> Names:
    """Keys by the value of a column."""
    rows = store.lake.read(table, dataset, columns=tuple(dict.fromkeys((column, key))))
    return _gathered(zip(rows[column].to_pylist(), rows[key].to_pylist(), strict=True))


def _with_bare_names(paths: Names) -> Names:
    bare = _gathered((PurePosixPath(path).name, path) for path in paths)
    return {**{name: paths[of[0]] for name, of in bare.items() if len(of) == 1}, **paths}


def _gathered(pairs: Iterable[tuple[str, str]]) -> Names:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return {name: tuple(values) for name, values in found.items()}


def _plain(name: str, key: str) -> str:
    """A path as the catalog writes it; other names as they are."""
    return PurePosixPath(name.replace("\\", "/")).as_posix() if key == "path" else name
