"""Diameters of balls in space from the diameters of their sections in a plane.

Out of scope: shapes other than balls; finding the sections (`models.segment`).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular
from scipy.optimize import nnls

from models.measure.arrays import InvalidVolumeError

Floats = npt.NDArray[np.float64]
Method = Literal["nnls", "saltykov", "goldsmith_cruz_orive"]


@dataclass(frozen=True, slots=True, eq=False)
class UnfoldedSizes:
    """Ball diameters by class.

    Attributes:
        lower_um: (K,) lower limit of each class.
        upper_um: (K,) upper limit.
        diameter_um: (K,) the diameter that stands for the class.
        sections: (K,) weighted sections counted in the class.
        number_fraction: (K,) share of the balls by number; sums to 1.
        volume_fraction: (K,) share of the balls' volume.
        number_density_per_um3: (K,) balls per µm³; NaN if the area of the plane is unknown.
        number_fraction_std: (K,) from resampled sections; NaN without.
    """

    lower_um: Floats
    upper_um: Floats
    diameter_um: Floats
    sections: Floats
    number_fraction: Floats
    volume_fraction: Floats
    number_density_per_um3: Floats
    number_fraction_std: Floats

    @property
    def mean_um(self) -> float:
        """Mean diameter by number."""
        return float(self.number_fraction @ self.diameter_um)


def unfold_diameters(
    section_um: npt.NDArray[np.floating],
    *,
    bins: int | Floats = 12,
    method: Method = "nnls",
    weights: Floats | None = None,
    plane_area_um2: float | None = None,
    resamples: int = 0,
    seed: int = 0,
) -> UnfoldedSizes:
    """Estimate the size distribution of balls from plane sections.

    A plane meets balls in proportion to their diameter D and cuts them anywhere: of N_V balls per
    volume, N_A(i) = N_V [√(D² − d_i²) − √(D² − d_{i+1}²)] sections per area fall between d_i and
    d_{i+1}. The system over all classes is solved

    - "saltykov": by back-substitution, balls at the upper limit of their class (Schwartz–Saltykov);
    - "goldsmith_cruz_orive": by back-substitution, balls in the middle of their class, less biased;
    - "nnls": the same by non-negative least squares, each class weighted with its Poisson error.
      Back-substitution amplifies noise towards small classes and gives negative counts there.

    Source: Saltykov 1967, in Stereology, 163; Goldsmith 1967, Brit. J. Appl. Phys. 18, 813;
    Cruz-Orive 1983, J. Microscopy 131, 265.

    Args:
        section_um: (N,) diameters of the sections in µm; sections cut by the image's edge left out.
        bins: number of equal classes from 0 to the largest section, or (K + 1,) rising limits.
        method: see above.
        weights: (N,) weight of each section, for instance against the loss at the edge.
        plane_area_um2: area in which the sections were found.
        resamples: bootstrap samples of the sections for the standard deviation; 0 for none.
        seed: of the bootstrap.

    Raises:
        InvalidVolumeError: if there are no sections, a diameter is not finite and above zero, or
            the limits do not rise or do not hold all sections.
    """
    sections = np.asarray(section_um, dtype=np.float64)
    if sections.ndim != 1 or not len(sections):
        raise InvalidVolumeError("no sections to unfold")
    if not (np.isfinite(sections).all() and (sections > 0).all()):
        raise InvalidVolumeError("section diameters must be finite and above zero")
    weight = np.ones(len(sections)) if weights is None else np.asarray(weights, dtype=np.float64)
    edges = _edges(sections, bins)
    counts = np.histogram(sections, edges, weights=weight)[0]
    diameter = edges[1:] if method == "saltykov" else (edges[1:] + edges[:-1]) / 2
    kernel = section_kernel(edges, diameter)
    per_area = _solve(kernel, counts, method)
    generator = np.random.default_rng(seed)
    fractions = []
    for _ in range(resamples):
        chosen = generator.integers(0, len(sections), len(sections))
        drawn = np.histogram(sections[chosen], edges, weights=weight[chosen])[0]
        fractions.append(_share(_solve(kernel, drawn, method)))
    return UnfoldedSizes(
        lower_um=edges[:-1],
        upper_um=edges[1:],
        diameter_um=diameter,
        sections=counts,
        number_fraction=_share(per_area),
        volume_fraction=_share(per_area * diameter**3),
        number_density_per_um3=per_area / (np.nan if plane_area_um2 is None else plane_area_um2),
        number_fraction_std=np.std(fractions, axis=0)
        if fractions
        else np.full(len(counts), np.nan),
    )


def section_kernel(edges_um: Floats, diameter_um: Floats) -> Floats:
    """Sections per area in each class for one ball of each diameter per volume, in µm.

    Args:
        edges_um: (K + 1,) limits of the classes of sections.
        diameter_um: (J,) diameters of balls.

    Returns:
        (K, J); a column sums to the ball's diameter if the limits hold all of its sections.
    """
    root = np.sqrt(np.maximum(diameter_um**2 - edges_um[:, None] ** 2, 0))
    return np.asarray(root[:-1] - root[1:], dtype=np.float64)


def _edges(sections: Floats, bins: int | Floats) -> Floats:
    if isinstance(bins, int):
        if bins < 1:
            raise InvalidVolumeError(f"{bins} classes: take 1 or more")
        return np.linspace(0, float(sections.max()), bins + 1)
    edges = np.asarray(bins, dtype=np.float64)
    if edges.ndim != 1 or len(edges) < 2 or edges[0] < 0 or not (np.diff(edges) > 0).all():
        raise InvalidVolumeError("limits of classes must rise from 0 or above")
    if sections.min() < edges[0] or sections.max() > edges[-1]:
        raise InvalidVolumeError("sections lie beyond the limits of the classes: widen them")
    return edges


def _solve(kernel: Floats, counts: Floats, method: Method) -> Floats:
    if method == "nnls":
        error = np.sqrt(np.maximum(counts, 1))
        return np.asarray(nnls(kernel / error[:, None], counts / error)[0], dtype=np.float64)
    return np.asarray(solve_triangular(kernel, counts, lower=False), dtype=np.float64)


def _share(values: Floats) -> Floats:
    total = values.sum()
    return values / total if total > 0 else np.full(len(values), np.nan)
