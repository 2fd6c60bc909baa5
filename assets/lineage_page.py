"""Lineage as Dagster shows it: a page and a picture among the metadata of an asset.

Out of scope: finding it (`graindex.lineage`).
"""

import dagster as dg

from assets.figures import as_markdown
from assets.table_metadata import Metadata
from graindex.lineage.kinds import spoken
from graindex.lineage.picture import picture
from graindex.store import Store


def lineage_metadata(store: Store, name: str) -> Metadata:
    """Page and picture of what something comes from.

    Args:
        store: the store.
        name: a model as ``name@version``, or what else `graindex lineage` takes.

    Raises:
        QueryError: the name stands for nothing.
    """
    found = store.lineage(name)
    counted = "\n".join(f"- {spoken(kind, count)}" for kind, count in found.counts.items())
    moment = "" if found.data_at is None else f"Data as of snapshot {found.data_at}.\n\n"
    page = f"{moment}{counted}\n\n```text\n{found.tree()}\n```\n"
    return {
        "lineage": dg.MetadataValue.md(page),
        "lineage, files at the left": as_markdown(picture(found)),
    }
