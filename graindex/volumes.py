"""Volumes of a collection: from a listing to rows and voxels, reading only what changed.

Out of scope: reading a volume (`graindex.volume_ingest`) and what is found in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graindex.catalogue import label_paths
from graindex.checkpoint import Checkpoint
from graindex.files import sha256
from graindex.forget.withdrawn import withdrawn_contents
from graindex.labels import Labelling
from graindex.outcome import Outcome, recalibration
from graindex.progress import report
from graindex.recipes import Recipe
from graindex.records import Record
from graindex.scan import Refusal, list_collection
from graindex.volume_groups import CONTENTS, Member, VolumeGroup, belongs_to
from graindex.volume_ingest import Ingested, ingest
from graindex.volume_members import (
    Hashes,
    VolumeRefusedError,
    content_keys,
    opened,
    voxel_size,
)
from graindex.volume_memory import (
    DUPLICATE,
    LABEL_UNUSED,
    VOLUME_TABLES,
    VOLUMES_CODE_VERSION,
    Memory,
    input_hash,
    refusal_hash,
)
from graindex.volume_scan import VolumeListing, list_volumes
from graindex.volume_unfinished import refusals_of_the_home
from models.calibrate.readings import Finding
from schemas.arrow import empty, from_records
from schemas.tables import TABLES

if TYPE_CHECKING:
    from graindex.store import Store

__all__ = ["VOLUMES_CODE_VERSION", "list_collection_volumes", "refresh_volumes"]

Rows = dict[str, list[Record]]

_SIZES = ("voxel_size_z_um", "voxel_size_y_um", "voxel_size_x_um")


@dataclass(frozen=True)
class _Result:
    """What became of one group.

    Attributes:
        keys: of its voxels, where they are known.
        found: what it is; None where it was refused.
        reasons: why its members were refused, by path.
        lasting: whether it will be refused again.
        fresh: whether it was found out in this run.
    """

    keys: Hashes | None
    found: Ingested | None = None
    reasons: Mapping[str, str] | None = None
    lasting: bool = False
    fresh: bool = False


def list_collection_volumes(recipe: Recipe) -> VolumeListing:
    """The volumes of a collection by their names.

    Raises:
        CollectionError: its location is gone.
    """
    listing = list_collection(recipe.location_uri)
    return list_volumes(recipe.location_uri, listing, recipe.volumes)


def refresh_volumes(store: "Store", recipe: Recipe, *, author: str) -> Outcome:
    """Bring the volumes of a collection and their voxels up to date; refused ones are quarantined.

    A volume is read when its content, the declared voxel size or the code changed, or its voxels
    are gone from the store. Paths and specimens are worked out anew each time: they cost nothing.
    A run that was cut short goes on with the slab that it had come to.

    Raises:
        CollectionError: its location or its table of samples is gone or wrong.
        HomeError: the store cannot be written.
    """
    if recipe.kind != "volumes":
        return _without_volumes(store, recipe, author)
    listing = list_collection_volumes(recipe)
    labelling = label_paths(recipe, [group.path for group in listing.groups])
    work = Checkpoint(store.location, "volumes", recipe.dataset)
    memory = Memory.load(store, recipe, work)
    withdrawn = withdrawn_contents(store, recipe.dataset)
    rows: Rows = {name: [] for name in VOLUME_TABLES}
    rows["quarantine"] += [_listing_refusal(recipe, refusal) for refusal in listing.refusals]
    catalogued: dict[str, str] = {}
    computed = 0
    report("volumes", 0, len(listing.groups))
    for done, group in enumerate(listing.groups, start=1):
        result = _look(store, recipe, group, memory, catalogued, withdrawn)
        own = _rows(recipe, group, result, labelling)
        if result.fresh:
            with refusals_of_the_home(store.location.home):
                work.save({name: records for name, records in own.items() if records})
        for name, records in own.items():
            rows[name] += records
        computed += result.fresh and result.found is not None
        report("volumes", done, len(listing.groups))
    tables = {name: from_records(TABLES[name], records) for name, records in rows.items()}
    message = f"volumes of {recipe.dataset}"
    before = store.lake.read("volumes", recipe.dataset)
    snapshot = store.lake.replace(tables, recipe.dataset, author=author, message=message)
    work.clear()
    return Outcome(
        rows=len(catalogued),
        computed=computed,
        kept=len(catalogued) - computed,
        dropped=len(memory.ids - catalogued.keys()),
        refused={str(row["path"]): str(row["reason"]) for row in rows["quarantine"]},
        snapshot=snapshot,
        recalibration=recalibration(before, tables["volumes"], "volume_id", _SIZES),
    )


def _without_volumes(store: "Store", recipe: Recipe, author: str) -> Outcome:
    """A collection of another kind: rows of the time when it was of this one go.

    Refused inputs are left to the other kind.
    """
    own = [name for name in VOLUME_TABLES if name != "quarantine"]
    dropped = store.lake.read("volumes", recipe.dataset).num_rows
    tables = {name: empty(TABLES[name]) for name in own}
    message = f"no volumes in {recipe.dataset}"
    snapshot = store.lake.replace(tables, recipe.dataset, author=author, message=message)
    return Outcome(0, 0, 0, dropped, {}, snapshot)


def _look(
    store: "Store",
    recipe: Recipe,
    group: VolumeGroup,
    memory: Memory,
    catalogued: dict[str, str],
    withdrawn: Mapping[str, str],
) -> _Result:
    """Find out what a group is, from memory or from its files.

    Args:
        store: where voxels are kept.
        recipe: the collection.
        group: files that look like a volume.
        memory: what earlier runs found out.
        catalogued: paths of the volumes before this one, by their ids; this one is added.
        withdrawn: why contents are refused, by their hash.
    """
    declared = recipe.declared_voxel_size_um
    reasons = memory.reasons(group, declared)
    if reasons is not None:
        return _Result(None, reasons=reasons, lasting=True)
    keys = memory.keys(group, declared)
    found = _remembered(store, recipe, memory, keys)
    fresh = False
    if keys is None or (found is None and _volume_id(recipe, keys) not in catalogued):
        try:
            with opened(group) as sources:
                size = voxel_size(group, sources, declared)
                known = keys or content_keys(group, sources)
                _refuse_withdrawn(group, known, withdrawn)
                keys = known
                found = _remembered(store, recipe, memory, keys)
                if found is None and _volume_id(recipe, keys) not in catalogued:
                    found = ingest(store, group, sources, keys, size, memory.tallies)
                    memory.remember(found)
                    fresh = True
        except VolumeRefusedError as error:
            reasons = _reasons(group, error.member, error.reason)
            return _Result(keys, reasons=reasons, lasting=error.lasting, fresh=error.lasting)
    first = catalogued.setdefault(_volume_id(recipe, keys), group.path)
    if first != group.path:
        reason = f"{DUPLICATE} {first!r}, which is catalogued"
        return _Result(keys, reasons=_reasons(group, group.primary, reason), lasting=True)
    return _Result(keys, found, fresh=fresh)


def _refuse_withdrawn(group: VolumeGroup, keys: Hashes, withdrawn: Mapping[str, str]) -> None:
    reason = withdrawn.get(keys[group.primary.content])
    if reason is not None:
        raise VolumeRefusedError(group.primary, reason, lasting=True)


def _remembered(
    store: "Store", recipe: Recipe, memory: Memory, keys: Hashes | None
) -> Ingested | None:
    """What is known of a volume, if all of its voxels are in the store."""
    if keys is None or not all(store.volume_store.has(kind, key) for kind, key in keys.items()):
        return None
    return memory.found.get(input_hash(keys, recipe.declared_voxel_size_um))


def _reasons(group: VolumeGroup, culprit: Member, reason: str) -> dict[str, str]:
    """A reason for every member, so that none of the files is lost."""
    return {
        member.path: reason if member is culprit else belongs_to(culprit.path)
        for member in group.members.values()
    }


def _volume_id(recipe: Recipe, keys: Hashes) -> str:
    return sha256(recipe.dataset, *(keys.get(content) for content in CONTENTS))[:16]


def _rows(recipe: Recipe, group: VolumeGroup, result: _Result, labelling: Labelling) -> Rows:
    """Rows of one group by table."""
    if result.reasons is not None:
        return {
            "quarantine": [
                _refusal(recipe, group, member, result, result.reasons)
                for member in group.members.values()
            ]
        }
    assert result.found is not None
    assert result.keys is not None
    found = result.found
    identity: Record = {
        "dataset": recipe.dataset,
        "volume_id": _volume_id(recipe, result.keys),
    }
    voxels = sum(found.phases.values())
    notes = dict.fromkeys((*found.findings, *_label_findings(group, labelling)))
    return {
        "volumes": [
            {
                **identity,
                "sample_id": labelling.sample_ids.get(group.path),
                "path": group.path,
                "uri": group.primary.uri,
                **{f"{content}_uri": member.uri for content, member in group.members.items()},
                "listing_hash": group.listing_hash,
                "file_size_bytes": group.size_bytes,
                **found.facts,
                "input_hash": input_hash(result.keys, recipe.declared_voxel_size_um),
                "code_version": VOLUMES_CODE_VERSION,
            }
        ],
        "volume_phases": [
            {**identity, "phase": phase, "phase_voxels": n, "phase_fraction": n / voxels}
            for phase, n in sorted(found.phases.items())
        ],
        "volume_findings": [
            {**identity, "finding": note.kind, "detail": note.detail} for note in notes
        ],
    }


def _label_findings(group: VolumeGroup, labelling: Labelling) -> tuple[Finding, ...]:
    """What is to say of a volume's labels; those of an acquisition have no column here."""
    unused = (
        Finding(LABEL_UNUSED, f"{reading.detail}: acquisition values are of images only")
        for reading in labelling.readings.get(group.path, ())
    )
    return (*labelling.findings.get(group.path, ()), *unused)


def _refusal(
    recipe: Recipe, group: VolumeGroup, member: Member, result: _Result, reasons: Mapping[str, str]
) -> Record:
    return {
        "dataset": recipe.dataset,
        "path": member.path,
        "uri": member.uri,
        "reason": reasons[member.path],
        "content_hash": result.keys.get(member.content) if result.keys else None,
        "file_size_bytes": member.size_bytes,
        "file_modified_at": member.modified_at,
        "input_hash": (
            refusal_hash(group, recipe.declared_voxel_size_um) if result.lasting else None
        ),
        "code_version": VOLUMES_CODE_VERSION,
    }


def _listing_refusal(recipe: Recipe, refusal: Refusal) -> Record:
    return {
        "dataset": recipe.dataset,
        "path": refusal.path,
        "uri": refusal.uri,
        "reason": refusal.reason,
        "code_version": VOLUMES_CODE_VERSION,
    }
