"""Synthetic micrographs of a conducting and an insulating phase that texture alone tells apart.

Grains of both have the same mean grey level and the same contrast: a network that knows one from
the other looks at structure, and the truth of where it should look is known pixel by pixel.
Out of scope: surfaces and detectors (`models.phantoms.sem`), writing files.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.phantoms.cathode_surface import Image, band_noise
from models.phantoms.surface import grain_labels

_CONDUCTING_PX, _INSULATING_PX = 2.0, 0.7  # Gaussian lengths of the textures


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoPhases:
    """One synthetic micrograph, completely described.

    Attributes:
        seed: of everything random; the same configuration always renders to the same pixels.
        conducting_share: share of the area that conducts, 0.05…0.95.
        grain_diameter_px: mean size of the grains.
        shape_px: (Y, X).
        brightness: mean grey level of both phases.
        contrast: standard deviation of the grey levels of both phases.

    Raises:
        ValueError: a share out of range.
    """

    seed: int = 0
    conducting_share: float = 0.5
    grain_diameter_px: float = 28.0
    shape_px: tuple[int, int] = (128, 128)
    brightness: float = 125.0
    contrast: float = 30.0

    def __post_init__(self) -> None:
        if not 0.05 <= self.conducting_share <= 0.95:
            raise ValueError(f"conducting_share must be 0.05…0.95, got {self.conducting_share}")


@dataclass(frozen=True, slots=True, eq=False)
class RenderedPhases:
    """A micrograph and its truth.

    Attributes:
        image: (Y, X) uint8.
        conducting: (Y, X), where it conducts.
    """

    image: npt.NDArray[np.uint8]
    conducting: npt.NDArray[np.bool_]


def render_phases(config: TwoPhases) -> RenderedPhases:
    """Render a micrograph: whole grains conduct, as many as come nearest to the share."""
    rng = np.random.default_rng(config.seed)
    labels = grain_labels(config.shape_px, config.grain_diameter_px, rng, pore_share=0)
    order = rng.permutation(int(labels.max())) + 1
    area = np.cumsum(np.bincount(labels.ravel())[order]) / labels.size
    count = 1 + int(np.abs(area - config.conducting_share).argmin())
    conducting = np.isin(labels, order[:count])
    smooth, rough = (
        band_noise(config.shape_px, px, rng) for px in (_CONDUCTING_PX, _INSULATING_PX)
    )
    grey = np.where(conducting, _standard(smooth, conducting), _standard(rough, ~conducting))
    content = np.rint(np.clip(config.brightness + config.contrast * grey, 0, 255))
    return RenderedPhases(content.astype(np.uint8), conducting)


def two_phases_s_per_cm(conducting_share: float) -> float:
    """Planted law: 10^(−7 + 3 φ) S/cm, 1e-7 where all insulates and 1e-4 where all conducts.

    Logarithms of the phases' conductivities mix by area (Lichtenecker, Phys. Z. 27 (1926) 115).
    """
    return float(10.0 ** (-7 + 3 * conducting_share))


def _standard(noise: Image, phase: npt.NDArray[np.bool_]) -> Image:
    """Noise of mean 0 and deviation 1 within a phase; as it is where the phase is absent."""
    inside = noise[phase]
    return (noise - inside.mean()) / inside.std() if inside.size else noise
