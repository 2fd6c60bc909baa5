"""Bytes of small real files in memory, for the reader tests."""

import io

import numpy as np
import tifffile
from PIL import Image


def textured(height=40, width=48, dtype=np.uint8, top=255, seed=0):
    """Noise over a ramp that holds both 0 and `top`."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, top + 1, (height, width)).astype(dtype)
    image[0, 0], image[-1, -1] = 0, top
    return image


def pillow(image, format, **options):
    out = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(
        out, format, **options
    )
    return out.getvalue()


def tiff(image, **options):
    out = io.BytesIO()
    tifffile.imwrite(out, image, **options)
    return out.getvalue()


def text_tag(code, text, encoding="cp1252"):
    """An extratag of bytes that tifffile parses by its code."""
    data = text.encode(encoding) if isinstance(text, str) else text
    return (code, 1, len(data), data, True)
