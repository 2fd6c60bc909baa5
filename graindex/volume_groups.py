"""Files that together are one volume: grey values, phases and labels on one grid.

Out of scope: telling from a listing what is a volume at all (`graindex.volume_scan`).
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, get_args

from graindex.files import sha256
from graindex.recipes import Content
from graindex.scan import Original, Refusal

CONTENTS: tuple[Content, ...] = get_args(Content)
"""In the order in which a group is named after one of them."""

_CONTENT = re.compile(r"(?:^|[._\- ])(grey|gray|phases?|labels?)$", re.IGNORECASE)


@dataclass(frozen=True)
class Candidate:
    """What looks like a volume, before its content is known.

    Attributes:
        path: relative to the collection's location.
        uri: where it lies, for fsspec.
        stem: its name without suffixes.
        files: all that it consists of.
        options: keyword arguments of `open_volume`.
    """

    path: str
    uri: str
    stem: str
    files: tuple[Original, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Member:
    """A file or folder that is a volume by itself: grey values, phases or labels.

    Attributes:
        content: what it holds.
        path: relative to the collection's location.
        uri: where it lies, for fsspec.
        files: all that it consists of.
        options: keyword arguments of `open_volume`, where what is read depends on some.
    """

    content: Content
    path: str
    uri: str
    files: tuple[Original, ...]
    options: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def size_bytes(self) -> int:
        """Size of all files together."""
        return sum(file.size_bytes for file in self.files)

    @property
    def modified_at(self) -> datetime:
        """When the last of the files was modified."""
        return max(file.modified_at for file in self.files)

    @property
    def reading(self) -> str | None:
        """The options as text; None where there are none."""
        return json.dumps(dict(self.options), sort_keys=True) if self.options else None


@dataclass(frozen=True)
class VolumeGroup:
    """Up to three members on one grid, which together are one row of `volumes`.

    Attributes:
        members: by content, grey before phases before labels.
    """

    members: Mapping[Content, Member]

    @property
    def primary(self) -> Member:
        """The member that the group is named after."""
        return next(iter(self.members.values()))

    @property
    def path(self) -> str:
        """Relative path of the primary member."""
        return self.primary.path

    @property
    def size_bytes(self) -> int:
        """Size of all files of all members."""
        return sum(member.size_bytes for member in self.members.values())

    @cached_property
    def listing_hash(self) -> str:
        """Hash that changes when a file is added, removed or modified, or is read otherwise."""
        parts: list[str | None] = []
        for content, member in self.members.items():
            parts += [content, member.reading]
            parts += sorted(
                f"{file.path}\0{file.size_bytes}\0{file.modified_at.isoformat()}"
                for file in member.files
            )
        return sha256(*parts)


def grouped(
    found: Iterable[Candidate], usual: Content
) -> tuple[tuple[VolumeGroup, ...], list[Refusal]]:
    """Put candidates together whose names in one folder differ only in what they hold.

    Args:
        found: what looks like a volume.
        usual: content of those whose names do not tell.

    Returns:
        Groups in the order of their paths, and the members of those with two of one content.
    """
    together: dict[tuple[str, str], list[Member]] = defaultdict(list)
    for candidate in found:
        stem, content = _content(candidate.stem, usual)
        together[folder_of(candidate.path), stem].append(
            Member(content, candidate.path, candidate.uri, candidate.files, candidate.options)
        )
    groups, refusals = [], []
    for members in together.values():
        by_content = {c: [m for m in members if m.content == c] for c in CONTENTS}
        twice = [m for same in by_content.values() if len(same) > 1 for m in same]
        if twice:
            refusals += [_ambiguous(member, twice) for member in members]
        else:
            groups.append(VolumeGroup({c: same[0] for c, same in by_content.items() if same}))
    return tuple(sorted(groups, key=lambda group: group.path)), refusals


def _content(stem: str, usual: Content) -> tuple[str, Content]:
    """What is left of a stem, and what its end says."""
    match = _CONTENT.search(stem)
    if match is None:
        return stem, usual
    word = match[1].lower()
    content: Content = "grey" if word in {"grey", "gray"} else "labels"
    return stem[: match.start()], "phases" if word.startswith("phase") else content


def _ambiguous(member: Member, twice: Sequence[Member]) -> Refusal:
    if member not in twice:
        return Refusal(member.path, member.uri, belongs_to(twice[0].path))
    same = [other.name for other in twice if other.content == member.content]
    reason = (
        f"{' and '.join(same)} are both {member.content} of one volume; let the names end in "
        "_grey, _phases or _labels, or move one out"
    )
    return Refusal(member.path, member.uri, reason)


def belongs_to(path: str) -> str:
    """Reason why a member is refused that has no fault of its own."""
    return f"belongs to {path!r}, which was refused"


def folder_of(path: str) -> str:
    """The folder of a relative path; "" for the location itself."""
    return path.rpartition("/")[0]
