"""Traces of what was withdrawn, looked for in all that the home holds.

Out of scope: removing them (`graindex.forget.withdraw`).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from graindex.forget.erasing import holding
from graindex.forget.lake_files import METADATA, LakeFiles
from graindex.forget.marks import SPARED, texts
from graindex.forget.stored import copies, stored_only_for
from graindex.forget.target import Target
from graindex.forget.withdrawal import Withdrawal
from schemas.ddl import literal, quote

if TYPE_CHECKING:
    from graindex.store import Store


def remains(store: "Store", files: LakeFiles, withdrawal: Withdrawal) -> list[str]:
    """Where something is left, in words; nothing where all is gone."""
    return list(_remains(store, files, withdrawal))


def _remains(store: "Store", files: LakeFiles, withdrawal: Withdrawal) -> Iterator[str]:
    target = withdrawal.target
    marks = target.marks(withdrawal.replaced)
    files.look_again()
    marks.register(files.connection)
    for path in holding(files, sorted(files.folder.rglob("*.parquet")), marks):
        yield str(path)
    yield from _in_metadata(files, target)
    yield from _in_vectors(store, target)
    addresses = (*target.addresses, *withdrawal.replaced)
    yield from (each.path for each in stored_only_for(store, addresses))
    yield from (str(place) for place in copies(store, target))


def _in_metadata(files: LakeFiles, target: Target) -> Iterator[str]:
    """Texts of the metadata that name it, in tables other than those that say it is withdrawn."""
    needles = [*target.ids, *(target.contents if target.exclusive else ())]
    spared_ids = [number for name, number in files.tables.items() if name in SPARED]
    spared = {inlined for table, inlined in files.inlined if table in SPARED}
    for table, columns in files.metadata_columns.items():
        named = " OR ".join(
            f"contains({quote(name)}, {literal(needle)})"
            for name in texts(columns)
            for needle in needles
        )
        if table in spared or not named:
            continue
        other = "true"
        if table.endswith("column_stats"):
            other = f"table_id NOT IN ({', '.join(map(str, spared_ids)) or 'NULL'})"
        sql = f"SELECT 1 FROM {METADATA}.{quote(table)} WHERE ({named}) AND {other} LIMIT 1"
        if files.rows(sql):
            yield f"the table {table} of the metadata"


def _in_vectors(store: "Store", target: Target) -> Iterator[str]:
    vectors = store.vectors
    for name in vectors.names():
        if vectors.read_images(name, target.ids).num_rows:
            yield f"the vectors {name}"
        if name in target.vectors and len(vectors.versions(name)) > 1:
            yield f"old versions of the vectors {name}"
