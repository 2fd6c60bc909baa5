"""OpenVINO without its telemetry: the one place that imports it.

Out of scope: networks; see `openvino_engine` and `conversion`.
"""

import functools
import sys

# OpenVINO reports its own import to an analytics service, asking nobody, unless this optional
# module is missing, for which it carries a stub. So this must run before its first import.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino as ov  # noqa: E402

__all__ = ["core", "ov"]


@functools.cache
def core() -> ov.Core:
    """The process's OpenVINO runtime."""
    return ov.Core()
