"""What earlier runs found out about volumes, so that it is not found out again.

Out of scope: finding it out (`graindex.volume_ingest`) and deciding what to (`graindex.volumes`).
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from graindex.checkpoint import Checkpoint
from graindex.files import sha256
from graindex.labels import LABEL_FINDINGS
from graindex.recipes import Content, Recipe
from graindex.volume_groups import CONTENTS, VolumeGroup
from graindex.volume_ingest import Ingested
from graindex.volume_members import Hashes, Size
from graindex.volume_tally import Tally
from models.calibrate.readings import Finding

if TYPE_CHECKING:
    from graindex.store import Store

VOLUMES_CODE_VERSION = "1"
VOLUME_TABLES = ("volumes", "volume_phases", "volume_findings", "quarantine")
DUPLICATE = "same voxels as"
LABEL_UNUSED = "label_unused"

_FACTS = (
    "grey_hash", "phases_hash", "labels_hash", "file_format",
    "size_z_voxels", "size_y_voxels", "size_x_voxels",
    "voxel_size_z_um", "voxel_size_y_um", "voxel_size_x_um", "voxel_size_source",
    "voxel_type", "grey_min", "grey_max", "nonfinite_voxels", "thumbnail",
)  # fmt: skip
_ANEW = LABEL_FINDINGS | {LABEL_UNUSED}


def input_hash(keys: Hashes, declared: Size | None) -> str:
    """Hash of all that decides the row of a volume but for where it lies."""
    return sha256(*(keys.get(content) for content in CONTENTS), json.dumps(declared))


def refusal_hash(group: VolumeGroup, declared: Size | None) -> str:
    """Hash of all that decides whether a volume is refused; its content may not be readable."""
    return sha256("refusal", group.listing_hash, json.dumps(declared))


@dataclass
class Memory:
    """Rows of earlier runs, committed or saved.

    Attributes:
        ids: volumes that are catalogued.
        found: what volumes were found to be, by input hash.
        tallies: what was seen of voxels, by content and key.
    """

    ids: set[str] = field(default_factory=set)
    found: dict[str, Ingested] = field(default_factory=dict)
    tallies: dict[tuple[Content, str], Tally] = field(default_factory=dict)
    _keys: dict[str, Hashes] = field(default_factory=dict)
    _refusals: dict[str, dict[str, str]] = field(default_factory=dict)
    _duplicates: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def load(cls, store: "Store", recipe: Recipe, work: Checkpoint) -> "Memory":
        """What is known of a collection."""
        committed = {name: store.lake.read(name, recipe.dataset) for name in VOLUME_TABLES}
        memory = cls(set(committed["volumes"]["volume_id"].to_pylist()))
        for tables in (committed, {name: work.load(name) for name in VOLUME_TABLES}):
            memory._take_volumes(tables)
            memory._take_refusals(tables["quarantine"])
        return memory

    def keys(self, group: VolumeGroup, declared: Size | None) -> Hashes | None:
        """Keys of the members' voxels, if the files are as they were."""
        known = self._keys.get(group.listing_hash)
        twin = self._duplicates.get(refusal_hash(group, declared), {})
        if known is None and {member.path for member in group.members.values()} <= twin.keys():
            known = {content: twin[member.path] for content, member in group.members.items()}
        return known

    def reasons(self, group: VolumeGroup, declared: Size | None) -> Mapping[str, str] | None:
        """Why a volume was refused, by the paths of its members, if nothing changed since."""
        return self._refusals.get(refusal_hash(group, declared))

    def _take_volumes(self, tables: Mapping[str, pa.Table]) -> None:
        phases: dict[str, dict[int, int]] = defaultdict(dict)
        for row in tables["volume_phases"].to_pylist():
            phases[row["volume_id"]][row["phase"]] = row["phase_voxels"]
        findings: dict[str, dict[Finding, None]] = defaultdict(dict)
        for row in tables["volume_findings"].to_pylist():
            if row["finding"] not in _ANEW:
                findings[row["volume_id"]][Finding(row["finding"], row["detail"])] = None
        rows = {row["input_hash"]: row for row in tables["volumes"].to_pylist()}
        times = Counter(row["volume_id"] for row in rows.values())
        for given, row in rows.items():
            key = row["volume_id"]
            # Runs that were cut short under two voxel sizes: their findings cannot be told apart.
            if row["code_version"] != VOLUMES_CODE_VERSION or times[key] > 1:
                continue
            self._keys[row["listing_hash"]] = _hashes(row)
            facts = {name: row[name] for name in _FACTS}
            self.found[given] = Ingested(facts, phases[key], tuple(findings[key]))
            self.remember(self.found[given])

    def remember(self, found: Ingested) -> None:
        """Keep what was seen of voxels."""
        facts: Mapping[str, Any] = found.facts
        for content, key in _hashes(facts).items():
            tally = Tally(content, "")
            if content == "grey":
                tally.low, tally.high = facts["grey_min"], facts["grey_max"]
                tally.nonfinite = facts["nonfinite_voxels"]
            elif content == "phases":
                tally.phases = dict(found.phases)
            self.tallies[content, key] = tally

    def _take_refusals(self, quarantine: pa.Table) -> None:
        by_input: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in quarantine.to_pylist():
            if row["input_hash"] and row["code_version"] == VOLUMES_CODE_VERSION:
                by_input[row["input_hash"]].append(row)
        for given, rows in by_input.items():
            # A duplicate's reason is about another volume, which may be gone by now.
            if any(row["reason"].startswith(DUPLICATE) for row in rows):
                self._duplicates[given] = {row["path"]: row["content_hash"] for row in rows}
            else:
                self._refusals[given] = {row["path"]: row["reason"] for row in rows}


def _hashes(row: Mapping[str, Any]) -> Hashes:
    return {content: row[f"{content}_hash"] for content in CONTENTS if row[f"{content}_hash"]}
