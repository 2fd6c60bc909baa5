"""How a detector turns a signal into grey levels of a stated mean and spread.

Out of scope: what the signal is of (`models.phantoms.shading`, `models.phantoms.cathode`).
"""

import numpy as np
import numpy.typing as npt

_CLOSE_ENOUGH = 0.01  # grey levels that mean and standard deviation may differ from the stated
_MOST_NOISE = 0.7  # of the contrast


def refuse_contrast(brightness: float, contrast: float, noise_std: float) -> None:
    """Refuse a contrast that grey levels of this brightness have no room for.

    Args:
        brightness: mean grey level.
        contrast: standard deviation of the grey levels, noise included.
        noise_std: standard deviation of the noise, in grey levels.

    Raises:
        ValueError: two standard deviations leave 0…255, or noise alone is nearly the contrast.
    """
    room = min(brightness, 255 - brightness) / 2
    if contrast > room:
        raise ValueError(
            f"contrast must be at most {room:g} at a brightness of {brightness:g}, got {contrast}"
        )
    if noise_std > _MOST_NOISE * contrast:
        raise ValueError(
            f"noise_std must be at most {_MOST_NOISE:g} of the contrast {contrast:g}, "
            f"got {noise_std}"
        )


def digitise(
    signal: npt.NDArray[np.float32],
    noise: npt.NDArray[np.float32],
    brightness: float,
    contrast: float,
) -> npt.NDArray[np.uint8]:
    """Set the detector's gain and offset so that what is stored has the wanted mean and spread.

    Clipping and rounding count, so that the two are those of the pixels; noise is not amplified.

    Args:
        signal: (Y, X) in any unit.
        noise: (Y, X) in grey levels.
        brightness: mean grey level.
        contrast: standard deviation of the grey levels; see `refuse_contrast`.

    Returns:
        (Y, X) uint8.
    """
    signal = (signal - signal.mean()) / signal.std()
    spread = contrast**2 - float(noise.std()) ** 2
    gain, offset = spread**0.5, brightness - float(noise.mean())
    content = np.zeros(signal.shape, dtype=np.uint8)
    for _ in range(40):
        grey = np.float32(gain) * signal + np.float32(offset) + noise
        content = np.rint(np.clip(grey, 0, 255)).astype(np.uint8)
        shift, excess = brightness - float(content.mean()), contrast - float(content.std())
        if max(abs(shift), abs(excess)) < _CLOSE_ENOUGH:
            break
        offset += shift
        gain = max(gain + excess * contrast / gain, 0.1)
    return content
