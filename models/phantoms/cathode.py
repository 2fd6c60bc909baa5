"""Synthetic micrographs of composite cathodes, with known particles and cracks.

Out of scope: how the surface is built (`models.phantoms.cathode_surface`), light
(`models.phantoms.cathode_optical`); writing files;
collections, which are `models.phantoms.cathode_collection`.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from models.phantoms.cathode_config import CathodePhantom
from models.phantoms.cathode_optical import reflected_light
from models.phantoms.cathode_surface import Image, Surface, build, smooth_noise
from models.phantoms.databar import DatabarText, draw_databar, scale_bar
from models.phantoms.detector import digitise

Labels = npt.NDArray[np.int32]
Truth = dict[str, npt.NDArray[Any]]

_DETECTOR = (-0.94, -0.35)  # direction (y, x) towards the detector: above, slightly left
_CRACK_DEPTH = 0.8  # signal missing in a crack, where particles have a spread of about 0.3
_PROBE_PX = 0.55  # Gaussian length of the electron probe
_SPREAD_UM = 0.12  # Gaussian length at 30 kV of the volume that electrons come from


@dataclass(frozen=True, slots=True, eq=False)
class RenderedCathode:
    """A micrograph and its truth.

    Attributes:
        image: (Y, X) uint8, content above databar.
        labels: (content_rows, X) int32, 0 = binder, debris or pore, visible particles 1…N.
        cracks: (content_rows, X) bool, pixels that a crack covers by half or more.
        truth: one array of N per column: ``label`` int64; ``y_px``, ``x_px``: centre of the
            particle; ``diameter_um``: of a circle as large as its outline; ``cracked`` and
            ``broken`` bool; ``area_px2``: visible pixels (counted); ``visible_fraction``: visible
            pixels per outline, at most 1; ``touches_border`` bool (counted).
        content_rows: rows above the databar.
        scale_bar_px: length of the bar in pixels; None without databar.
        scale_bar_um: length that its label states; it differs from the pixels' by half a pixel at
            most. None without databar.
    """

    image: npt.NDArray[np.uint8]
    labels: Labels
    cracks: npt.NDArray[np.bool_]
    truth: Truth
    content_rows: int
    scale_bar_px: int | None
    scale_bar_um: float | None


def render_cathode(config: CathodePhantom) -> RenderedCathode:
    """Render a micrograph; about 0.3 s at 448 × 720.

    Args:
        config: the micrograph to make.

    Returns:
        The image and its truth. Mean and standard deviation of the content are within 0.02 grey
        levels of `config.brightness` and `config.contrast`.
    """
    surface = build(config)
    seen = reflected_light if config.microscope == "optical" else _secondary_electrons
    signal = seen(config, surface)
    noise = config.stream("noise").standard_normal(signal.shape, dtype=np.float32)
    content = digitise(
        signal, np.float32(config.noise_std) * noise, config.brightness, config.contrast
    )
    rows, cracks = len(content), surface.crack >= 0.5
    truth = _truth(surface, config.pixel_size_um)
    if not config.databar:
        return RenderedCathode(content, surface.labels, cracks, truth, rows, None, None)
    bar_px, bar_um = scale_bar(config.pixel_size_um)
    strip = draw_databar(content.shape[1], _databar_text(config), bar_px, bar_um)
    image = np.vstack([content, strip])
    return RenderedCathode(image, surface.labels, cracks, truth, rows, bar_px, bar_um)


def _secondary_electrons(config: CathodePhantom, surface: Surface) -> Image:
    """Detector signal (Y, X) in arbitrary units.

    The parts are those of `models.phantoms.shading.secondary_electrons`; besides, carbon yields
    less than oxide, and little escapes from cracks and from deep between particles.
    """
    diameter, height = config.diameter_px, surface.height
    rng = config.stream("signal")
    slope_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    slope_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    cosine = 1 / np.sqrt(1 + slope_y * slope_y + slope_x * slope_x)
    facing = -(_DETECTOR[0] * slope_y + _DETECTOR[1] * slope_x) * cosine
    near = np.tanh((height - _local_mean(height, 0.35 * diameter)) / (0.3 * diameter))
    wide = np.tanh((height - _local_mean(height, 1.2 * diameter)) / (0.6 * diameter))
    depth = np.clip((height - np.float32(np.quantile(height, 0.95))) / diameter, -1.2, 0)
    tone = rng.normal(0, 0.05, int(surface.labels.max()) + 1).astype(np.float32)
    tone[0] = 0
    edge = 0.45 + 0.25 * config.kv / 30
    signal = edge * (1 - cosine) + 0.28 * facing + 0.30 * near + 0.12 * wide + 0.35 * depth
    signal += tone[surface.labels]
    signal[surface.binder] -= 0.10
    signal[surface.debris] += 0.10
    signal -= _CRACK_DEPTH * surface.crack
    uneven = 0.04 * smooth_noise(height.shape, 0.3 * min(height.shape), rng)
    tilt = np.linspace(-0.05, 0.05, len(height), dtype=np.float32)[:, None]
    probe = np.hypot(_PROBE_PX, _SPREAD_UM * config.kv / 30 / config.pixel_size_um)
    blurred = cv2.GaussianBlur(signal + uneven + tilt, (0, 0), float(probe))
    return np.asarray(blurred, dtype=np.float32)


def _local_mean(image: Image, sigma_px: float) -> Image:
    """Two box means: about a Gaussian, at a cost that does not grow with its length."""
    side = 2 * round(sigma_px * 1.22) + 1
    return np.asarray(cv2.blur(cv2.blur(image, (side, side)), (side, side)), dtype=np.float32)


def _truth(surface: Surface, pixel_size_um: float) -> Truth:
    seen, labels = surface.particles, surface.labels
    numbers = np.arange(1, len(seen.radius) + 1, dtype=np.int64)
    area = np.bincount(labels.ravel(), minlength=len(numbers) + 1)[1:].astype(np.float64)
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return {
        "label": numbers,
        "y_px": seen.centre[:, 1],
        "x_px": seen.centre[:, 2],
        "diameter_um": 2 * seen.radius * pixel_size_um,
        "cracked": seen.cracked,
        "broken": seen.broken,
        "area_px2": area,
        "visible_fraction": np.minimum(area / (np.pi * seen.radius**2), 1),
        "touches_border": np.isin(numbers, border),
    }


def _databar_text(config: CathodePhantom) -> DatabarText:
    return DatabarText(
        voltage=f"{config.kv:g} kV",
        magnification=f"x{config.magnification}",
        acquired_at=f"{config.acquired_at:%Y.%m.%d %H:%M}",
        working_distance=f"WD {config.working_distance_mm:g}mm",
    )
