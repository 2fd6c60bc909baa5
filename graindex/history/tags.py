"""Tags: names of snapshots, which keep them from being removed.

Out of scope: the list of snapshots (`graindex.history.snapshots`).
"""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from graindex.ducklake import CATALOG
from graindex.errors import QueryError
from graindex.history.snapshots import number_at
from schemas.arrow import from_records
from schemas.ddl import literal
from schemas.fields import FIELDS
from schemas.tables import TABLES

if TYPE_CHECKING:
    import duckdb

    from graindex.store import Store


def set_tag(
    store: "Store", tag: str, snapshot: int, *, author: str, note: str | None = None
) -> None:
    """Give a snapshot a name.

    Raises:
        QueryError: the name is not one, or taken; or there is no such snapshot.
    """
    if not re.fullmatch(FIELDS["tag"].pattern or "", tag):
        message = (
            f"{tag!r} cannot be a tag: a letter, then up to 63 letters, digits, '_', '.' or '-'"
        )
        raise QueryError(message)
    number_at(store.lake, snapshot)
    taken = _tags(store).get(tag)
    if taken is not None and taken != snapshot:
        message = (
            f"tag {tag!r} names snapshot {taken}: remove it first, graindex tag {tag} --delete"
        )
        raise QueryError(message)
    record = {
        "tag": tag,
        "lake_snapshot": snapshot,
        "author": author,
        "recorded_at": datetime.now(UTC),
        "note": note,
    }
    rows = from_records(TABLES["tags"], [record])
    store.lake.put({"tags": rows}, author=author, message=f"tag {tag} on {snapshot}")
    try:
        number_at(store.lake, snapshot)
    except QueryError:  # removed by another process since
        _delete(store, tag, author)
        raise


def delete_tag(store: "Store", tag: str, *, author: str) -> None:
    """Take a name away; the snapshot stays until it is removed as garbage.

    Raises:
        QueryError: there is no such tag.
    """
    known = _tags(store)
    if tag not in known:
        told = ", ".join(sorted(known)) or "none"
        message = f"there is no tag {tag!r}; tags: {told}"
        raise QueryError(message)
    _delete(store, tag, author)


def _tags(store: "Store") -> dict[str, int]:
    rows = store.lake.read("tags", columns=("tag", "lake_snapshot")).to_pylist()
    return {row["tag"]: row["lake_snapshot"] for row in rows}


def _delete(store: "Store", tag: str, author: str) -> None:
    def write(cursor: "duckdb.DuckDBPyConnection") -> None:
        cursor.execute(f"DELETE FROM {CATALOG}.tags WHERE tag = {literal(tag)}")

    store.lake.commit(write, author=author, message=f"no tag {tag}")
