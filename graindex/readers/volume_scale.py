"""Voxel sizes as files state them, to µm; what is stated without a length unit is no voxel size.

Out of scope: which field of which format states it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from graindex.readers import quantities as q
from models.calibrate.readings import Finding

Size = tuple[float, float, float]

MAX_VOXEL_UM = 1000.0
"""No microscope has larger voxels; printer resolutions and "1 inch" do."""

_ALIASES = {
    "metre": "m",
    "meter": "m",
    "centimetre": "cm",
    "centimeter": "cm",
    "millimetre": "mm",
    "millimeter": "mm",
    "micrometre": "um",
    "micrometer": "um",
    "nanometre": "nm",
    "nanometer": "nm",
    "picometre": "pm",
    "picometer": "pm",
    "ångström": "angstrom",
    "a": "angstrom",
}
_INCH_UM = 25400.0
_NO_UNIT = frozenset({"", "none", "pixel", "pixels", "px", "voxel", "voxels"})

_IN_UM = ("element_size_um", "voxel_size_um", "voxelsize_um", "voxel_size_micron")
_IN_NM = ("voxel_size_nm", "voxelsize_nm")
_WITH_UNIT = ("voxel_size", "voxelsize", "element_size", "spacing")
_UNITS = ("unit", "units")


@dataclass(frozen=True, slots=True)
class VoxelSize:
    """A voxel size with what states it.

    Attributes:
        um: (dz, dy, dx); None where it is not stated.
        source: what states it; None where nothing does.
        findings: statements that say nothing usable.
    """

    um: Size | None = None
    source: str | None = None
    findings: tuple[Finding, ...] = field(default=())


UNKNOWN = VoxelSize()


def unit_um(unit: str) -> float | None:
    """Return a unit of length in µm; None for any other text."""
    text = unit.strip().replace("\\u00B5", "µ").replace("\\u00b5", "µ").lower()
    if text in {"inch", "inches", "in"}:
        return _INCH_UM
    singular = text.removesuffix("s")
    metres = q.length_m(f"1 {_ALIASES.get(singular, text)}")
    return None if metres is None else metres * 1e6


def stated(
    zyx: Sequence[float | None], units: str | Sequence[str | None] | None, source: str
) -> VoxelSize:
    """Return what a file states, if it is a voxel size in units of length.

    Args:
        zyx: lengths along z, y and x; None where the file has none.
        units: of all three, or of each.
        source: what states it: ``"OME PhysicalSize"``.

    Returns:
        Without a size, and with a finding, where the statement is incomplete, not positive, in an
        unknown unit or larger than any voxel; without either where it is in pixels.
    """
    each = [units] * 3 if units is None or isinstance(units, str) else list(units)
    if all((unit or "").strip().lower() in _NO_UNIT for unit in each):
        return UNKNOWN
    scales = [unit_um(unit or "") for unit in each]
    words = ", ".join(
        "nothing" if value is None else f"{value:g} {unit}"
        for value, unit in zip(zyx, each, strict=True)
    )
    if any(value is None for value in zyx):
        return _refused(source, words, "not all three lengths are stated")
    if any(scale is None for scale in scales):
        return _refused(source, words, "the unit is not known")
    # 12 digits: undoes the noise of a change of unit, keeps all that instruments state
    size = [float(f"{float(v or 0) * (s or 0):.12g}") for v, s in zip(zyx, scales, strict=True)]
    if not all(math.isfinite(length) and length > 0 for length in size):
        return _refused(source, words, "not all are lengths")
    if max(size) > MAX_VOXEL_UM:
        return _refused(source, words, "larger than any voxel")
    return VoxelSize((size[0], size[1], size[2]), source)


def _refused(source: str, words: str, why: str) -> VoxelSize:
    detail = f"{source} says {words} (z, y, x): {why}; no voxel size is taken"
    return VoxelSize(findings=(Finding("voxel_size_unusable", detail),))


def from_attributes(attributes: Mapping[str, Any], where: str) -> VoxelSize:
    """Return the voxel size that the attributes of an array state, in the order z, y, x.

    Known are `element_size_um`, `voxel_size_um`, `voxel_size_nm`, and `voxel_size`, `element_size`
    or `spacing` beside `unit(s)` or `voxel_size_unit(s)`. One number holds for all three.

    Args:
        attributes: of the array or of a group above it.
        where: for the source: ``"attribute"``.
    """
    known = {str(key).lower(): (str(key), attributes[key]) for key in attributes}
    for names, unit in ((_IN_UM, "um"), (_IN_NM, "nm")):
        for name in names:
            if name in known:
                return _attribute(*known[name], unit, where)
    for name in _WITH_UNIT:
        if name in known:
            keys = [f"{name}_{unit}" for unit in _UNITS] + list(_UNITS)
            stated_units = [known[key][1] for key in keys if key in known]
            if not stated_units:
                words = f"{where} {known[name][0]}"
                return _refused(words, str(known[name][1]), "no unit stands beside it")
            return _attribute(*known[name], _texts(stated_units[0]), where)
    return UNKNOWN


def _attribute(key: str, value: object, units: str | list[str], where: str) -> VoxelSize:
    source = f"{where} {key}"
    try:
        numbers = np.asarray(value, dtype=float).ravel().tolist()
    except (TypeError, ValueError):
        return _refused(source, repr(value), "not numbers")
    if len(numbers) == 1:
        numbers = numbers * 3
    if len(numbers) != 3 or (not isinstance(units, str) and len(units) != 3):
        return _refused(source, repr(value), "not one or three numbers")
    return stated(numbers, units, source)


def _texts(value: object) -> str | list[str]:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, str):
        return value
    texts = [str(_texts(part)) for part in np.asarray(value).ravel().tolist()]
    return texts[0] if len(texts) == 1 else texts
