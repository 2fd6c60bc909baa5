"""Registered maps from files: read, taken per thickness, correlated and drawn.

Out of scope: the numbers (`models.measure.registered_maps`); registering maps.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from graindex.arrays import loaded
from graindex.errors import InputError, OriginalError
from graindex.originals import read_bytes
from graindex.pictures import COLOURS, new_figure, png
from models.measure.arrays import InvalidVolumeError
from models.measure.registered_maps import MapCorrelation, correlate_maps, per_thickness

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PERCENTILES = (1, 99)
_CLASSES = 60


@dataclass(frozen=True, slots=True)
class MapFiles:
    """Files of two maps on one grid.

    Attributes:
        first: file or URL of the first map.
        second: of the second.
        first_thickness: what the first was projected through; None where it is no projection.
        second_thickness: the same of the second.
        mask: pixels other than 0 count; None for all.
    """

    first: str
    second: str
    first_thickness: str | None = None
    second_thickness: str | None = None
    mask: str | None = None


def correlate_files(files: MapFiles) -> MapCorrelation:
    """Correlate two maps from files.

    Raises:
        InputError: they do not fit together, or nothing is left to correlate.
        OriginalError: a file is gone, may not be read, or is no map.
        UnreadableVolumeError: a file is damaged.
    """
    try:
        first = _per_thickness(files.first, files.first_thickness)
        second = _per_thickness(files.second, files.second_thickness)
        mask = None if files.mask is None else np.nan_to_num(read_map(files.mask)) != 0
        return correlate_maps(first, second, mask)
    except InvalidVolumeError as error:
        message = f"{files.first} and {files.second}: {error}"
        raise InputError(message) from error


def read_map(uri: str) -> npt.NDArray[Any]:
    """A map (Y, X) as it is stored, from what volumes and label images are read from, or NPY.

    Raises:
        OriginalError: the file is gone, may not be read, or holds no map.
        UnreadableVolumeError: it is damaged.
    """
    if not uri.lower().endswith(".npy"):
        with loaded(uri, labels=True) as found:  # nothing may convert grey values
            return np.array(found.array)
    try:
        values: npt.NDArray[Any] = np.load(io.BytesIO(read_bytes(uri)), allow_pickle=False)
    except OSError as error:
        message = f"{uri} cannot be read: {error.strerror or error}"
        raise OriginalError(message) from error
    except ValueError as error:
        message = f"{uri} is no NPY file of numbers: save it with numpy.save"
        raise OriginalError(message) from error
    if values.dtype.kind not in "buif":
        message = f"{uri} holds {values.dtype}: save it as numbers"
        raise OriginalError(message)
    return values


def _per_thickness(uri: str, thickness: str | None) -> npt.NDArray[np.float64]:
    values = read_map(uri)
    return per_thickness(values, None if thickness is None else read_map(thickness))


def as_record(files: MapFiles, found: MapCorrelation) -> dict[str, object]:
    """The numbers, for printing."""
    return {
        "first": files.first,
        "second": files.second,
        "pixels": found.pixels,
        "independent_pairs": found.independent,
        "pearson": found.pearson.value,
        "pearson_lower": found.pearson.lower,
        "pearson_upper": found.pearson.upper,
        "spearman": found.spearman.value,
        "spearman_lower": found.spearman.lower,
        "spearman_upper": found.spearman.upper,
        "slope": found.slope,
    }


def map_figure(files: MapFiles, found: MapCorrelation) -> bytes:
    """Both maps and their joint histogram with the correlation, as PNG."""
    figure = new_figure(13, 4.2)
    panels = figure.subplots(1, 3, width_ratios=(1, 1, 1.1))
    named = (
        (files.first, files.first_thickness, found.first),
        (files.second, files.second_thickness, found.second),
    )
    told = [_told(name, thickness) for name, thickness, _ in named]
    for axes, (_, _, values), label in zip(panels, named, told, strict=False):
        low, high = np.nanpercentile(values, _PERCENTILES)
        image = axes.imshow(values, cmap="cividis", vmin=low, vmax=high)
        figure.colorbar(image, ax=axes, shrink=0.85).set_label(label)
        axes.set_xlabel("x (pixel)")
        axes.set_ylabel("y (pixel)")
    _joint(figure, panels[2], found, told)
    return png(figure, all_colours=True)


def _joint(figure: "Figure", axes: Any, found: MapCorrelation, told: list[str]) -> None:
    known = np.isfinite(found.first)
    x, y = found.first[known], found.second[known]
    within = [np.percentile(values, (0.2, 99.8)) for values in (x, y)]
    *_, image = axes.hist2d(x, y, bins=_CLASSES, range=within, cmap="Greys", cmin=1)
    figure.colorbar(image, ax=axes, shrink=0.85).set_label("pixels")
    ends = np.array(within[0])
    line = y.mean() + found.slope * (ends - x.mean())
    axes.plot(ends, line, color=COLOURS[1], linewidth=2)
    axes.set_xlim(within[0])
    axes.set_ylim(within[1])
    axes.set_xlabel(told[0])
    axes.set_ylabel(told[1])
    value, lower, upper = found.pearson
    axes.set_title(
        f"Pearson {value:.2f} ({lower:.2f} to {upper:.2f})\n"
        f"{found.pixels:,} pixels, worth {found.independent:,.0f} independent ones",
        fontsize=10,
    )


def _told(uri: str, thickness: str | None) -> str:
    name = Path(uri).name
    return name if thickness is None else f"{name} per thickness"
