"""One volume while it is written: begun or gone on with, slab by slab, then put in its place.

Out of scope: which volumes there are (`graindex.volume_store`).
"""

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.core.array_spec import ArrayConfigParams

from graindex.errors import HomeError
from graindex.files import sha256
from graindex.readers.frame import one_line
from graindex.readers.volume_source import Voxels
from graindex.readers.volume_zarr import zarr_store

_FORMAT = "1"
"""Raise when chunks are written in another way: unfinished volumes then start anew."""

_ARRAY = "0"
_CONFIG: ArrayConfigParams = {"write_empty_chunks": True, "order": "C"}
"""Every chunk is written, so that one that is missing is damage and not background."""

_LATE_WRITES_S = 2.0


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a volume will be: all that decides whether an unfinished one can be gone on with."""

    key: str
    shape: tuple[int, int, int]
    dtype: str
    chunks: tuple[int, int, int]
    voxel_size_um: tuple[float, float, float] | None
    attributes: dict[str, object]

    @property
    def fingerprint(self) -> str:
        """Hash over everything declared."""
        return sha256(_FORMAT, json.dumps(asdict(self), sort_keys=True))

    def group_attributes(self) -> dict[str, Any]:
        """OME-NGFF 0.5 metadata of an image of one resolution, and our own beside."""
        unit = {} if self.voxel_size_um is None else {"unit": "micrometer"}
        scale = [1.0, 1.0, 1.0] if self.voxel_size_um is None else list(self.voxel_size_um)
        dataset = {
            "path": _ARRAY,
            "coordinateTransformations": [{"type": "scale", "scale": scale}],
        }
        image = {
            "name": self.key,
            "axes": [{"name": axis, "type": "space", **unit} for axis in "zyx"],
            "datasets": [dataset],
        }
        return {"ome": {"version": "0.5", "multiscales": [image]}, "graindex": self.attributes}


def _compressors() -> list[BloscCodec | Crc32cCodec]:
    return [BloscCodec(cname="zstd", clevel=5, shuffle="shuffle"), Crc32cCodec()]


@contextmanager
def refusals_of_the_home(address: str) -> Iterator[None]:
    """Turn what the system refuses to write into one line.

    Raises:
        HomeError: the disk is full, read-only, or the like.
    """
    try:
        yield
    except OSError as error:
        said = one_line(error.strerror or str(error) or type(error).__name__)
        message = f"{address} cannot be written: {said}; nothing of it was kept"
        raise HomeError(message) from error


class UnfinishedVolume:
    """A volume between its first slab and its last.

    Attributes:
        slices: how many are written.
    """

    def __init__(
        self,
        fs: Any,
        path: str,
        address: str,
        declared: Declaration,
        beside: Mapping[str, npt.NDArray[Any]],
        *,
        local: bool,
    ) -> None:
        self.slices = 0
        self._beside = beside
        self._fs, self._path, self._address, self._declared = fs, path, address, declared
        self._local = local
        self._part = f"{path}.part" if local else path
        self._note = f"{path}.part.json"
        self._store_address = f"{path}.part" if local else address
        self._array: zarr.Array[Any] | None = None

    def start(self) -> int:
        """Begin, or go on with what a killed writer left; returns the slices already there.

        Raises:
            HomeError: the store may not be written.
        """
        with refusals_of_the_home(self._address):
            self.slices = self._slices_of_before()
            store = zarr_store(f"{self._store_address}/{_ARRAY}", read_only=False)
            if self.slices:
                self._array = zarr.open_array(store, mode="r+", config=_CONFIG)
                return self.slices
            self._clear()
            self._array = zarr.create_array(
                store,
                shape=self._declared.shape,
                dtype=self._declared.dtype,
                chunks=self._declared.chunks,
                compressors=_compressors(),
                fill_value=0,
                dimension_names=["z", "y", "x"],
                config=_CONFIG,
            )
        return 0

    def append(self, slab: Voxels) -> None:
        """Write the next slab, of one chunk's depth.

        Raises:
            HomeError: the disk is full, or the store may not be written.
        """
        assert self._array is not None
        with refusals_of_the_home(self._address):
            self._array[self.slices : self.slices + len(slab)] = slab
            self.slices += len(slab)
            note = {"declaration": self._declared.fingerprint, "slices": self.slices}
            self._fs.pipe_file(self._note, json.dumps(note).encode())

    def finish(self) -> None:
        """Make the volume visible.

        Raises:
            HomeError: the store may not be written, or chunks have vanished.
        """
        assert self._array is not None
        missing = self._array.nchunks - self._array.nchunks_initialized
        if missing:
            message = f"{self._address}: {missing} chunks vanished while it was written; try again"
            raise HomeError(message)
        with refusals_of_the_home(self._address):
            for name, values in self._beside.items():
                zarr.create_array(
                    zarr_store(f"{self._store_address}/{name}", read_only=False),
                    data=values,
                    chunks=values.shape,
                    compressors=_compressors(),
                    config=_CONFIG,
                    overwrite=True,  # of one who was killed right here
                )
            store = zarr_store(self._store_address, read_only=False)
            zarr.create_group(store, attributes=self._declared.group_attributes())
            if self._local:
                shutil.rmtree(self._path, ignore_errors=True)  # without metadata: no volume
                Path(self._part).replace(self._path)
                Path(f"{self._path}.part.lock").unlink(missing_ok=True)
            self._fs.rm(self._note)

    def discard(self) -> None:
        """Leave nothing behind; in an object store, where another writer may be at it, leave it.

        After an error Zarr's other writes of the same slab still run for a moment and make their
        folders anew.
        """
        if not self._local:
            return
        deadline = time.monotonic() + _LATE_WRITES_S
        quiet = 0
        while quiet < 3 and time.monotonic() < deadline:
            quiet = 0 if Path(self._part).exists() else quiet + 1
            shutil.rmtree(self._part, ignore_errors=True)
            time.sleep(0.02)
        Path(self._note).unlink(missing_ok=True)

    def _clear(self) -> None:
        for path in (self._part, self._note):
            if self._fs.exists(path):
                self._fs.rm(path, recursive=True)

    def _slices_of_before(self) -> int:
        """Return how far an unfinished volume of this very declaration has come; 0 without."""
        try:
            note = json.loads(self._fs.cat_file(self._note))
            same = note["declaration"] == self._declared.fingerprint
            there = self._fs.exists(f"{self._part}/{_ARRAY}/zarr.json")
            return int(note["slices"]) if same and there else 0
        except (FileNotFoundError, KeyError, TypeError, ValueError):
            return 0
