"""Sections of a volume as JPEG of a bounded size, particles outlined over them.

Out of scope: drawing (`models.measure.overlays`) and where pictures are kept (`graindex.files`).
"""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from models.measure.arrays import Sliceable
from models.measure.overlays import orthogonal_sections

Triple = tuple[float, float, float]

_QUALITY = 85


class _Thinned:
    """Every n-th voxel of a volume along each axis; whole axes and single planes are read."""

    def __init__(self, volume: Sliceable, step: int) -> None:
        self.shape = tuple(-(-extent // step) for extent in volume.shape)
        self.dtype = volume.dtype
        self._volume, self._step = volume, step

    def __getitem__(self, index: tuple[int | slice, ...]) -> npt.NDArray[Any]:
        cut = tuple(
            slice(None, None, self._step) if isinstance(part, slice) else part * self._step
            for part in index
        )
        return np.asarray(self._volume[cut])


def sections_jpeg(
    volume: Sliceable,
    labels: Sliceable | None = None,
    *,
    spacing_um: Triple,
    side_px: int,
    centre: tuple[int, int, int] | None = None,
) -> bytes:
    """Three sections side by side, with a scale bar, as a JPEG.

    Of large volumes only every n-th voxel is drawn, so that outlines, one pixel thin, are no more
    than halved when the picture is brought down to its size. Small ones are enlarged.

    Args:
        volume: (Z, Y, X) grey levels, phases or labels; only the sections are read.
        labels: (Z, Y, X) integers outlined over it.
        spacing_um: (dz, dy, dx).
        side_px: longest side of the picture, at most.
        centre: voxel (z, y, x) that the sections meet in; None is the middle.

    Raises:
        InvalidVolumeError: the arrays do not fit together.
    """
    side = _sheet_side_px(volume.shape, spacing_um)
    step = max(1, side // side_px)
    dz, dy, dx = spacing_um
    z, y, x = centre or (volume.shape[0] // 2, volume.shape[1] // 2, volume.shape[2] // 2)
    drawn = orthogonal_sections(
        _Thinned(volume, step),
        None if labels is None else _Thinned(labels, step),
        spacing_um=(dz * step, dy * step, dx * step),
        centre=(z // step, y // step, x // step),
        zoom=max(1, side_px // side),
    )
    picture = Image.fromarray(drawn)
    picture.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    # Without full resolution of colour, JPEG blurs outlines of one pixel.
    picture.save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
    return buffer.getvalue()


def _sheet_side_px(shape: tuple[int, ...], spacing_um: Triple) -> int:
    """Longest side of the sheet of all voxels: (Y, X), (Z, X) and (Z, Y) from the left."""
    finest = min(spacing_um)
    z, y, x = (extent * step / finest for extent, step in zip(shape, spacing_um, strict=True))
    return round(max(2 * x + y, y, z))
