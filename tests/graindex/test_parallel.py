import threading
import time

import pytest

from graindex.parallel import in_threads
from models.processors import processors


def test_every_item_comes_once_with_its_result():
    found = dict(in_threads(lambda n: n * n, range(100), expected=()))
    assert found == {n: n * n for n in range(100)}
    assert list(in_threads(str, [], expected=())) == []


def test_expected_errors_are_results():
    def half(n):
        if n % 2:
            raise KeyError(n)
        return n

    found = dict(in_threads(half, range(10), expected=(LookupError,)))
    assert [found[n] for n in range(0, 10, 2)] == list(range(0, 10, 2))
    assert all(isinstance(found[n], KeyError) for n in range(1, 10, 2))


def test_an_unexpected_error_ends_the_work():
    done = []

    def fail(n):
        if n == 5:
            raise ZeroDivisionError
        time.sleep(0.001)
        done.append(n)
        return n

    with pytest.raises(ZeroDivisionError):
        list(in_threads(fail, range(1000), expected=(LookupError,), workers=2))
    assert len(done) < 100


def test_few_items_are_taken_ahead():
    taken = []

    def items():
        for n in range(1000):
            taken.append(n)
            yield n

    stream = in_threads(lambda n: n, items(), expected=(), workers=2)
    for count, _ in enumerate(stream, start=1):
        assert len(taken) <= count + 3 * 2
        if count == 50:
            break
    stream.close()
    assert len(taken) < 100


def test_work_runs_side_by_side():
    barrier = threading.Barrier(3, timeout=20)
    assert len(list(in_threads(lambda n: barrier.wait(), range(3), expected=(), workers=3))) == 3


def test_there_is_a_processor():
    assert processors() >= 1
