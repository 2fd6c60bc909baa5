"""Epochs of a training: the best is kept, each is written down, an interrupted one goes on.

Out of scope: what an epoch does, what is better (each network says so).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from torch import Tensor

from models.training.checkpoint import latest_checkpoint, save_checkpoint
from models.training.errors import CheckpointError


class Resumable(Protocol):
    """The moving parts of a training."""

    def keep(self) -> None:
        """Remember the weights as the best so far."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """Everything that the next epoch depends on."""
        ...

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go back to where `tensors` was called."""
        ...


Record = TypeVar("Record")
"""Of an epoch: a dataclass of numbers."""

Network = TypeVar("Network")


@dataclass(frozen=True, slots=True, eq=False)
class Trained(Generic[Network, Record]):
    """What a training gave.

    Attributes:
        network: with the weights of the best epoch, in evaluation mode.
        curve: a record for each epoch.
        best_epoch: counted from 1.
    """

    network: Network
    curve: tuple[Record, ...]
    best_epoch: int


@dataclass(frozen=True, slots=True)
class Stopping(Generic[Record]):
    """When a training ends.

    Attributes:
        epochs: at most.
        patience: epochs without a better one after which it ends.
        best: number of the best epoch of a curve, from 1.
    """

    epochs: int
    patience: int
    best: Callable[[Sequence[Record]], int]

    def ended(self, curve: Sequence[Record]) -> bool:
        """Whether there is no epoch after these."""
        if len(curve) >= self.epochs:
            return True
        return len(curve) > 0 and len(curve) - self.best(curve) >= self.patience


@dataclass(frozen=True, slots=True)
class Kept(Generic[Record]):
    """Where a training is kept while it runs.

    Attributes:
        folder: of its checkpoints.
        identity: of images, network and options; a checkpoint of others is not gone on from.
        records: of epochs, read back from JSON.
    """

    folder: Path
    identity: str
    records: Callable[[Sequence[Mapping[str, Any]]], list[Record]]

    def resume(self, parts: Resumable) -> list[Record]:
        """The curve so far, with the parts as they were then.

        Raises:
            CheckpointError: the checkpoint is of another training.
        """
        found = latest_checkpoint(self.folder)
        if found is None:
            return []
        tensors, state = found
        if state.get("identity") != self.identity:
            raise CheckpointError(
                f"the checkpoint in {self.folder} is of a training with other images or options: "
                "give another folder"
            )
        parts.restore(tensors)
        return self.records(state["curve"])

    def save(self, parts: Resumable, curve: Sequence[Any]) -> None:
        """Write a checkpoint after an epoch."""
        state = {"identity": self.identity, "curve": [asdict(record) for record in curve]}
        save_checkpoint(self.folder, len(curve), parts.tensors(), state)


def run_epochs(
    parts: Resumable,
    epoch: Callable[[int], Record],
    stopping: Stopping[Record],
    *,
    kept: Kept[Record] | None = None,
    progress: Callable[[Record], None] | None = None,
) -> list[Record]:
    """Run a training to its end, from its last checkpoint if there is one.

    Args:
        parts: what is trained.
        epoch: trains for the epoch of a number, from 1, and tells about it.
        stopping: when to stop.
        kept: where it is kept; None: nowhere.
        progress: told about each epoch, when its checkpoint is written.

    Returns:
        A record for each epoch.

    Raises:
        CheckpointError: the checkpoint is of another training.
    """
    curve = kept.resume(parts) if kept is not None else []
    while not stopping.ended(curve):
        record = epoch(len(curve) + 1)
        curve.append(record)
        if stopping.best(curve) == len(curve):
            parts.keep()
        if kept is not None:
            kept.save(parts, curve)
        if progress is not None:
            progress(record)
    return curve
