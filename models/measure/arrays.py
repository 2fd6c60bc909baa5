"""Label images, grey volumes and voxel spacing, checked at the door.

Out of scope: reading them from files and guessing a spacing that is not known.
"""

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

AXES = {2: "(Y, X)", 3: "(Z, Y, X)"}
_SPACING = {2: "(dy, dx)", 3: "(dz, dy, dx)"}
_LARGEST_LABEL = np.iinfo(np.int64).max


class InvalidVolumeError(ValueError):
    """An array or a spacing that cannot be measured: says what, where and what to do."""


class Sliceable(Protocol):
    """What may be a volume: a NumPy array, a memory map, a zarr or HDF5 array."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Extent along each axis."""
        ...

    @property
    def dtype(self) -> Any:
        """NumPy dtype of the elements."""
        ...

    def __getitem__(self, index: Any) -> Any:
        """Read a region."""
        ...


def check_labels(labels: Sliceable, ndim: int = 3) -> None:
    """Refuse what cannot be a label image, without reading its voxels.

    Raises:
        InvalidVolumeError: if the number of axes is not `ndim`, an extent is zero, or the dtype is
            neither integer nor bool.
    """
    _check_shape(labels.shape, ndim, "labels")
    dtype = np.dtype(labels.dtype)
    if dtype.kind not in "iub":
        raise InvalidVolumeError(
            f"labels are {dtype}, not integers: cast them, for instance labels.astype('int32'), "
            "once sure that every value is whole"
        )


def parse_labels(labels: npt.ArrayLike) -> npt.NDArray[np.integer[Any]]:
    """Take a (Z, Y, X) label volume in memory; 0 is background, bool counts as labels 0 and 1.

    Raises:
        InvalidVolumeError: if it is not three-dimensional, has a zero extent, is not of integers,
            or holds a label below 0 or above 2⁶³ − 1.
    """
    return _parse(labels, 3)


def parse_label_image(labels: npt.ArrayLike) -> npt.NDArray[np.integer[Any]]:
    """Take a (Y, X) label image in memory; otherwise as `parse_labels`."""
    return _parse(labels, 2)


def parse_spacing(spacing_um: Sequence[float] | None, ndim: int = 3) -> tuple[float, ...]:
    """Take the distance of neighbouring voxels along each axis.

    Args:
        spacing_um: (dz, dy, dx) or (dy, dx) in µm.
        ndim: number of axes.

    Raises:
        InvalidVolumeError: if it is missing, of another length, or not finite and above zero.
    """
    if spacing_um is None:
        raise InvalidVolumeError(f"no voxel spacing: give {_SPACING[ndim]} in µm")
    values = tuple(float(value) for value in np.ravel(np.asarray(spacing_um, dtype=np.float64)))
    if len(values) != ndim:
        raise InvalidVolumeError(
            f"{len(values)} values of spacing for {ndim} axes: give {_SPACING[ndim]} in µm"
        )
    if not all(math.isfinite(value) and value > 0 for value in values):
        raise InvalidVolumeError(
            f"spacing {values} µm: give a finite value above zero for each of {_SPACING[ndim]}"
        )
    return values


def check_same_shape(
    labels_shape: tuple[int, ...], other_shape: tuple[int, ...], what: str
) -> None:
    """Refuse a volume that does not lie voxel on voxel with the labels.

    Args:
        labels_shape: extents of the labels.
        other_shape: extents of the other volume.
        what: its name for the message, such as "grey".

    Raises:
        InvalidVolumeError: if the extents differ.
    """
    if tuple(labels_shape) != tuple(other_shape):
        raise InvalidVolumeError(
            f"{what} has shape {tuple(other_shape)} but labels have {tuple(labels_shape)}: "
            "crop or resample one onto the other"
        )


def check_not_negative(labels: npt.NDArray[Any]) -> None:
    """Refuse labels below 0 or above 2⁶³ − 1.

    Raises:
        InvalidVolumeError: naming the first such label and its place.
    """
    if labels.dtype.kind == "i":
        wrong = labels.min(initial=0) < 0
        if wrong:
            _refuse_at(labels, labels < 0, "below 0", "0 is background, particles count upwards")
    elif labels.dtype == np.uint64 and labels.max(initial=0) > _LARGEST_LABEL:
        _refuse_at(labels, labels > _LARGEST_LABEL, "above 2⁶³ − 1", "renumber the particles")


def _parse(labels: npt.ArrayLike, ndim: int) -> npt.NDArray[np.integer[Any]]:
    array = np.asarray(labels)
    check_labels(array, ndim)
    if array.dtype.kind == "b":
        array = array.view(np.uint8)
    check_not_negative(array)
    return array


def _check_shape(shape: tuple[int, ...], ndim: int, what: str) -> None:
    if len(shape) != ndim:
        raise InvalidVolumeError(f"{what} have shape {tuple(shape)}: expected axes {AXES[ndim]}")
    if 0 in shape:
        raise InvalidVolumeError(f"{what} have shape {tuple(shape)}: an extent is zero, no voxels")


def _refuse_at(
    labels: npt.NDArray[Any], wrong: npt.NDArray[np.bool_], fault: str, advice: str
) -> None:
    place = tuple(int(axis) for axis in np.argwhere(wrong)[0])
    raise InvalidVolumeError(f"label {labels[place]} at {place} is {fault}: {advice}")
