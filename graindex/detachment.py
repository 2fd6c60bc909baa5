"""Detachment of a collection's particles by group and size, and what goes with it, as rows.

Out of scope: which particles count (`graindex.detachment_particles`), pictures
(`graindex.detachment_figures`).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from graindex.detachment_particles import (
    BY_VOLUME,
    DENSITY,
    DETACHMENT,
    SIZE,
    GroupedVolumes,
    WholeParticles,
    grouped_volumes,
)
from graindex.kept_rows import standing
from graindex.outcome import Outcome
from graindex.recipes import Recipe
from models.measure.group_statistics import ALL, Comparison, compare_groups, holm, summarise
from models.measure.paired_statistics import Estimate, paired_statistics
from schemas.arrow import arrow_schema, from_records
from schemas.tables import TABLES

if TYPE_CHECKING:
    from graindex.store import Store

DETACHMENT_CODE_VERSION = "1"

GROUPS, COMPARISONS, CORRELATIONS = (
    "detachment_groups", "detachment_comparisons", "detachment_correlations",
)  # fmt: skip
PAIRS = ((SIZE, DETACHMENT), (DETACHMENT, DENSITY))
"""Attributes x and y that are correlated."""

Record = dict[str, Any]


def refresh_detachment(store: "Store", recipe: Recipe, *, author: str) -> Outcome:
    """Bring groups, comparisons and correlations of a collection up to date.

    All are computed anew where any volume, its group or the settings changed: size classes are of
    all particles. Counts of the outcome are of groups.
    """
    dataset = recipe.dataset
    grouped = grouped_volumes(store, recipe)
    wanted = _inputs(grouped, dataset)
    before = {name: store.lake.read(name, dataset) for name in (GROUPS, COMPARISONS, CORRELATIONS)}
    kept = {
        name: standing(rows, "dataset", wanted, DETACHMENT_CODE_VERSION)
        for name, rows in before.items()
    }
    current = bool(wanted) and kept[GROUPS].num_rows > 0
    rows = {name: _typed(name, table) for name, table in kept.items()}
    if wanted and not current:
        made = {"input_hash": wanted[dataset], "code_version": DETACHMENT_CODE_VERSION}
        rows = {
            name: from_records(TABLES[name], [{"dataset": dataset, **row, **made} for row in found])
            for name, found in _found(grouped).items()
        }
    snapshot = store.lake.replace(rows, dataset, author=author, message=f"{GROUPS} of {dataset}")
    count = rows[GROUPS].num_rows
    return Outcome(
        rows=count,
        computed=0 if current else count,
        kept=count if current else 0,
        dropped=0 if wanted else before[GROUPS].num_rows,
        refused=dict(grouped.refused),
        snapshot=snapshot,
    )


def inputs_of_detachment(store: "Store", recipe: Recipe) -> dict[str, str]:
    """What the rows rest on now, by collection; nothing where no volume has a detachment."""
    return _inputs(grouped_volumes(store, recipe), recipe.dataset)


def _inputs(grouped: GroupedVolumes, dataset: str) -> dict[str, str]:
    return {dataset: grouped.input_hash} if grouped.volumes else {}


def _typed(name: str, rows: pa.Table) -> pa.Table:
    schema = arrow_schema(TABLES[name])
    return rows.select(schema.names).cast(schema)


def _found(grouped: GroupedVolumes) -> Mapping[str, Sequence[Record]]:
    return {
        GROUPS: list(_group_rows(grouped)),
        COMPARISONS: _comparison_rows(grouped),
        CORRELATIONS: list(_correlation_rows(grouped)),
    }


def _group_rows(grouped: GroupedVolumes) -> Iterator[Record]:
    """Each group, and all, in each size class, and in all sizes."""
    whole = grouped.whole
    for name, chosen in _parts(grouped):
        for size_class in (0, *whole.classes):
            inside = chosen & ((whole.size_class == size_class) | (size_class == 0))
            found = summarise(whole.detachment(inside))
            lower, median, upper = found.quartiles
            low, high = whole.sizes_um(size_class)
            yield {
                "group_by": grouped.group_by,
                "group_name": name,
                "size_class": size_class,
                "diameter_lower_um": _known(low),
                "diameter_upper_um": _known(high),
                "whole_particle_count": found.particles,
                "volume_count": found.volumes,
                "detachment_mean": _known(found.mean),
                "detachment_std": _known(found.std),
                "detachment_standard_error": _known(found.standard_error),
                "detachment_standard_error_volumes": _known(found.standard_error_volumes),
                "detachment_q25": _known(lower),
                "detachment_median": _known(median),
                "detachment_q75": _known(upper),
            }


def _parts(grouped: GroupedVolumes) -> Iterator[tuple[str, Any]]:
    """Name and particles (N,) of each group, and of all."""
    group = grouped.whole.group
    for number, name in enumerate(grouped.groups):
        yield name, group == number
    yield ALL, np.ones(len(group), bool)


def _comparison_rows(grouped: GroupedVolumes) -> list[Record]:
    """Groups within each size class and all sizes, and size classes within each group and all."""
    whole = grouped.whole
    found = list(chain(_between_groups(grouped, whole), _between_sizes(grouped, whole)))
    rows = [_comparison(by, within, one) for by, within, one in found]
    for level in ("particles", "volumes"):
        own = [r for r in rows if r["level"] == level and r["test"] == "mann-whitney"]
        for row, p_value in zip(own, holm([r["p_value"] for r in own]), strict=True):
            row["p_holm"] = float(p_value)
    return rows


def _between_groups(
    grouped: GroupedVolumes, whole: WholeParticles
) -> Iterator[tuple[str, str, Comparison]]:
    for size_class in (0, *whole.classes):
        inside = (whole.size_class == size_class) | (size_class == 0)
        groups = {
            name: whole.detachment(inside & (whole.group == number))
            for number, name in enumerate(grouped.groups)
        }
        for one in compare_groups(groups):
            yield "group", str(size_class) if size_class else ALL, one


def _between_sizes(
    grouped: GroupedVolumes, whole: WholeParticles
) -> Iterator[tuple[str, str, Comparison]]:
    """Over particles alone: every volume has all sizes."""
    for name, chosen in _parts(grouped):
        if name == ALL and len(grouped.groups) == 1:
            continue  # the same once more
        classes = {
            str(number): whole.detachment(chosen & (whole.size_class == number))
            for number in whole.classes
        }
        for one in compare_groups(classes):
            if one.level == "particles":
                yield "size_class", name, one


def _comparison(compared_by: str, within: str, one: Comparison) -> Record:
    return {
        "compared_by": compared_by,
        "within": within,
        "level": one.level,
        "test": one.test,
        "first_name": one.first,
        "second_name": one.second,
        "first_count": one.counts[0],
        "second_count": one.counts[1],
        "first_volume_count": one.volumes[0],
        "second_volume_count": one.volumes[1],
        "effect_size": one.effect,
        "p_value": one.p_value,
    }


def _correlation_rows(grouped: GroupedVolumes) -> Iterator[Record]:
    """Each pair of attributes over all particles, those of each group and of each volume."""
    whole = grouped.whole
    parts = [("all" if name == ALL else "group", name, chosen) for name, chosen in _parts(grouped)]
    if grouped.group_by == BY_VOLUME:
        parts = parts[-1:]  # groups are volumes, which follow
    for number, one in enumerate(grouped.volumes):
        parts.append(("volume", one.volume_id, whole.volume == number))
    for (of, name, chosen), (x, y) in ((part, pair) for part in parts for pair in PAIRS):
        first, second = whole.values[x][chosen], whole.values[y][chosen]
        used = np.isfinite(first) & np.isfinite(second)
        found = paired_statistics(first, second)
        yield {
            "correlated_of": of,
            "group_name": name,
            "x_attribute": x,
            "y_attribute": y,
            "whole_particle_count": found.count,
            "volume_count": len(np.unique(whole.volume[chosen][used])),
            **_ends("pearson", found.pearson),
            **_ends("spearman", found.spearman),
            **_ends("slope", found.slope),
            "intercept": _known(found.intercept),
        }


def _ends(name: str, estimate: Estimate) -> Record:
    ends = zip(("", "_lower", "_upper"), estimate, strict=True)
    return {f"{name}{end}": _known(value) for end, value in ends}


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
