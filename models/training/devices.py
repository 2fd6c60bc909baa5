"""The device that a training runs on.

Out of scope: threads of a CPU (`threads`), encoders, which choose their own (`models.encode`).
"""

import torch

from models.training.errors import DeviceError


def training_device(name: str) -> torch.device:
    """The device of a name, on which torch can hold tensors here.

    Args:
        name: as torch calls it, such as "cpu", "cuda" or "cuda:1".

    Raises:
        DeviceError: torch knows no such device, or this machine has none.
    """
    try:
        return torch.empty(1, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DeviceError(
            f"device {name!r} cannot be trained on here with torch {torch.__version__} "
            f"({reason}): take device: cpu, or a machine and a build of torch that have it"
        ) from error
