"""Checkpoints of a training: a folder for each, of which a killed process leaves none half.

Out of scope: what is in them.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

_PREFIX = "epoch-"
_TENSORS, _STATE = "tensors.safetensors", "state.json"


def save_checkpoint(
    folder: Path, epoch: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]
) -> None:
    """Write a checkpoint, and then remove the ones before it.

    It is written beside and renamed when it is on disk.

    Args:
        folder: of this training's checkpoints.
        epoch: finished epochs.
        tensors: weights, moments.
        state: everything else, as JSON.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{_PREFIX}{epoch:06d}"
    scratch = folder / f".{target.name}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, scratch / _TENSORS)
    (scratch / _STATE).write_text(json.dumps(state), encoding="utf-8")
    for path in (scratch / _TENSORS, scratch / _STATE, scratch):
        _to_disk(path)
    if target.exists():
        shutil.rmtree(target)
    scratch.rename(target)
    _to_disk(folder)
    for old in _checkpoints(folder):
        if old != target:
            shutil.rmtree(old, ignore_errors=True)


def latest_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Tensors and state of the last finished epoch, None where there is no checkpoint."""
    found = _checkpoints(folder)
    if not found:
        return None
    state = json.loads((found[-1] / _STATE).read_text(encoding="utf-8"))
    return load_file(found[-1] / _TENSORS), state


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{_PREFIX}*")) if folder.is_dir() else []


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some file systems cannot for folders
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
