"""Synthetic scanning electron micrographs of sintered ceramics, with known truth.

Out of scope: writing files; collections of micrographs, which are `models.phantoms.collection`.
"""

import math
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from models.phantoms.databar import DatabarText, draw_databar, scale_bar
from models.phantoms.detector import digitise, refuse_contrast
from models.phantoms.limits import check_limits, check_micrograph
from models.phantoms.shading import height_px, secondary_electrons
from models.phantoms.surface import PORE_SHARE, Labels, grain_labels

DISPLAY_WIDTH_UM = 127_000.0
"""Width of the 5 inch print that instruments of this kind state their magnification for."""

_GREY_PER_SIGNAL = 95.0  # gives the surface about 28 grey levels of contrast
_LIMITS = {
    "roughness": (0.0, 1.0),
    "brightness": (30.0, 220.0),
    "pixel_size_um": (1e-4, 100.0),
    "noise_std": (0.0, 40.0),
    "porosity": (0.0, 0.5),
    "contrast": (5.0, 80.0),
    "kv": (0.1, 30.0),
    "working_distance_mm": (0.1, 100.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SemPhantom:
    """One synthetic micrograph, completely described.

    Attributes:
        seed: of everything random; the same configuration always renders to the same pixels.
        grain_diameter_um: mean equivalent circular diameter of the grains no border cuts; 6 pixels
            to a quarter of the shorter side.
        roughness: of the grain faces, 0 (smooth) to 1.
        brightness: mean grey level of the content, 30…220.
        pixel_size_um: side of a pixel, 1e-4…100.
        shape_px: (Y, X) of the content, without the databar; at least 64 a side, and wide enough
            for the databar's text where there is one.
        noise_std: standard deviation of the white Gaussian noise, 0…40 grey levels.
        porosity: expected share of the surface that is pores, 0…0.5; pores are as large as grains.
        contrast: standard deviation of the content's grey levels, noise included, 5…80; None: what
            the surface comes to at a gain that is always the same, about 28.
        kv: accelerating voltage in kV, 0.1…30.
        working_distance_mm: 0.1…100.
        acquired_at: naive local time.
        instrument: model name for the sidecar.
        databar: whether a strip with text and scale bar follows at the foot.

    Raises:
        ValueError: if a value lies outside its range.
    """

    seed: int = 0
    grain_diameter_um: float = 4.0
    roughness: float = 0.5
    brightness: float = 120.0
    pixel_size_um: float = DISPLAY_WIDTH_UM / (768 * 1000)
    shape_px: tuple[int, int] = (512, 768)
    noise_std: float = 6.0
    porosity: float = PORE_SHARE
    contrast: float | None = None
    kv: float = 15.0
    working_distance_mm: float = 8.0
    acquired_at: datetime = datetime(2026, 3, 2, 10, 15)
    instrument: str = "Graindex PHANTOM-1"
    databar: bool = True

    def __post_init__(self) -> None:
        check_limits(self, _LIMITS)
        check_micrograph(self.seed, self.shape_px, databar=self.databar)
        if not 6 <= self.grain_diameter_px <= min(self.shape_px) / 4:
            raise ValueError(
                f"grains of {self.grain_diameter_um:g} µm are {self.grain_diameter_px:.1f} px; "
                f"render 6…{min(self.shape_px) / 4:g} px by another pixel_size_um"
            )

        if self.contrast is not None:
            refuse_contrast(self.brightness, self.contrast, self.noise_std)

    @property
    def grain_diameter_px(self) -> float:
        """Mean grain diameter in pixels."""
        return self.grain_diameter_um / self.pixel_size_um

    @property
    def magnification(self) -> int:
        """Of a 127 mm wide print, rounded; derived, so that it cannot contradict the pixel size."""
        return round(DISPLAY_WIDTH_UM / (self.shape_px[1] * self.pixel_size_um))


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """A micrograph and its truth.

    Attributes:
        image: (Y, X) uint8, content above databar.
        labels: (content_rows, X) int32, 0 = pore, grains 1…n.
        content_rows: rows above the databar.
        scale_bar_px: length of the bar in pixels; None without databar.
        scale_bar_um: length that its label states; it differs from the pixels' by half a pixel at
            most. None without databar.
    """

    image: npt.NDArray[np.uint8]
    labels: Labels
    content_rows: int
    scale_bar_px: int | None
    scale_bar_um: float | None


def render(config: SemPhantom) -> Rendered:
    """Render a micrograph; about 0.1 s at 512 × 768.

    Args:
        config: the micrograph to make.

    Returns:
        The image and its truth. The mean of the content is within one grey level of
        `config.brightness`, and its standard deviation of `config.contrast` where that is given.
    """
    rng = np.random.default_rng(config.seed)
    diameter_px = config.grain_diameter_px
    labels = grain_labels(config.shape_px, diameter_px, rng, config.porosity)
    height = height_px(labels, diameter_px, config.pixel_size_um, config.roughness, rng)
    signal = secondary_electrons(labels, height, diameter_px, rng)
    noise = np.float32(config.noise_std) * rng.standard_normal(signal.shape, dtype=np.float32)
    if config.contrast is None:
        content = _brought_to(_GREY_PER_SIGNAL * signal + noise, config.brightness)
    else:
        content = digitise(signal, noise, config.brightness, config.contrast)
    rows = len(content)
    if not config.databar:
        return Rendered(content, labels, rows, scale_bar_px=None, scale_bar_um=None)
    bar_px, bar_um = scale_bar(config.pixel_size_um)
    strip = draw_databar(content.shape[1], _databar_text(config), bar_px, bar_um)
    return Rendered(np.vstack([content, strip]), labels, rows, bar_px, bar_um)


def _brought_to(signal: npt.NDArray[np.float32], brightness: float) -> npt.NDArray[np.uint8]:
    """Set the detector's offset so that the mean is right even after clipping to 0…255."""
    offset = brightness - float(signal.mean())
    content = np.zeros(signal.shape, dtype=np.uint8)
    error = math.inf
    for _ in range(10):
        content = np.rint(np.clip(signal + np.float32(offset), 0, 255)).astype(np.uint8)
        error = brightness - float(content.mean())
        if abs(error) < 0.25:
            break
        offset += error
    return content


def _databar_text(config: SemPhantom) -> DatabarText:
    return DatabarText(
        voltage=f"{config.kv:g} kV",
        magnification=f"x{config.magnification}",
        acquired_at=f"{config.acquired_at:%Y.%m.%d %H:%M}",
        working_distance=f"WD {config.working_distance_mm:g}mm",
    )
