"""Where in a micrograph a network sees what goes with a high target, and what with a low one.

The segmentation of Kondo et al., Acta Mater. 141 (2017) 29, as Murakami et al., Digital Discovery
2025, doi 10.1039/d5dd00232j, use it: channels of the last feature maps, whose mean over positions
is all that the last layer sees, are divided by the sign of their correlation with the target.
A sign says little on its own: where the target has nothing to do with the images, channels that
see the same thing still agree on one, by chance. Compare with targets that are shuffled.
Out of scope: the network, evidence for a single image (`grad_cam`).
"""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def channel_correlations(pooled: npt.NDArray[np.floating[Any]], target: Floats) -> Floats:
    """Pearson correlation of each channel with the target over images.

    Args:
        pooled: (N, C) means over positions of the last feature maps of N images.
        target: (N,) of these images, measured.

    Returns:
        (C,) in -1…1; NaN of a channel that is the same in every image, which has none.

    Raises:
        ValueError: shapes that do not fit, fewer than two images, or a target that never varies.
    """
    if pooled.ndim != 2 or target.shape != pooled.shape[:1] or len(target) < 2:
        raise ValueError(
            f"features {pooled.shape} and targets {target.shape}: take (N, C) and (N,), N ≥ 2"
        )
    if np.ptp(target) == 0:
        raise ValueError(f"the target is {target[0]:g} in every image: nothing goes with it")
    features = pooled.astype(float)
    features = features - features.mean(0)
    numbers = target - target.mean()
    product = np.sqrt((features**2).sum(0) * (numbers**2).sum())  # (C,)
    varies = np.ptp(pooled, axis=0) > 0
    found: Floats = np.divide(
        features.T @ numbers, product, out=np.full(product.shape, np.nan), where=varies
    )
    return found


def channel_maps(
    maps: npt.NDArray[np.floating[Any]], correlations: Floats, shape: tuple[int, int]
) -> tuple[Floats, Floats]:
    """Mean map of the channels that go with a high target, and of those with a low one.

    Args:
        maps: (C, h, w) last feature maps of an image.
        correlations: (C,) of `channel_correlations`; channels of 0 or NaN are in neither map.
        shape: (Y, X) of what the network saw of the image, which the maps are scaled up to,
            linearly.

    Returns:
        Positive and negative map, each (Y, X); 0 everywhere where no channel has that sign.

    Raises:
        ValueError: shapes that do not fit.
    """
    if maps.ndim != 3 or correlations.shape != maps.shape[:1]:
        raise ValueError(
            f"maps {maps.shape} and correlations {correlations.shape}: take (C, h, w) and (C,)"
        )
    groups = (correlations > 0, correlations < 0)
    means = [
        maps[group].mean(0, dtype=float) if group.any() else np.zeros(maps.shape[1:])
        for group in groups
    ]
    positive, negative = (enlarged(mean, shape) for mean in means)
    return positive, negative


def enlarged(values: Floats, shape: tuple[int, int]) -> Floats:
    """A map (h, w) on the pixels of an image (Y, X), linear between the centres of its cells."""
    found = cv2.resize(values, shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(found, float)


def segmented(values: Floats) -> Bools:
    """Pixels (Y, X) of a map (Y, X) that lie above its median; none where it is flat."""
    return values > np.median(values)


def shown(grey: npt.NDArray[Any], mask: Bools) -> npt.NDArray[Any]:
    """The image (Y, X) where a mask (Y, X) is true, and 0 elsewhere, as the paper shows it.

    Raises:
        ValueError: shapes that do not fit.
    """
    if grey.shape != mask.shape:
        raise ValueError(f"a mask {mask.shape} does not lie over an image {grey.shape}")
    return np.where(mask, grey, np.zeros_like(grey))
