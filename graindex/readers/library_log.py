"""What image libraries log while one thread reads one file, kept from the log and given back.

Out of scope: deciding what a message means.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

LOGGERS = ("tifffile", "rsciio.digitalmicrograph._api", "PIL.PngImagePlugin", "PIL.Image")

_capturing = threading.local()


@contextmanager
def captured_log() -> Iterator[list[str]]:
    """Collect the libraries' warnings and errors of this thread instead of logging them.

    Threads that are not inside the block log as ever.
    """
    outer: list[str] | None = getattr(_capturing, "messages", None)
    messages: list[str] = []
    _capturing.messages = messages
    try:
        yield messages
    finally:
        _capturing.messages = outer


def _keep(record: logging.LogRecord) -> bool:
    messages: list[str] | None = getattr(_capturing, "messages", None)
    if messages is None:
        return True
    if record.levelno >= logging.WARNING:
        messages.append(record.getMessage())
    return False


for _name in LOGGERS:
    logging.getLogger(_name).addFilter(_keep)
