"""Tables of the sweep that grow: rows found by a key of 64 bits.

Out of scope: filling them, which is `models.measure.sweep_kernel`.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from models.measure.sweep_kernel import EMPTY, rehash

Array = npt.NDArray[Any]


class Table:
    """Rows of int64 numbered in the order in which their keys were met.

    Attributes:
        count: rows in use.
        names: (n,) their keys.
        values: (n, …) what is added up for each.
    """

    def __init__(self, *row_shape: int) -> None:
        self.count = 0
        self.names = np.empty(0, dtype=np.int64)
        self.values = np.empty((0, *row_shape), dtype=np.int64)
        self._keys = np.empty(0, dtype=np.int64)
        self._slots = np.empty(0, dtype=np.int32)

    @property
    def arrays(self) -> tuple[Array, Array, Array, Array]:
        """Keys, slots, names and values, as the loops take them."""
        return self._keys, self._slots, self.names, self.values

    def reserve(self, more: int) -> None:
        """Make room for so many further rows, twice over if it is needed at all."""
        needed = self.count + more
        if needed > len(self.names):
            self.names = enlarged(self.names, self.count, 2 * needed)
            self.values = enlarged(self.values, self.count, 2 * needed)
        if 2 * needed > len(self._keys):
            size = 1 << (4 * needed - 1).bit_length()
            self._keys = np.full(size, EMPTY, dtype=np.int64)
            self._slots = np.empty(size, dtype=np.int32)
            rehash(self.names, self.count, self._keys, self._slots)


def enlarged(array: Array, used: int, rows: int) -> Array:
    """Copy of the first `used` rows in an array of `rows`; the others are not initialised."""
    larger = np.empty((rows, *array.shape[1:]), dtype=array.dtype)
    larger[:used] = array[:used]
    return larger
