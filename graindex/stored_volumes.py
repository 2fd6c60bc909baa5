"""Volumes of the store as their rows name them: spacing, and why one cannot be used.

Out of scope: reading and writing voxels (`graindex.volume_store`).
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from graindex.errors import OriginalError
from graindex.readers.volume_source import UnreadableVolumeError
from graindex.volume_unfinished import refusals_of_the_home
from models.measure.arrays import InvalidVolumeError

if TYPE_CHECKING:
    from graindex.store import Store

Triple = tuple[float, float, float]

CONFIDENCE = "confidence"
"""Name of the array beside a label volume: (N,) float32 of labels 1…N."""

EXPECTED = (OriginalError, UnreadableVolumeError, InvalidVolumeError)
"""What may be wrong with one volume while the others go on."""


def spacing_of(volume: Mapping[str, Any]) -> Triple:
    """(dz, dy, dx) in µm of a row of `volumes`."""
    return (
        float(volume["voxel_size_z_um"]),
        float(volume["voxel_size_y_um"]),
        float(volume["voxel_size_x_um"]),
    )


def written(store: "Store", part: str) -> AbstractContextManager[None]:
    """Turn what the system refuses to write below a part of the store into a `HomeError`."""
    return refusals_of_the_home(store.location.under(part))


def reason(
    store: "Store",
    volume: Mapping[str, Any],
    error: Exception,
    *,
    label_volume: str | None = None,
) -> str:
    """Say in one line why a volume was refused and what to do about it.

    Args:
        store: where the voxels lie.
        volume: row of `volumes`.
        error: one of `EXPECTED`.
        label_volume: key of its labels, if they are read.
    """
    if not isinstance(error, UnreadableVolumeError):
        return str(error)
    given = {kind: volume[f"{kind}_hash"] for kind in ("grey", "phases", "labels")}
    parts = [(kind, key, "volumes") for kind, key in given.items()]
    if label_volume != given["labels"]:
        parts.append(("labels", label_volume, "particle_labels_3d"))
    for kind, key, asset in parts:
        if key is None or not store.volume_store.address(kind, key).endswith(f"/{error.name}"):
            continue
        if not store.volume_store.has(kind, key):
            return f"its {kind} are not in the store: materialise {asset} again"
        address = store.volume_store.address(kind, key)
        damage = error.reason.partition("; remove ")[0]
        return f"its {kind}: {damage}; remove {address} and materialise {asset} again"
    return str(error)
