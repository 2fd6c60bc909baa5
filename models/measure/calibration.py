"""Attributes in units of a voxel and in micrometres, back and forth without loss.

What is measured of voxels depends on the ratios of the spacing alone, and is held to 48 binary
digits, 14 decimal ones. Of a product with any unit that many survive, so that dividing by the unit
and rounding gives the measured number back, bit by bit: a number can go to another voxel size and
return to the first, any number of times, and is what it was.

Out of scope: measuring (`models.measure.particles_3d`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from models.measure.arrays import InvalidVolumeError, parse_spacing
from models.measure.particles_3d import MeasureOptions
from models.measure.sweep_result import Sweep
from schemas.fields import FIELDS

Columns = dict[str, npt.NDArray[Any]]
Floats = npt.NDArray[np.float64]

_POWERS = {"µm": 1, "µm²": 2, "µm³": 3}
_HELD_BITS = 48  # of 53: a product and a quotient lose less than two
_RATIO_DIGITS = 12  # decimal: 0.6 / 0.2 and 0.3 / 0.1 are the same ratio, though not the same float


def spacing_ratios(spacing_um: Sequence[float]) -> tuple[float, float, float]:
    """Spacing in units of the z voxel; the same for voxel sizes that differ by a factor.

    Args:
        spacing_um: (dz, dy, dx) in µm.

    Raises:
        InvalidVolumeError: if the spacing is not three finite values above zero.
    """
    dz, dy, dx = parse_spacing(spacing_um)
    return 1.0, _rounded(dy / dz), _rounded(dx / dz)


def length_power(name: str) -> int:
    """1 for a column in µm, 2 in µm², 3 in µm³; 0 for one that no calibration changes."""
    return _POWERS.get(FIELDS[name].unit or "", 0)


def in_units(options: MeasureOptions, unit_um: float, names: Sequence[str] = ()) -> MeasureOptions:
    """Options whose lengths are given in a unit.

    Args:
        options: lengths in µm.
        unit_um: the unit in µm.
        names: of the lengths that are to be given in the unit, to 12 digits; without, all are.
    """
    lengths = {name: value for name, value in vars(options).items() if name.endswith("_um")}
    return replace(options, **{name: _in_unit(lengths[name], unit_um) for name in names or lengths})


def measured(columns: Mapping[str, npt.NDArray[Any]], unit_um: float = 1.0) -> Columns:
    """Columns in units of a voxel, held to as many digits as survive a calibration.

    Args:
        columns: in µm, µm² and µm³; others stay as they are.
        unit_um: the unit in µm that they were calibrated with.
    """
    return {name: _measured(name, values, unit_um) for name, values in columns.items()}


def calibrated(columns: Mapping[str, npt.NDArray[Any]], unit_um: float) -> Columns:
    """Columns in µm, µm² and µm³ of what was `measured`.

    Args:
        columns: in units of a voxel.
        unit_um: the unit in µm.
    """
    return {
        name: values * _factor(unit_um, power) if (power := length_power(name)) else values
        for name, values in columns.items()
    }


def crack_places(
    particles: Mapping[str, npt.NDArray[Any]], sweep: Sweep, spacing: Sequence[float]
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Centroids and voxels of the cracks of particles that were measured before.

    They are what whole particles have more than their bodies, in whole numbers.

    Args:
        particles: `x_um`, `y_um`, `z_um` and `crack_volume_um3` as `measured`, in the order of
            `sweep.labels`.
        sweep: sums over the bodies.
        spacing: (dz, dy, dx) in the unit of the particles.

    Returns:
        (M, 3) z, y, x in voxels and (M,) numbers of voxels, of particles that have cracks.

    Raises:
        InvalidVolumeError: if the sums are over another number of particles.
    """
    count = len(particles["crack_volume_um3"])
    if count != len(sweep.labels):
        raise InvalidVolumeError(f"{count} particles were measured of {len(sweep.labels)} labels")
    cracks = _whole(particles["crack_volume_um3"] / np.prod(spacing))
    cracked = cracks > 0
    centroids = np.stack([particles[f"{axis}_um"] for axis in "zyx"], axis=1) / spacing
    first = _whole(centroids * (sweep.voxels + cracks)[:, None]) - sweep.first
    return first[cracked] / cracks[cracked, None], cracks[cracked]


def _measured(name: str, values: npt.NDArray[Any], unit_um: float) -> npt.NDArray[Any]:
    power = length_power(name)
    if not power:
        return values
    mantissa, exponent = np.frexp(values / _factor(unit_um, power))
    scale = 2.0**_HELD_BITS
    return np.asarray(np.ldexp(np.rint(mantissa * scale) / scale, exponent))


def _factor(unit_um: float, power: int) -> float:
    return float((1.0, unit_um, unit_um * unit_um, unit_um * unit_um * unit_um)[power])


def _in_unit(value: Any, unit_um: float) -> Any:
    if isinstance(value, tuple):
        return tuple(_in_unit(one, unit_um) for one in value)
    return None if value is None else _rounded(value / unit_um)


def _rounded(value: float) -> float:
    return float(f"{value:.{_RATIO_DIGITS}g}")


def _whole(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    return np.asarray(np.rint(values), np.int64)
