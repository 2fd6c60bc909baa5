"""The same function over many items, in threads, results as they come.

Out of scope: processes; the heavy work here releases Python's lock.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

from models.processors import processors

T = TypeVar("T")
R = TypeVar("R")


def in_threads(
    function: Callable[[T], R],
    items: Iterable[T],
    *,
    expected: tuple[type[Exception], ...],
    workers: int | None = None,
) -> Iterator[tuple[T, R | Exception]]:
    """Yield each item with its result, or with its exception where that was `expected`.

    At most a few items per worker are under way, so memory does not grow with their number.

    Raises:
        Exception: any that `function` raised and that was not expected.
    """
    workers = workers or processors()
    source = iter(items)
    with ThreadPoolExecutor(workers) as pool:
        pending: dict[Future[R], T] = {
            pool.submit(function, item): item for item in islice(source, 3 * workers)
        }
        try:
            while pending:
                done, _ = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    item = pending.pop(future)
                    error = future.exception()
                    if error is not None and not isinstance(error, expected):
                        raise error
                    yield item, error if isinstance(error, Exception) else future.result()
                    for following in islice(source, 1):
                        pending[pool.submit(function, following)] = following
        finally:
            for future in pending:
                future.cancel()
