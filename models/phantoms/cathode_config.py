"""What a synthetic micrograph of a composite cathode is made of.

Out of scope: making it, which is `models.phantoms.cathode`.
"""

import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np

from models.phantoms.detector import refuse_contrast
from models.phantoms.limits import check_limits, check_micrograph
from models.phantoms.sem import DISPLAY_WIDTH_UM

_LIMITS = {
    "pixel_size_um": (1e-4, 100.0),
    "diameter_spread": (0.0, 0.5),
    "primary_grain_um": (0.05, 5.0),
    "roughness": (0.0, 1.0),
    "crack_share": (0.0, 1.0),
    "crack_width_um": (0.0, 3.0),
    "broken_share": (0.0, 1.0),
    "binder_share": (0.0, 0.6),
    "binder_roughness": (0.0, 1.0),
    "debris_share": (0.0, 0.4),
    "brightness": (40.0, 215.0),
    "contrast": (5.0, 80.0),
    "noise_std": (0.0, 40.0),
    "kv": (0.1, 30.0),
    "working_distance_mm": (0.1, 100.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CathodePhantom:
    """One synthetic micrograph of a cathode's surface, completely described.

    Attributes:
        seed: of everything random; the same configuration always renders to the same pixels.
        shape_px: (Y, X) of the content, without the databar; at least 64 a side, and wide enough
            for the databar's text where there is one.
        pixel_size_um: side of a pixel, 1e-4…100.
        diameter_um: median diameter of the secondary particles; 8 pixels to half of the shorter
            side.
        diameter_spread: standard deviation of its logarithm, 0…0.5; cut at 2.5 of them.
        primary_grain_um: mean diameter of the primary grains that the particles' surface is made
            of, 0.05…5.
        roughness: how far primary grains stand out, 0 (polished) to 1 (raspberry).
        crack_share: share of the particles that are cracked, 0…1.
        crack_width_um: median width of a crack, 0…3, and at most 0.08 of the particle's diameter;
            narrower than a pixel it is fainter.
        broken_share: share of the cracked particles that have come apart, 0…1.
        binder_share: share of the content that binder and conductive additive cover, 0…0.6, before
            debris falls on it.
        binder_roughness: 0 (smooth film) to 1 (flaky).
        debris_share: share of the content that fine fragments lie on, 0…0.4, about.
        brightness: mean grey level of the content, 40…215.
        contrast: standard deviation of the content's grey levels, noise included; 5…80, and at most
            half of the way from `brightness` to black or white.
        noise_std: standard deviation of the white Gaussian noise, at most 0.7 of `contrast`.
        microscope: "SEM", or "optical": then voltage, working distance and instrument mean
            nothing.
        kv: accelerating voltage in kV, 0.1…30; higher voltages blur more and light edges up.
        working_distance_mm: 0.1…100.
        acquired_at: naive local time.
        instrument: model name for the sidecar.
        databar: whether a strip with text and scale bar follows at the foot.

    Raises:
        ValueError: if a value lies outside its range.
    """

    seed: int = 0
    shape_px: tuple[int, int] = (448, 720)
    pixel_size_um: float = DISPLAY_WIDTH_UM / (720 * 500)
    diameter_um: float = 9.0
    diameter_spread: float = 0.25
    primary_grain_um: float = 0.9
    roughness: float = 0.5
    crack_share: float = 0.0
    crack_width_um: float = 0.5
    broken_share: float = 0.0
    binder_share: float = 0.2
    binder_roughness: float = 0.3
    debris_share: float = 0.0
    brightness: float = 110.0
    contrast: float = 32.0
    noise_std: float = 5.0
    microscope: Literal["SEM", "optical"] = "SEM"
    kv: float = 20.0
    working_distance_mm: float = 5.0
    acquired_at: datetime = datetime(2026, 4, 6, 9, 30)
    instrument: str = "Graindex PHANTOM-1"
    databar: bool = True

    def __post_init__(self) -> None:
        check_limits(self, _LIMITS)
        check_micrograph(self.seed, self.shape_px, databar=self.databar)
        if not 8 <= self.diameter_px <= min(self.shape_px) / 2:
            raise ValueError(
                f"particles of {self.diameter_um:g} µm are {self.diameter_px:.1f} px; "
                f"render 8…{min(self.shape_px) / 2:g} px by another pixel_size_um"
            )
        refuse_contrast(self.brightness, self.contrast, self.noise_std)

    @property
    def diameter_px(self) -> float:
        """Median particle diameter in pixels."""
        return self.diameter_um / self.pixel_size_um

    @property
    def magnification(self) -> int:
        """Of a 127 mm wide print, rounded; derived, so that it cannot contradict the pixel size."""
        return round(DISPLAY_WIDTH_UM / (self.shape_px[1] * self.pixel_size_um))

    @property
    def crack_width_px(self) -> float:
        """Median crack width in pixels."""
        return self.crack_width_um / self.pixel_size_um

    @property
    def grain_px(self) -> float:
        """Mean diameter of the primary grains in pixels."""
        return self.primary_grain_um / self.pixel_size_um

    def stream(self, purpose: str) -> np.random.Generator:
        """Random numbers of one purpose, which no other setting moves."""
        return np.random.default_rng([self.seed, zlib.crc32(purpose.encode())])
