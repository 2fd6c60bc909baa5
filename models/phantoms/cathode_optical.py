"""What an optical microscope sees of a cathode, in reflected light.

Oxide reflects and carbon hardly does; what is tilted sends its light past the objective, what is
out of focus is blurred, and nothing finer than half a wavelength is seen.
Out of scope: the surface (`models.phantoms.cathode_surface`), electrons and grey levels
(`models.phantoms.cathode`).
"""

import math

import cv2
import numpy as np

from models.phantoms.cathode_config import CathodePhantom
from models.phantoms.cathode_surface import Image, Surface

_WAVELENGTH_UM, _APERTURE = 0.55, 0.8  # green light, a dry 50 × objective
_RESOLUTION_UM = 0.21 * _WAVELENGTH_UM / _APERTURE  # Gaussian length of the Airy disc's middle
_FOCUS_UM = _WAVELENGTH_UM / _APERTURE**2  # depth over which an image stays sharp
_PLANES = 6  # of focus that an image is put together from
_REFLECTED = {"oxide": 1.0, "carbon": 0.25, "crack": 0.15}
_DIFFUSE = 0.25  # share of the light that leaves in all directions


def reflected_light(config: CathodePhantom, surface: Surface) -> Image:
    """Light (Y, X) float32 that comes back into the objective, in arbitrary units."""
    height = surface.height
    slope_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    slope_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    tilt = np.arctan(np.hypot(slope_y, slope_x))
    # light from straight above leaves at twice the tilt; the objective takes up to its half angle
    past = np.clip(tilt / (math.asin(_APERTURE) / 2), 0, 2)
    mirrored = np.clip(1 - past / 2, 0, 1) ** 2
    share = np.where(surface.labels > 0, _REFLECTED["oxide"], _REFLECTED["carbon"])
    share = np.where(surface.debris, _REFLECTED["oxide"], share)
    share = share + surface.crack * (_REFLECTED["crack"] - share)
    light = share * (_DIFFUSE + (1 - _DIFFUSE) * mirrored)
    return _focused(config, np.asarray(light, np.float32), height)


def _focused(config: CathodePhantom, light: Image, height: Image) -> Image:
    """Light blurred by the objective, the more the farther a pixel lies from the focal plane.

    The focus lies at the upper quartile of heights; images of several planes are put together.
    """
    focus = float(np.quantile(height, 0.75))
    off_um = np.abs(height - focus) * config.pixel_size_um
    planes_um = np.linspace(0, float(off_um.max()), _PLANES)
    step = max(float(planes_um[1]), 1e-6)
    found = np.zeros_like(light)
    for plane in planes_um.tolist():
        beyond = max(plane - _FOCUS_UM, 0.0)
        spread_um = math.hypot(_RESOLUTION_UM, 0.25 * beyond * math.tan(math.asin(_APERTURE)))
        seen = cv2.GaussianBlur(light, (0, 0), max(spread_um / config.pixel_size_um, 0.3))
        weight = np.maximum(1 - np.abs(off_um - plane) / step, 0)
        found += seen * weight.astype(np.float32)
    return found
