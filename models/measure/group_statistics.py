"""Values of particles in groups: summaries, and how far groups differ.

Particles of one volume are not independent specimens: they share an electrode, a place in it and a
segmentation. Tests over particles say how surely these volumes differ, tests over volumes whether
others would; each summary and comparison tells how many there are of both.

Out of scope: which attribute is looked at, and what groups particles (`graindex.detachment`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Level = Literal["particles", "volumes"]

FEWEST = 2
"""Values that each group of a test needs, particles or volumes."""

ALL = "all"


class Values(NamedTuple):
    """A group.

    Attributes:
        value: (N,) finite.
        volume: (N,) number of the volume that each particle lies in.
    """

    value: Floats
    volume: Ints


@dataclass(frozen=True, slots=True)
class Summary:
    """One group; NaN where it says nothing.

    Attributes:
        particles: number of values.
        volumes: number of volumes that they lie in.
        mean: of particles.
        std: of particles, with N − 1.
        standard_error: of the mean, were particles independent.
        standard_error_volumes: of the mean of the volumes' means; NaN for one volume.
        quartiles: lower quartile, median and upper quartile.
    """

    particles: int
    volumes: int
    mean: float
    std: float
    standard_error: float
    standard_error_volumes: float
    quartiles: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two groups, or all of three and more.

    Attributes:
        level: whether particles or the means of volumes are compared.
        test: "mann-whitney" of two groups, "kruskal-wallis" of all.
        first: name of the first group; `ALL` for all.
        second: name of the second group; `ALL` for all.
        counts: values in the first and in the second group; in all, twice, for all.
        volumes: volumes that these lie in.
        effect: Cliff's delta of two, from −1 to 1, above 0 where the second has the larger values;
            epsilon squared of all, from 0 to 1.
        p_value: two-sided.
    """

    level: Level
    test: Literal["mann-whitney", "kruskal-wallis"]
    first: str
    second: str
    counts: tuple[int, int]
    volumes: tuple[int, int]
    effect: float
    p_value: float


def equal_count_limits(values: Floats, classes: int) -> Floats:
    """Limits of classes that hold as many values each.

    Args:
        values: (N,); what is not finite does not count.
        classes: how many are wanted; where values are equal there may be fewer.

    Returns:
        (C + 1,) rising; (0,) where there are fewer than two different values.

    Raises:
        ValueError: less than one class.
    """
    if classes < 1:
        raise ValueError(f"{classes} classes: take one at least")
    known = values[np.isfinite(values)]
    if not known.size or known.min() == known.max():
        return np.zeros(0)
    return np.unique(np.quantile(known, np.linspace(0, 1, classes + 1)))


def class_numbers(values: Floats, limits: Floats) -> Ints:
    """Class of each value (N,), from 1; 0 outside; a limit between two belongs to the upper."""
    if len(limits) < 2:
        return np.zeros(len(values), np.int64)
    number = np.digitize(values, limits)
    number[values == limits[-1]] = len(limits) - 1
    inside = (values >= limits[0]) & (values <= limits[-1])
    return np.where(inside, number, 0).astype(np.int64)


def summarise(group: Values) -> Summary:
    """Count, mean, spread, standard errors and quartiles of a group."""
    count, means = len(group.value), volume_means(group)
    if not count:
        nothing = np.nan
        return Summary(0, 0, nothing, nothing, nothing, nothing, (nothing, nothing, nothing))
    lower, median, upper = np.quantile(group.value, (0.25, 0.5, 0.75)).tolist()
    return Summary(
        particles=count,
        volumes=len(means),
        mean=float(group.value.mean()),
        std=_std(group.value),
        standard_error=_std(group.value) / count**0.5,
        standard_error_volumes=_std(means) / len(means) ** 0.5,
        quartiles=(lower, median, upper),
    )


def volume_means(group: Values) -> Floats:
    """Mean of each volume (V,) of a group, in the order of their numbers."""
    _, place, count = np.unique(group.volume, return_inverse=True, return_counts=True)
    return np.asarray(np.bincount(place, group.value) / count, np.float64)


def compare_groups(groups: Mapping[str, Values]) -> list[Comparison]:
    """Compare every two groups, and all of three or more at once.

    Over particles where each of them has two; over the means of volumes where each has two volumes.
    Mann–Whitney, with Cliff's delta, and Kruskal–Wallis, with epsilon squared (Tomczak & Tomczak,
    Trends Sport Sci. 21 (2014) 19); p-values are not corrected (`holm`).

    Args:
        groups: values by name, in order.
    """
    found: list[Comparison] = []
    levels: tuple[Level, ...] = ("particles", "volumes")
    for level in levels:
        compared = {
            name: (group.value if level == "particles" else volume_means(group), _volumes(group))
            for name, group in groups.items()
        }
        usable = {name: one for name, one in compared.items() if len(one[0]) >= FEWEST}
        if len(usable) > 2:
            found.append(_of_all(level, list(usable.values())))
        for first, second in combinations(usable, 2):
            found.append(_of_two(level, (first, second), usable[first], usable[second]))
    return found


def holm(p_values: Sequence[float]) -> Floats:
    """P-values (N,) corrected for their number (Holm, Scand. J. Stat. 6 (1979) 65); NaN stays."""
    given = np.asarray(p_values, np.float64)
    corrected = np.full(len(given), np.nan)
    order = np.argsort(given)[: np.isfinite(given).sum()]  # NaN is sorted last
    steps = given[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected


def _of_two(
    level: Level, names: tuple[str, str], first: tuple[Floats, int], second: tuple[Floats, int]
) -> Comparison:
    # a third of a second to import: not with the command line
    from scipy.stats import mannwhitneyu  # noqa: PLC0415

    counts = (len(first[0]), len(second[0]))
    found = mannwhitneyu(second[0], first[0], alternative="two-sided")
    same = np.ptp(np.concatenate([first[0], second[0]])) == 0
    return Comparison(
        level=level,
        test="mann-whitney",
        first=names[0],
        second=names[1],
        counts=counts,
        volumes=(first[1], second[1]),
        effect=float(2 * found.statistic / (counts[0] * counts[1]) - 1),
        p_value=1.0 if same else float(found.pvalue),
    )


def _of_all(level: Level, groups: Sequence[tuple[Floats, int]]) -> Comparison:
    from scipy.stats import kruskal  # noqa: PLC0415

    values = [value for value, _ in groups]
    count, volumes = sum(map(len, values)), sum(number for _, number in groups)
    statistic, p_value = 0.0, 1.0
    if np.ptp(np.concatenate(values)) > 0:
        statistic, p_value = kruskal(*values)
    return Comparison(
        level=level,
        test="kruskal-wallis",
        first=ALL,
        second=ALL,
        counts=(count, count),
        volumes=(volumes, volumes),
        effect=float(statistic) / (count - 1),
        p_value=float(p_value),
    )


def _volumes(group: Values) -> int:
    return len(np.unique(group.volume))


def _std(values: Floats) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")
