"""How far long work has come, told to a function that the caller gives.

Out of scope: who listens in a store (`graindex.progress`), how it is drawn.
"""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Told how much is done, and how much there is in all."""


class Counter:
    """Counts equal pieces of work for the caller's progress.

    Args:
        progress: told after each piece; None: nobody.
        total: how many there are.
    """

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def __call__(self) -> None:
        """One more is done."""
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total)
