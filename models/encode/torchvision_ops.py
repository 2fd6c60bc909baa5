"""Lets torchvision, and so timm, be imported beside a build of torch that it was not compiled for.

Out of scope: kernels. `nms` and `roi_align` stay unusable where the compiled library does not load.
"""

import functools
import importlib.util
from pathlib import Path

import torch

_SCHEMA = "{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_OPERATORS = ("nms", "qnms")


@functools.cache
def declare_missing_operators() -> torch.library.Library | None:
    """Declare the operator schemas that `import torchvision` looks up, where they are missing.

    Beside a CPU-only torch the packaged torchvision cannot load its compiled operators, and its
    import fails with "operator torchvision::nms does not exist". A matching pair is left alone.
    Call before the first import of torchvision or timm; later calls do nothing.

    Returns:
        The fragment with the declarations, None where nothing was missing. The cache keeps it
        alive: the declarations would end with it.
    """
    if not _is_declared("nms"):
        _load_compiled_operators()
    missing = [name for name in _OPERATORS if not _is_declared(name)]
    if not missing:
        return None
    fragment = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name in missing:
        fragment.define(_SCHEMA.format(name=name))  # type: ignore[no-untyped-call]
    return fragment


def _is_declared(name: str) -> bool:
    return hasattr(torch.ops.torchvision, name)


def _load_compiled_operators() -> None:
    """Load torchvision's own library the way its import does, which also tolerates failure."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return
    for library in Path(spec.origin).parent.glob("_C.*"):
        try:
            torch.ops.load_library(library)  # type: ignore[no-untyped-call]
        except OSError:
            continue
