"""How features go together, once an autoencoder has taken the noise out of them.

Li et al., Science 376 (2022) 517, Figs. S8 to S10. One autoencoder is trained on all rows, so that
its latent dimensions mean the same in every part that is compared.
Out of scope: the autoencoder (`models.learn.autoencoder`), the plots (`models.explain`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from graindex.errors import ModelError
from graindex.pictures import COLOURS, new_figure, png
from graindex.progress import report
from graindex.trained.learning import Learning
from graindex.trained.sections import Section
from graindex.trained.units import spoken
from models.explain.circular_plot import circular_plot, matrix_figure
from models.explain.correlations import correlation_matrix
from models.learn.autoencoder import Autoencoder, ReconstructionCurve, reconstruction_curve
from models.learn.learner import Bools, CannotLearnError, Curve, Floats
from models.learn.metrics import ALL
from schemas.particle_columns import ATTRIBUTE_GROUPS

Record = dict[str, Any]
Matrices = Mapping[str, Floats]

RECONSTRUCTION = "reconstruction error"
"""Start of the names of curves that are drawn here."""

_SHOWN = 15
_THRESHOLD = 0.3
_SIZES = (1, 2, 3, 4, 6, 8, 9, 10, 12, 15)
_PRINT_DPI = 200
_NOTE = (
    "An autoencoder describes each row by few numbers, its latent dimensions, and reconstructs all "
    "columns from them. Curves join what is correlated; dark ones are not found in the other part."
)


@dataclass(frozen=True, slots=True)
class Latent:
    """What an autoencoder tells of the features.

    Attributes:
        sections: of the model's page.
        correlations: rows of the table `attribute_correlations`, the model left out.
        curves: of the reconstruction.
    """

    sections: Sequence[Section] = field(default=())
    correlations: Sequence[Record] = field(default=())
    curves: tuple[Curve, ...] = ()


def latent_of(
    learning: Learning,
    matrix: Floats,
    names: Sequence[str],
    parts: Mapping[str, Bools],
    order: Sequence[str],
    seed: int,
) -> Latent:
    """Correlations of latent dimensions, and of reconstructed features with the label.

    Args:
        learning: the training set.
        matrix: (N, D) features of all rows.
        names: of the D columns.
        parts: rows (N,) of each part, all of them first.
        order: features, the most important first; the first ones are shown.
        seed: of the autoencoder.

    Raises:
        ModelError: rows that it cannot be trained on.
    """
    known = [names.index(name) for name in order if name in names]  # numbers of vectors are not
    columns = [*(names[place] for place in known), learning.training_set.request.label.name]
    x = np.column_stack([matrix[:, known], learning.target])
    compared = {part: rows for part, rows in parts.items() if part != ALL} or dict(parts)
    varying = np.all([np.ptp(x[rows], axis=0) > 0 for rows in compared.values()], axis=0)
    columns = [name for name, kept in zip(columns, varying, strict=True) if kept]
    x = x[:, varying]
    final = x[learning.final]
    options = Autoencoder(seed=seed)
    try:
        fitted = options.fit(final, progress=partial(report, "autoencoder"))
        curve = reconstruction_curve(
            final,
            Autoencoder(seed=seed, latent=_sizes(x.shape[1])),
            progress=partial(report, "autoencoder beside principal components"),
        )
    except CannotLearnError as error:
        raise ModelError(f"the autoencoder cannot be trained: {error}") from error
    latents = fitted.encode(x)
    reconstructed = fitted.reconstruct(x)
    numbered = [f"LD {number}" for number in range(1, latents.shape[1] + 1)]
    spaces = {
        "latent": (numbered, {p: correlation_matrix(latents[r]) for p, r in compared.items()}),
        "reconstructed": (
            columns,
            {p: correlation_matrix(reconstructed[r]) for p, r in compared.items()},
        ),
        "measured": (columns, {p: correlation_matrix(x[r]) for p, r in compared.items()}),
    }
    records = [
        row
        for space, (own, matrices) in spaces.items()
        for part, values in matrices.items()
        for row in _records(space, part, own, values)
    ]
    shown = [*range(min(_SHOWN - 1, len(columns) - 1)), len(columns) - 1]
    top = {
        part: values[np.ix_(shown, shown)] for part, values in spaces["reconstructed"][1].items()
    }
    pictures = [
        (_told(curve, fitted.chosen), _curve_figure(curve)),
        *_plots("latent dimensions", numbered, spaces["latent"][1], None),
        *_plots("reconstructed", [columns[place] for place in shown], top, _groups(columns)),
    ]
    return Latent([Section("How features go together", _NOTE, pictures)], records, _curves(curve))


def _sizes(columns: int) -> tuple[int, ...]:
    return tuple(size for size in _SIZES if size < columns) or (1,)


def _records(space: str, part: str, names: Sequence[str], values: Floats) -> Iterator[Record]:
    for one in range(len(names)):
        for other in range(one + 1, len(names)):
            yield {
                "space": space,
                "part": part,
                "feature": names[one],
                "other_feature": names[other],
                "pearson_r": float(np.clip(values[one, other], -1, 1)),
            }


def _plots(
    what: str, names: Sequence[str], matrices: Matrices, groups: Mapping[str, str] | None
) -> Iterator[tuple[str, bytes]]:
    """A circular plot and a matrix for each part."""
    labels = {name: _short(name) for name in names}
    for part, values in matrices.items():
        other = next((one for name, one in matrices.items() if name != part), None)
        told = f"{part}: correlations of {what}"
        circle = circular_plot(
            values, names, threshold=_THRESHOLD, other=other, groups=groups, labels=labels
        )
        yield f"{told}, |r| from {_THRESHOLD}", png(circle, all_colours=True, dpi=_PRINT_DPI)
        matrix = matrix_figure(values, names, threshold=_THRESHOLD, labels=labels)
        yield told, png(matrix, all_colours=True, dpi=_PRINT_DPI)


def _short(name: str) -> str:
    words = spoken(name).partition(" (")[0].replace(" neighbours", "")
    return words[:1].upper() + words[1:]


def _groups(names: Sequence[str]) -> dict[str, str]:
    of = {name: group for group, members in ATTRIBUTE_GROUPS.items() for name in members}
    return {name: of.get(name, "other") for name in names}


def _told(curve: ReconstructionCurve, chosen: Mapping[str, float | str]) -> str:
    return (
        f"Reconstruction of {curve.held_rows} rows that were held out of {curve.training_rows}, by "
        f"latent dimensions; {chosen['latent']:.0f} were chosen by validation"
    )


def _series(curve: ReconstructionCurve) -> dict[str, tuple[float, ...]]:
    return {
        "autoencoder": curve.regularised,
        "without penalties": curve.plain,
        "principal components": curve.pca,
    }


def _curves(curve: ReconstructionCurve) -> tuple[Curve, ...]:
    x = tuple(float(size) for size in curve.latent)
    return tuple(Curve(f"{RECONSTRUCTION}, {name}", x, y) for name, y in _series(curve).items())


def _curve_figure(curve: ReconstructionCurve) -> bytes:
    figure = new_figure(5.6, 3.4)
    axes = figure.add_subplot()
    styles = {"autoencoder": "o-", "without penalties": "s--", "principal components": "^:"}
    colours = (COLOURS[0], COLOURS[5], COLOURS[1])
    for (name, y), colour in zip(_series(curve).items(), colours, strict=True):
        axes.plot(curve.latent, y, styles[name], color=colour, markersize=4, label=name)
    axes.set_xlabel("latent dimensions")
    axes.set_ylabel("share of variance not reconstructed")
    axes.set_ylim(0, None)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, frameon=False)
    return png(figure)
