"""Volumes in a store without files: voxels and their rows, for tests of what follows from them."""

import hashlib
from collections.abc import Sequence

import numpy as np

from graindex.files import sha256
from graindex.store import Store
from schemas.arrow import from_records
from schemas.tables import TABLES
from tests.graindex.rows import SHA

Record = dict[str, object]
SPACING_UM = (0.5, 0.5, 0.5)


def put_volume(
    store: Store,
    dataset: str,
    name: str,
    spacing_um: tuple[float, float, float] = SPACING_UM,
    **voxels: np.ndarray,
) -> Record:
    """Keep `grey`, `phases` and `labels` of a volume; returns its row."""
    hashes = {kind: hashlib.sha256(array.tobytes()).hexdigest() for kind, array in voxels.items()}
    for kind, array in voxels.items():
        store.volume_store.put(
            kind,
            hashes[kind],
            [array],
            shape=array.shape,
            dtype=array.dtype,
            voxel_size_um=spacing_um,
            attributes={},
        )
    first = next(voxels[kind] for kind in ("grey", "phases", "labels") if kind in voxels)
    known = [hashes.get(kind) for kind in ("grey", "phases", "labels")]
    grey = voxels.get("grey")
    finite = None if grey is None else grey[np.isfinite(grey)]
    return {
        "dataset": dataset,
        "volume_id": sha256(dataset, *known)[:16],
        "path": f"{name}.tif",
        "uri": f"/volumes/{name}.tif",
        **{f"{kind}_hash": content for kind, content in hashes.items()},
        "listing_hash": SHA,
        "file_size_bytes": first.nbytes,
        "file_format": "tiff",
        **{f"size_{axis}_voxels": n for axis, n in zip("zyx", first.shape, strict=True)},
        **{f"voxel_size_{axis}_um": step for axis, step in zip("zyx", spacing_um, strict=True)},
        "voxel_size_source": "user",
        "voxel_type": first.dtype.name,
        "grey_min": None if finite is None or not finite.size else float(finite.min()),
        "grey_max": None if finite is None or not finite.size else float(finite.max()),
        "nonfinite_voxels": 0 if grey is None or finite is None else grey.size - finite.size,
        "thumbnail": SHA,
        "input_hash": SHA,
        "code_version": "1",
    }


def write_volumes(store: Store, dataset: str, records: Sequence[Record]) -> None:
    """Make these the volumes of a collection."""
    rows = from_records(TABLES["volumes"], records)
    store.lake.replace({"volumes": rows}, dataset, author="test", message="volumes")
