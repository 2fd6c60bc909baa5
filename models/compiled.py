"""Compilation of numerical loops with Numba: one place for its options.

Numba rather than C++: the kernels read as the mathematics, wheels need no compiler, and the loops
reach memory speed. Compiled code is cached beside the source, so that only the first run of a
version waits.

Out of scope: the loops.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def jit(function: F) -> F:
    """Compile for one thread; the lock of Python is released, so that threads run side by side."""
    return cast("F", numba.njit(cache=True, nogil=True)(function))


def parallel_jit(function: F) -> F:
    """Compile with `numba.prange` loops spread over all processors."""
    return cast("F", numba.njit(cache=True, nogil=True, parallel=True)(function))
