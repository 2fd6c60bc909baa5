"""One volume into the store: the voxels of its members kept, and what its row says of them.

Out of scope: which files are one volume (`graindex.volume_scan`), and which volumes are known
already (`graindex.volumes`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from graindex.progress import report
from graindex.readers.volume_source import UnreadableVolumeError, VolumeSource, Voxels
from graindex.recipes import Content
from graindex.records import Record
from graindex.section_pictures import sections_jpeg
from graindex.volume_groups import CONTENTS, Member, VolumeGroup
from graindex.volume_members import (
    Hashes,
    Size,
    Sources,
    VolumeRefusedError,
    VoxelSize,
    fault_of,
)
from graindex.volume_slabs import chunk_shape
from graindex.volume_store import StoredVolume, VolumeStore
from graindex.volume_tally import Tally
from graindex.volume_unfinished import refusals_of_the_home
from models.calibrate.readings import Finding

if TYPE_CHECKING:
    from graindex.store import Store

Tallies = Mapping[tuple[Content, str], Tally]
"""What was seen of voxels, by their content and key."""

PREVIEW_SIDE_PX = 768
"""Longest side of the picture of a volume."""


@dataclass(frozen=True)
class Ingested:
    """What a volume's files say.

    Attributes:
        facts: columns of `volumes` that do not depend on where the files lie.
        phases: voxels by phase.
        findings: what a person should know.
    """

    facts: Record
    phases: Mapping[int, int]
    findings: tuple[Finding, ...]


def ingest(
    store: "Store",
    group: VolumeGroup,
    sources: Sources,
    keys: Hashes,
    size: VoxelSize,
    known: Tallies,
) -> Ingested:
    """Keep the voxels of all members and say what is in them.

    Args:
        store: where to.
        group: the volume.
        sources: its members, opened.
        keys: of their voxels.
        size: of a voxel.
        known: what was seen of voxels that may be in the store already.

    Raises:
        VolumeRefusedError: a member is damaged, or holds no labels or phases.
        HomeError: the store cannot be written.
    """
    tallies = {
        content: _keep(store.volume_store, member, sources[content], keys[content], size.um, known)
        for content, member in group.members.items()
    }
    primary = sources[group.primary.content]
    grey = tallies.get("grey", Tally("grey", ""))
    facts: Record = {
        **{f"{content}_hash": keys.get(content) for content in CONTENTS},
        "file_format": primary.format,
        **{f"size_{a}_voxels": n for a, n in zip("zyx", primary.shape, strict=True)},
        **{f"voxel_size_{a}_um": s for a, s in zip("zyx", size.um, strict=True)},
        "voxel_size_source": size.source,
        "voxel_type": primary.dtype.name,
        "grey_min": grey.low,
        "grey_max": grey.high,
        "nonfinite_voxels": grey.nonfinite,
        "thumbnail": _thumbnail(store, group.primary, keys[group.primary.content], size.um),
    }
    phases = tallies["phases"].phases if "phases" in tallies else {}
    return Ingested(facts, phases, (*_own_findings(group, sources), *size.findings))


def _own_findings(group: VolumeGroup, sources: Sources) -> Iterator[Finding]:
    """What the readers say; of several members, with the name of the one it is about."""
    for content, source in sources.items():
        for finding in source.findings:
            name = group.members[content].name
            detail = finding.detail if len(sources) == 1 else f"{name}: {finding.detail}"
            yield Finding(finding.kind, detail)


def _keep(
    volumes: VolumeStore,
    member: Member,
    source: VolumeSource,
    key: str,
    size: Size,
    known: Tallies,
) -> Tally:
    """Bring one member's voxels into the store, unless they are there; returns what they show."""
    content = member.content
    if volumes.has(content, key):
        before = known.get((content, key))
        try:
            return before or _seen(volumes.open(content, key), content)
        except UnreadableVolumeError:
            volumes.remove(content, key)  # damaged in the store: written anew
    tally, passed = Tally(content, source.name), 0

    def slabs(start: int) -> Iterator[Voxels]:
        # Slabs that a killed run has written are read once more, because they count as well.
        nonlocal passed
        for slab in source.slabs(chunk_shape(source.shape, source.dtype)[0]):
            tally.add(slab, passed)
            passed += len(slab)
            if passed > start:
                yield slab

    with fault_of(member):
        volumes.put(
            content,
            key,
            slabs,
            shape=source.shape,
            dtype=source.dtype,
            voxel_size_um=size,
            attributes={"format": source.format},
            progress=lambda done, total: report(f"read {member.path}", done, total),
        )
    if passed < source.shape[0]:  # another process was quicker
        return _seen(volumes.open(content, key), content)
    if _changed(member):
        volumes.remove(content, key)
        reason = "changed while it was read; materialise it again"
        raise VolumeRefusedError(member, reason, lasting=False)
    return tally


def _seen(stored: StoredVolume, content: Content) -> Tally:
    tally, z = Tally(content, stored.name), 0
    for slab in stored.slabs(stored.chunks[0]):
        tally.add(slab, z)
        z += len(slab)
    return tally


def _changed(member: Member) -> bool:
    """Whether a file in a folder is not what was listed; behind a URL, asking costs too much."""
    for file in member.files:
        if "://" in file.uri:
            return False
        try:
            status = Path(file.uri).stat()
        except OSError:
            return True
        modified = datetime.fromtimestamp(status.st_mtime_ns // 1000 / 1e6, UTC)
        if (status.st_size, modified) != (file.size_bytes, file.modified_at):
            return True
    return False


def _thumbnail(store: "Store", primary: Member, key: str, size: Size) -> str:
    """Content address of a picture of three sections.

    Raises:
        VolumeRefusedError: the voxels in the store cannot be read back.
        HomeError: the picture cannot be kept.
    """
    try:
        with store.volume_store.open(primary.content, key) as stored:
            labels = stored if primary.content == "labels" else None
            picture = sections_jpeg(stored, labels, spacing_um=size, side_px=PREVIEW_SIDE_PX)
    except (UnreadableVolumeError, OSError) as error:
        raise VolumeRefusedError(primary, str(error), lasting=False) from error
    with refusals_of_the_home(store.location.home):
        return store.files.put(picture)
