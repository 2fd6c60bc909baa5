"""Arrays as what JSON can hold, to the last bit.

Out of scope: large arrays, which belong into files of their own.
"""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt


def packed(values: npt.NDArray[Any]) -> dict[str, Any]:
    """An array as type, shape and base64 of its little-endian bytes."""
    little = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"))
    return {
        "dtype": little.dtype.str,
        "shape": list(values.shape),
        "base64": base64.b64encode(little.tobytes()).decode("ascii"),
    }


def unpacked(content: Mapping[str, Any]) -> npt.NDArray[Any]:
    """The array that `packed` was given."""
    data = base64.b64decode(content["base64"])
    values = np.frombuffer(data, np.dtype(content["dtype"])).reshape(content["shape"])
    return values.astype(values.dtype.newbyteorder("="))
