"""Members of one volume, opened: what their headers say, compared, and the keys of their voxels.

Out of scope: reading voxels (`graindex.volume_ingest`).
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise

from graindex.errors import GraindexError
from graindex.files import sha256
from graindex.readers.frame import one_line
from graindex.readers.volumes import UnreadableVolumeError, VolumeSource, open_volume
from graindex.recipes import Content
from graindex.volume_groups import Member, VolumeGroup
from graindex.volume_tally import check_type
from models.calibrate.readings import Finding

Size = tuple[float, float, float]
Hashes = Mapping[Content, str]
Sources = Mapping[Content, VolumeSource]

_FILES_AGREE = 1e-3
_USER_AGREES = 0.05


class VolumeRefusedError(GraindexError):
    """A volume that cannot be used.

    Attributes:
        member: whose fault it is.
        reason: one line.
        lasting: whether the same files will be refused again; what the system refuses may not.
    """

    def __init__(self, member: Member, reason: str, *, lasting: bool) -> None:
        self.member, self.reason, self.lasting = member, one_line(reason), lasting
        super().__init__(f"{member.path}: {self.reason}")


@dataclass(frozen=True)
class VoxelSize:
    """The voxel size of a volume.

    Attributes:
        um: (dz, dy, dx).
        source: ``user`` or ``metadata``.
        findings: statements that contradict each other.
    """

    um: Size
    source: str
    findings: tuple[Finding, ...]


@contextmanager
def fault_of(member: Member) -> Iterator[None]:
    """Refuse the volume because of one member, whatever its reader says.

    Raises:
        VolumeRefusedError: in place of what was raised.
    """
    try:
        yield
    except UnreadableVolumeError as error:
        reason = error.reason if error.name == member.name else str(error)
        raise VolumeRefusedError(member, reason, lasting=True) from error
    except OSError as error:  # and OriginalError
        said = error.strerror or str(error) or type(error).__name__
        reason = said if "cannot be" in said else f"cannot be read: {said}"
        raise VolumeRefusedError(member, reason, lasting=False) from error


@contextmanager
def opened(group: VolumeGroup) -> Iterator[Sources]:
    """Open all members and compare what their headers say; no voxel is read yet.

    Raises:
        VolumeRefusedError: one cannot be opened, is of the wrong type, or lies on another grid.
    """
    with ExitStack() as stack:
        sources: dict[Content, VolumeSource] = {}
        for content, member in group.members.items():
            with fault_of(member):
                source = stack.enter_context(open_volume(member.uri, **member.options))
                check_type(content, source)
            sources[content] = source
        whole = sources[group.primary.content].shape
        for content, source in sources.items():
            if source.shape != whole:
                reason = (
                    f"{content} are {_extents(source.shape)} voxels (Z, Y, X), but "
                    f"{group.primary.name} has {_extents(whole)}: crop or resample one onto the "
                    "other"
                )
                raise VolumeRefusedError(group.members[content], reason, lasting=True)
        yield sources


def _extents(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def content_keys(group: VolumeGroup, sources: Sources) -> Hashes:
    """Keys of the members' voxels: SHA-256 of the content, and of the options of reading, if any.

    Raises:
        VolumeRefusedError: one cannot be read.
    """
    keys: dict[Content, str] = {}
    for content, member in group.members.items():
        with fault_of(member):
            digest = sources[content].content_sha256()
        keys[content] = digest if member.reading is None else sha256(digest, member.reading)
    return keys


def voxel_size(group: VolumeGroup, sources: Sources, declared: Size | None) -> VoxelSize:
    """The user's voxel size, or the first that a member states.

    Args:
        group: the volume.
        sources: its members, opened.
        declared: (dz, dy, dx) in µm that the user gave.

    Raises:
        VolumeRefusedError: neither is there.
    """
    stated = [
        (group.members[content].name, source.voxel_size_um)
        for content, source in sources.items()
        if source.voxel_size_um is not None
    ]
    findings = [
        _disagreement(f"{one} states {_um(a)}, {other} {_um(b)}")
        for (one, a), (other, b) in pairwise(stated)
        if _differ(a, b, _FILES_AGREE)
    ]
    if declared is not None:
        findings += [
            _disagreement(f"the user gave {_um(declared)}, {name} states {_um(size)}")
            for name, size in stated
            if _differ(declared, size, _USER_AGREES)
        ]
        return VoxelSize(declared, "user", tuple(findings))
    if stated:
        return VoxelSize(stated[0][1], "metadata", tuple(findings))
    unusable = [
        finding.detail
        for source in sources.values()
        for finding in source.findings
        if finding.kind == "voxel_size_unusable"
    ]
    told = f" ({unusable[0]})" if unusable else ""
    reason = f"no voxel size is stated{told}: register with --voxel-size-um Z Y X"
    raise VolumeRefusedError(group.primary, reason, lasting=True)


def _disagreement(detail: str) -> Finding:
    return Finding("voxel_size_disagreement", detail)


def _differ(one: Size, other: Size, tolerance: float) -> bool:
    return any(abs(a - b) > tolerance * max(a, b) for a, b in zip(one, other, strict=True))


def _um(size: Size) -> str:
    return f"{' x '.join(f'{step:.6g}' for step in size)} µm (z, y, x)"
