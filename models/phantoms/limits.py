"""What every description of a phantom refuses: values out of range, images that are too small.

Out of scope: what only one kind of phantom refuses.
"""

from collections.abc import Mapping

from models.phantoms.databar import DATABAR_MIN_WIDTH_PX

LEAST_SIDE_PX = 64


def check_limits(config: object, limits: Mapping[str, tuple[float, float]]) -> None:
    """Refuse attributes outside of their limits, which belong to the range; None is not looked at.

    Raises:
        ValueError: one lies outside; says which.
    """
    for name, (low, high) in limits.items():
        value = getattr(config, name)
        if value is not None and not low <= value <= high:
            raise ValueError(f"{name} must be {low:g}…{high:g}, got {value}")


def check_micrograph(seed: int, shape_px: tuple[int, int], *, databar: bool) -> None:
    """Refuse a negative seed, and an image (Y, X) too small for itself or for its databar.

    Raises:
        ValueError: it is.
    """
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    if min(shape_px) < LEAST_SIDE_PX:
        raise ValueError(f"shape_px must be at least {LEAST_SIDE_PX} a side, got {shape_px}")
    if databar and shape_px[1] < DATABAR_MIN_WIDTH_PX:
        raise ValueError(f"a databar needs a width of {DATABAR_MIN_WIDTH_PX} px, got {shape_px[1]}")
