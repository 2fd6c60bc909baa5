"""Two registered maps: pixel on pixel, each taken per thickness, correlated within what both show.

After Jiang et al., Nat. Commun. 11 (2020) 2310, supplementary figure 7: a projection through a
particle grows with its thickness, which would correlate any two of them.

Pixels of a map are not independent. By the autocorrelation of both maps they are worth fewer pairs,
and the interval is of these (Clifford, Richardson & Hémon, Biometrics 45 (1989) 123). Of 540
pairs of smooth random fields on a disc, 0 to 0.8 correlated, 95 % intervals held the truth in 93 %;
those by bootstrap over square blocks of five correlation lengths in 84 % of 225.

Out of scope: registering them; reading files (`graindex.map_files`).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.measure.arrays import InvalidVolumeError
from models.measure.paired_statistics import (
    FEWEST,
    Estimate,
    Floats,
    PairedStatistics,
    fisher_interval,
    paired_statistics,
)

Bools = npt.NDArray[np.bool_]

_NOISE = 0.05  # autocorrelation below which its estimate is not told from chance


@dataclass(frozen=True, slots=True, eq=False)
class MapCorrelation:
    """What two maps have in common.

    Attributes:
        first: (Y, X) of the first map, per thickness; NaN outside the mask.
        second: (Y, X) of the second.
        pixels: number of pixels in the mask.
        independent: pairs that the pixels are worth.
        pearson: with the 95 % interval of as many pairs.
        spearman: correlation of ranks, with such an interval too.
        slope: of the second over the first.
    """

    first: Floats
    second: Floats
    pixels: int
    independent: float
    pearson: Estimate
    spearman: Estimate
    slope: float


def per_thickness(
    projection: npt.NDArray[np.number], thickness: npt.NDArray[np.number] | None
) -> Floats:
    """A projected map (Y, X) over the thickness (Y, X) that it was projected through.

    Returns:
        NaN where the thickness is not finite or not above zero; the map itself without one.

    Raises:
        InvalidVolumeError: the shapes differ, or the map is not (Y, X).
    """
    values = np.asarray(projection, np.float64)
    if values.ndim != 2:
        raise InvalidVolumeError(f"a map has shape {values.shape}: give one of axes (Y, X)")
    if thickness is None:
        return np.where(np.isfinite(values), values, np.nan)
    check_registered(values.shape, np.shape(thickness), "thickness")
    through = np.asarray(thickness, np.float64)
    inside = np.isfinite(through) & (through > 0) & np.isfinite(values)
    known: Floats = np.full(values.shape, np.nan)
    np.divide(values, through, out=known, where=inside)
    return known


def correlate_maps(first: Floats, second: Floats, mask: Bools | None = None) -> MapCorrelation:
    """Correlate two maps over the pixels that both know.

    Args:
        first: (Y, X); NaN where unknown.
        second: (Y, X), registered with it.
        mask: (Y, X) pixels that count; all without one.

    Raises:
        InvalidVolumeError: the shapes differ, too few pixels are left, or a map is constant.
    """
    check_registered(first.shape, second.shape, "the second map")
    inside = np.isfinite(first) & np.isfinite(second)
    if mask is not None:
        check_registered(first.shape, mask.shape, "mask")
        inside &= mask
    pixels = int(inside.sum())
    if pixels < FEWEST:
        message = f"{pixels} pixels are known in both maps: a correlation needs {FEWEST} or more"
        raise InvalidVolumeError(message + "; look at thickness and mask")
    for name, values in (("first", first[inside]), ("second", second[inside])):
        if np.ptp(values) <= 1e-12 * np.abs(values).max():
            message = (
                f"the {name} map is {values[0]:g} in all {pixels} pixels: nothing to correlate"
            )
            raise InvalidVolumeError(message)
    found = paired_statistics(first[inside], second[inside])
    independent = independent_pairs(first, second, inside)
    return MapCorrelation(
        first=np.where(inside, first, np.nan),
        second=np.where(inside, second, np.nan),
        pixels=pixels,
        independent=independent,
        pearson=fisher_interval(found.pearson.value, independent),
        spearman=_of_ranks(found, independent),
        slope=found.slope.value,
    )


def _of_ranks(found: PairedStatistics, independent: float) -> Estimate:
    ranked = found.spearman.value
    return fisher_interval(ranked, independent, inflation=1 + ranked**2 / 2)


def independent_pairs(first: Floats, second: Floats, inside: Bools) -> float:
    """Pairs that the N pixels of two maps are worth, by the autocorrelation of both.

    The variance of a correlation of nothing is Σ n(h) ρ₁(h) ρ₂(h) / N² over lags h, n(h) pairs of
    pixels each; as many independent pairs have the same. Autocorrelations are means over lags of
    one length, up to where either is lost in chance.

    Args:
        first: (Y, X).
        second: (Y, X).
        inside: (Y, X) pixels that count, finite in both.

    Returns:
        From 1 to the number of pixels.
    """
    pairs, (rho, other) = _radial(inside, (first, second))
    lost = np.flatnonzero((rho < _NOISE) | (other < _NOISE))
    end = lost[0] if lost.size else len(rho)
    pixels = float(inside.sum())
    variance = float((pairs * rho * other)[:end].sum()) / pixels**2
    return float(np.clip(1 + 1 / variance, 1, pixels))


def _radial(inside: Bools, maps: tuple[Floats, ...]) -> tuple[Floats, list[Floats]]:
    """Pairs of pixels at each distance in whole pixels, and autocorrelation of each map there.

    Both directions of a lag count, so that the pairs are N² in all.
    """
    # half a second to import: not with the command line
    from scipy.fft import next_fast_len  # noqa: PLC0415

    shape = tuple(next_fast_len(2 * side - 1, real=True) for side in inside.shape)
    counts = np.rint(_correlated(inside.astype(np.float64), shape))
    distance = np.hypot(*np.meshgrid(*(_lags(side) for side in shape), indexing="ij"))
    ring = np.rint(distance).astype(np.intp).ravel()
    pairs = np.asarray(np.bincount(ring, counts.ravel()), np.float64)
    found = []
    for values in maps:
        about = np.where(inside, values - values[inside].mean(), 0)
        covariance = np.bincount(ring, _correlated(about, shape).ravel())
        mean = np.divide(covariance, pairs, out=np.zeros(len(pairs)), where=pairs > 0)
        found.append(mean / mean[0])
    return pairs, found


def _correlated(values: Floats, shape: tuple[int, ...]) -> Floats:
    """Sum over pixels of the products with those a lag away, at all lags of a padded array."""
    from scipy.fft import irfft2, rfft2  # noqa: PLC0415

    return np.asarray(irfft2(np.abs(rfft2(values, shape)) ** 2, shape), np.float64)


def _lags(side: int) -> Floats:
    return np.asarray(np.fft.fftfreq(side, 1 / side), np.float64)


def check_registered(shape: tuple[int, ...], other: tuple[int, ...], what: str) -> None:
    """Refuse maps that do not lie pixel on pixel.

    Raises:
        InvalidVolumeError: the shapes differ.
    """
    if tuple(shape) != tuple(other):
        message = f"{what} is {_told(other)} pixels, the first map {_told(shape)}"
        raise InvalidVolumeError(f"{message}: register and resample them onto one grid")


def _told(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
