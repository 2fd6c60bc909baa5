"""Particles of a volume of any size: in one piece, or block by block into a mapped file.

Out of scope: the methods themselves (`models.segment`), files (`graindex.segmenting`) and the store
(`graindex.volume_labels`).
"""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
import numpy.typing as npt

from graindex.errors import HomeError
from graindex.label_images import Found, calibrated
from graindex.segmentation import Options, SliceLinkingOptions, ViewFusionOptions, method_of
from graindex.segmenters import load_segmenter
from models.measure.arrays import InvalidVolumeError, Sliceable
from models.progress import Progress
from models.segment.blocks import segment_blocks
from models.segment.star_convex.config import StarConvexError
from models.segment.watershed import segment_volume
from models.segment.watershed_options import WatershedOptions

if TYPE_CHECKING:
    from graindex.store import Store

WHOLE_VOXELS = 1 << 26
"""A larger volume is segmented block by block, into a file that is mapped."""


class _Where(TypedDict):
    """What methods of volumes take alike."""

    spacing_um: Sequence[float]
    labels_out: npt.NDArray[np.int32]
    progress: Progress | None


class FiniteVolume:
    """A volume whose NaN and infinite voxels read as one finite value; nothing is held.

    Attributes:
        shape: (Z, Y, X).
        dtype: of the voxels.
    """

    def __init__(self, volume: Sliceable, replacement: float) -> None:
        self.shape = tuple(volume.shape)
        self.dtype = np.dtype(volume.dtype)
        self._volume = volume
        self._replacement = self.dtype.type(replacement)

    def __getitem__(self, index: Any) -> npt.NDArray[Any]:
        """Read a region."""
        voxels = np.asarray(self._volume[index])
        return np.where(np.isfinite(voxels), voxels, self._replacement)


def segment_any(
    volume: Sliceable,
    *,
    spacing_um: Sequence[float],
    options: Options,
    scratch: Path,
    progress: Progress | None = None,
    store: "Store | None" = None,
) -> Found:
    """Divide a volume into particles, within bounded memory where it is large.

    Args:
        volume: (Z, Y, X) finite grey levels, or phases; sliced as needed.
        spacing_um: (dz, dy, dx) in µm.
        options: of the method.
        scratch: folder for the labels of a large volume; the result lives as long as it does.
        progress: told the steps done, and all, of a large volume.
        store: whose networks the options may name.

    Raises:
        InvalidVolumeError: the volume cannot be segmented with these options.
        HomeError: the scratch folder has no room.
        ModelError: the network that the options name is not there.
    """
    if isinstance(options, ViewFusionOptions | SliceLinkingOptions):
        return _by_network(volume, spacing_um, options, scratch, progress, store)
    assert isinstance(options, WatershedOptions)  # the other method of volumes
    if math.prod(volume.shape) <= WHOLE_VOXELS:
        whole = np.asarray(volume[...])
        return Found(segment_volume(whole, spacing_um=spacing_um, options=options), None)
    labels = _mapped(scratch / "labels", tuple(volume.shape))
    segment_blocks(volume, labels, spacing_um=spacing_um, options=options, progress=progress)
    return Found(labels, None)


def _by_network(
    volume: Sliceable,
    spacing_um: Sequence[float],
    options: ViewFusionOptions | SliceLinkingOptions,
    scratch: Path,
    progress: Progress | None,
    store: "Store | None",
) -> Found:
    # compiled functions that a watershed need not wait for
    from models.segment.view_fusion.linked import segment_slices  # noqa: PLC0415
    from models.segment.view_fusion.volume import segment_volume as fuse_views  # noqa: PLC0415

    segmenter = load_segmenter(options.model, store)
    calibration = segmenter.volumes.get(method_of(options))
    network = (segmenter.forward, segmenter.config)
    where: _Where = {
        "spacing_um": spacing_um,
        "labels_out": _mapped(scratch / "labels", tuple(volume.shape)),
        "progress": progress,
    }
    try:
        if isinstance(options, ViewFusionOptions):
            found = fuse_views(*network, volume, options=options.fusion(calibration), **where)
        else:
            found = segment_slices(*network, volume, options=options.linking(calibration), **where)
    except StarConvexError as error:
        raise InvalidVolumeError(str(error)) from error
    return Found(found.labels, calibrated(calibration, found.confidence))


def _mapped(file: Path, shape: tuple[int, ...]) -> npt.NDArray[np.int32]:
    """Map a file of zeros whose room is taken at once: a full disk would kill the process later."""
    size = math.prod(shape) * np.dtype(np.int32).itemsize
    try:
        with file.open("wb") as opened:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(opened.fileno(), 0, size)
            opened.truncate(size)
    except OSError as error:
        message = (
            f"{file.parent} has no room for {size / 1e9:.1f} GB of labels: {error.strerror}; "
            "point TMPDIR to a larger disk"
        )
        raise HomeError(message) from error
    return np.memmap(file, np.int32, "r+", shape=shape)
