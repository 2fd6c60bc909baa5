"""Lineage of one thing: its edges, the things they join, a tree and a picture.

Out of scope: what was read for each materialisation (`graindex.lineage.recorded`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from graindex.history.snapshots import resolve
from graindex.lineage.kinds import KINDS, Node
from graindex.lineage.names import node_of
from graindex.lineage.reading import LineageReading
from graindex.lineage.tree import FIRST_SHOWN, Branches, Shown, shown_lines, tree_text
from graindex.lineage.walk import walk
from schemas.ddl import literal

if TYPE_CHECKING:
    from graindex.lake import AsOf
    from graindex.store import Store

_OF_A_TRAINING_SET = frozenset({"prediction", "training_row", "training_set", "model", "metric"})


@dataclass(frozen=True, eq=False)
class Lineage:
    """What one thing comes from, or what rests on it.

    Attributes:
        start: the thing.
        forward: whether this is what rests on it.
        edges: columns `downstream_kind, downstream_id, upstream_kind, upstream_id, dataset,
            code_version, depth`, the nearest first.
        lines: lines of the tree.
        described: what is said of the things in the tree.
        data_at: snapshot of images, volumes, particles and labels; None where it is the newest.
    """

    start: Node
    forward: bool
    edges: pa.Table
    lines: Sequence[Shown]
    described: dict[Node, str]
    data_at: int | None

    @cached_property
    def nodes(self) -> pa.Table:
        """Everything that was reached, the start left out: columns `kind, id`, sorted."""
        far = "downstream" if self.forward else "upstream"
        both = self.edges.select([f"{far}_kind", f"{far}_id"]).rename_columns(["kind", "id"])
        once = both.group_by(["kind", "id"]).aggregate([])
        return once.sort_by([("kind", "ascending"), ("id", "ascending")])

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many things of each kind were reached, upstream kinds first."""
        found = pc.value_counts(self.nodes["kind"].combine_chunks()).to_pylist()
        by_kind = {each["values"]: each["counts"] for each in found}
        return {kind: by_kind[kind] for kind in KINDS if kind in by_kind}

    def ids(self, kind: str) -> list[str]:
        """Ids of the things of a kind that were reached, sorted."""
        found: list[str] = self.nodes.filter(pc.equal(self.nodes["kind"], kind))["id"].to_pylist()
        return found

    def tree(self) -> str:
        """A tree as text: the first few of each kind and how many more there are."""
        return tree_text(self.lines, self.described)

    def draw(self, target: Path) -> None:
        """Write a picture, one box a kind: an SVG or a PNG by the file's suffix.

        Raises:
            InputError: another suffix, or the file cannot be written.
        """
        from graindex.lineage.picture import write_picture  # noqa: PLC0415

        write_picture(self, target)


def lineage_of(
    store: "Store",
    name: str,
    *,
    forward: bool = False,
    as_of: "str | AsOf | None" = None,
    datasets: tuple[str, ...] = (),
) -> Lineage:
    """Follow lineage from one thing.

    Backward from a model, or from what belongs to one or to its training set, images, particles
    and labels are read as of the snapshot that the training set was made of, so that what was
    replaced since does not appear; else, and where `as_of` is given, everything as of one snapshot.

    Args:
        store: the store.
        name: see `graindex.lineage.names.node_of`.
        forward: what rests on it, instead of what it comes from.
        as_of: snapshot as a number, tag or time.
        datasets: forward, training sets without a row of these collections are not followed.

    Raises:
        QueryError: the name stands for nothing, or there is no such snapshot.
    """
    moment = None if as_of is None else resolve(store, as_of)
    with LineageReading(store, data_at=moment, registered_at=moment) as reading:
        start = node_of(reading, name)
        data_at = moment
        if not forward and moment is None:
            data_at = _trained_at(reading, start)
        reading.read_data_at(data_at)
        edges = walk(reading, start, forward=forward, datasets=datasets)
        lines = shown_lines(start, Branches(edges, forward=forward), FIRST_SHOWN)
        described = _described(reading, [line.node for line in lines if line.node is not None])
        return Lineage(start, forward, edges, lines, described, data_at)


def _trained_at(reading: LineageReading, start: Node) -> int | None:
    """Snapshot that the training set which a thing belongs to was made of; None for others."""
    if start.kind not in _OF_A_TRAINING_SET:
        return None
    owner = start.id.partition(":")[0]
    model, _, version = owner.partition("@")
    condition = f"training_set_id = {literal(owner)}"
    if version:
        condition = f"""training_set_id IN (
            SELECT training_set_id FROM {reading["model_runs"]}
            WHERE model = {literal(model)} AND model_version = {int(version)}
        )"""
    found = reading.query(
        f"SELECT lake_snapshot FROM {reading['training_sets']} WHERE {condition}"
    )["lake_snapshot"].to_pylist()
    return found[0] if found else None


def _described(reading: LineageReading, nodes: Sequence[Node]) -> dict[Node, str]:
    """What is said of things, where there is something to say."""
    told: dict[Node, str] = {}
    for kind in sorted({node.kind for node in nodes}):
        if not KINDS[kind].described:
            continue
        ids = ", ".join(literal(name) for name in sorted({n.id for n in nodes if n.kind == kind}))
        rows = reading.query(reading.sql(KINDS[kind].described, ids=ids) + " ORDER BY ALL")
        for row in rows.to_pylist():
            if row["text"]:
                told.setdefault(Node(kind, row["id"]), row["text"])
    return told
