"""Columns of what happened to the store: lineage, tags, withdrawals.

Out of scope: snapshots themselves, which DuckLake keeps.
"""

from schemas.field import Field, Kind, count, text

HISTORY_FIELDS = (
    text("asset", "Asset that was materialised or checked."),
    text("part_of", "Which part of the asset: a collection or a model."),
    text("upstream_asset", "Asset that was read."),
    text("upstream_part", "Which part of the asset that was read."),
    count("upstream_snapshot", "Snapshot of the lake at which it was read."),
    text("tag", "Name of the snapshot.", pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$"),
    Field("withdrawn_at", Kind.INSTANT, "When the image or volume was withdrawn."),
)
