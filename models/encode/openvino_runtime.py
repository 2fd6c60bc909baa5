"""OpenVINO without its telemetry: the one place that imports it.

Out of scope: networks; see `openvino_engine` and `conversion`.
"""

import functools
import sys
import tempfile
from pathlib import Path

# OpenVINO reports its own import to an analytics service, asking nobody, unless this optional
# module is missing, for which it carries a stub. So this must run before its first import.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino as ov  # noqa: E402

# OpenVINO opens NumPy's C interface when a first array reaches it, behind a guard that two threads
# deadlock on: one waits for the guard with Python's lock held, the other for the lock inside the
# guard. Opened here, it is open before any thread starts. Without this line 5 of 12 processes whose
# threads began at the same moment hung (OpenVINO 2026.4, 2026-11).
ov.Type.u8.to_dtype()

__all__ = ["core", "keep_model", "ov"]


@functools.cache
def core() -> ov.Core:
    """The process's OpenVINO runtime."""
    return ov.Core()


def keep_model(model: ov.Model, folder: Path) -> None:
    """Write `network.xml` in a folder; beside it first, so that no process reads half a network."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        written = Path(scratch) / "network"
        written.mkdir()
        ov.save_model(model, written / "network.xml", compress_to_fp16=False)
        try:
            written.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was first, with the same network
                raise
