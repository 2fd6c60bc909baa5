"""Training sets for PyTorch: images or features by row, loaded by spawned workers.

Workers are never forked: LanceDB and DuckDB hold threads and locks that a fork leaves in a state
in which it waits for ever. Out of scope: networks (`models`) and augmentation beyond a hook.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from graindex.errors import InputError
from graindex.originals import load_content
from graindex.readers.frame import Limits
from graindex.training.training_set import TrainingSet

if TYPE_CHECKING:
    from graindex.features.fitting import FittedFeatures
    from graindex.store import Store

Content = Literal["images", "features"]
Transform = Callable[[torch.Tensor, torch.Generator], torch.Tensor]
Item = tuple[torch.Tensor, torch.Tensor, str]
Draw = tuple[int, int]
_PIXELS = (
    "uri", "path", "content_hash", "page", "file_format", "colour_mode", "bits_used",
    "content_x0_px", "content_y0_px", "content_x1_px", "content_y1_px",
)  # fmt: skip


class TrainingData(Dataset[Item]):
    """Rows of a training set as items ``(content, label, id)``.

    Content is an image, (1, Y, X) float32 from 0 to 1, its databar left out; or a row of features,
    (D,) float32. A label is a float32 number, or the int64 place of its class in `classes`.

    An item may be asked for by its number, or by ``(epoch, number)`` as `loader` does: a transform
    then draws from random numbers of seed, epoch and number, whichever worker runs it.

    Attributes:
        classes: texts of the labels in order; empty where labels are numbers.
        ids: entity of each item.
    """

    def __init__(
        self,
        store: "Store",
        training_set: TrainingSet,
        content: Content = "images",
        *,
        rows: npt.NDArray[np.bool_] | None = None,
        fitted: "FittedFeatures | None" = None,
        shape_px: tuple[int, int] | None = None,
        transform: Transform | None = None,
        seed: int = 0,
    ) -> None:
        """Name the rows; pixels are read when an item is asked for.

        Args:
            store: the store that the training set is of.
            training_set: rows, labels and features.
            content: what an item shows.
            rows: which rows, as a mask; all when None.
            fitted: normalises and selects the features; raw ones when None.
            shape_px: (Y, X) that every image is scaled to by area; as they are when None, which
                batches of more than one need equal sizes for.
            transform: changes the content, by random numbers of its own.
            seed: of these.

        Raises:
            InputError: images of a training set whose rows are not images.
        """
        chosen = np.ones(len(training_set), np.bool_) if rows is None else rows
        self.classes = training_set.classes
        self.ids: list[str] = training_set.rows["entity_id"].filter(pa.array(chosen)).to_pylist()
        self._labels = _labels(training_set)[chosen]
        self._images = _images(store, training_set, self.ids) if content == "images" else None
        self._features = (
            training_set.matrix(fitted)[chosen].astype(np.float32)
            if content == "features"
            else None
        )
        self._limits = store.limits
        self._shape_px, self._transform, self._seed = shape_px, transform, seed
        self._process = os.getpid()

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, draw: "int | Draw") -> Item:
        """One item.

        Raises:
            InputError: the worker was forked.
            OriginalError: the image is gone, or not the one that was catalogued.
            IndexError: there is no such row.
        """
        if os.getpid() != self._process:
            message = (
                "a worker that loads the training set was forked, which may wait for ever: use "
                "graindex.training.torch_data.loader, or multiprocessing_context='spawn'"
            )
            raise InputError(message)
        epoch, place = draw if isinstance(draw, tuple) else (0, draw)
        content = self._content(place)
        if self._transform is not None:
            content = self._transform(content, _generator(self._seed, epoch, place))
        return content, torch.from_numpy(self._labels[place : place + 1])[0], self.ids[place]

    def _content(self, place: int) -> torch.Tensor:
        if self._features is not None:
            return torch.from_numpy(self._features[place].copy())
        assert self._images is not None
        row = self._images.slice(place, 1).to_pylist()[0]
        return _as_tensor(row, self._limits, self._shape_px)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_process"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Only a spawned worker unpickles; a forked one keeps the number of its parent.
        self.__dict__.update(state, _process=os.getpid())


class EpochSampler(Sampler[Draw]):
    """Order of the items in each epoch, the same for the same seed, as ``(epoch, number)``."""

    def __init__(self, count: int, *, shuffle: bool, seed: int) -> None:
        self._count, self._shuffle, self._seed = count, shuffle, seed
        self.epoch = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Draw]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        order: Sequence[int] = range(self._count)
        if self._shuffle:
            numbers = torch.randperm(self._count, generator=_generator(self._seed, epoch, -1))
            order = numbers.tolist()
        return iter([(epoch, place) for place in order])


def loader(
    data: TrainingData,
    *,
    batch_size: int = 16,
    workers: int = 2,
    shuffle: bool = False,
    seed: int = 0,
    drop_last: bool = False,
) -> DataLoader[Item]:
    """Batches of a training set, the same for the same seed whatever the number of workers.

    Args:
        data: the items.
        batch_size: items in a batch.
        workers: processes that load; 0 loads in this one. They are spawned, which means that the
            main module of a script must guard its work by ``if __name__ == "__main__"``.
        shuffle: draw the items in another order in each epoch.
        seed: of the order.
        drop_last: leave out a last batch that is smaller.

    Returns:
        A loader of ``(contents, labels, ids)``; its workers stay for the next epoch.
    """
    return DataLoader(
        data,
        batch_size=batch_size,
        sampler=EpochSampler(len(data), shuffle=shuffle, seed=seed),
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
        persistent_workers=workers > 0,
        drop_last=drop_last,
        generator=torch.Generator().manual_seed(seed),
    )


def _generator(seed: int, epoch: int, place: int) -> torch.Generator:
    mixed = np.random.SeedSequence([seed, epoch, place + 1]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(mixed[0]) >> 1)


def _labels(training_set: TrainingSet) -> npt.NDArray[Any]:
    if not training_set.classes:
        return np.asarray(training_set.target, np.float32)
    return np.searchsorted(np.array(training_set.classes), training_set.target).astype(np.int64)


def _images(store: "Store", training_set: TrainingSet, ids: Sequence[str]) -> pa.Table:
    """What is needed to read the image of each item, as it stood at the set's snapshot.

    Raises:
        InputError: the rows are not images.
    """
    if training_set.kind != "micrograph":
        message = (
            f"rows of {training_set.request.feature_set} are of a {training_set.kind}, not of an "
            "image: ask for content='features'"
        )
        raise InputError(message)
    rows = store.lake.read(
        "micrographs", columns=("micrograph_id", *_PIXELS), as_of=training_set.lake_snapshot
    )
    places = {key: place for place, key in enumerate(rows["micrograph_id"].to_pylist())}
    return rows.take([places[key] for key in ids]).combine_chunks()


def _as_tensor(
    row: dict[str, object], limits: Limits, shape_px: tuple[int, int] | None
) -> torch.Tensor:
    grey = load_content(row, limits)
    if shape_px is not None:
        height, width = shape_px
        grey = np.asarray(cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return torch.from_numpy(grey.astype(np.float32) / 255)[None]
