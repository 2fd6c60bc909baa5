"""Threads of torch, for as long as something runs.

Out of scope: threads of linear algebra (`models.learn.learner.one_thread`).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Run torch on some threads of the CPU, and then on as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
