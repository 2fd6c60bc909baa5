"""Pairs of images that may show the same: neighbours by their vectors, and within one specimen.

Out of scope: looking at the pairs (`graindex.duplicates`).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graindex.derive import pixels_hash
from graindex.files import sha256
from graindex.records import Record
from models.measure.similar_vectors import nearest

if TYPE_CHECKING:
    from graindex.store import Store

Floats = npt.NDArray[np.float32]

NEIGHBOURS = 48
"""Most similar images that each image is compared with; and of its own specimen as many again."""

LEAST_SIMILARITY = 0.5
"""Cosine below which only images of one specimen are compared: there magnifications differ most.
Of copies, one in ten that keeps less than half of the sides is below it, and hardly any other."""

_COLUMNS = (
    "dataset",
    "micrograph_id",
    "sample_id",
    "path",
    "uri",
    "page",
    "content_hash",
    "file_format",
    "colour_mode",
    "bits_used",
    "content_x0_px",
    "content_y0_px",
    "content_x1_px",
    "content_y1_px",
)


@dataclass(frozen=True, eq=False)
class ComparableImages:
    """Images of a store that have a vector of their present pixels.

    Attributes:
        rows: columns of `micrographs` that comparing needs, by collection and path.
        hashes: what decides the grey values of each image's content.
        vectors: (N, D) float32, rows of length 1.
        encoder_id: of the vectors.
    """

    rows: Sequence[Record]
    hashes: Sequence[str]
    vectors: Floats
    encoder_id: str

    @cached_property
    def ids(self) -> list[str]:
        """`micrograph_id` of each."""
        return [str(row["micrograph_id"]) for row in self.rows]

    @cached_property
    def datasets(self) -> list[str]:
        """Collection of each."""
        return [str(row["dataset"]) for row in self.rows]

    @cached_property
    def place(self) -> dict[str, int]:
        """Where an image stands, by `micrograph_id`."""
        return {key: place for place, key in enumerate(self.ids)}

    def of(self, dataset: str) -> list[int]:
        """Where a collection's images stand."""
        return [place for place, name in enumerate(self.datasets) if name == dataset]

    def similarity(self, place: int, other: int) -> float:
        """Cosine similarity of two images' vectors, −1…1."""
        product = self.vectors[place].astype(np.float64) * self.vectors[other]
        return float(np.clip(product.sum(), -1, 1))

    def comparison_hash(self, place: int) -> str:
        """Hash of what an image's comparisons rest on."""
        return sha256(self.hashes[place], self.encoder_id)


def comparable_images(store: "Store", dataset: str | None = None) -> ComparableImages:
    """Every image of a store, or of one collection, that can be compared."""
    rows = store.lake.read("micrographs", dataset, columns=_COLUMNS).to_pylist()
    rows.sort(key=lambda row: (row["dataset"], row["path"], row["page"]))
    encoder_id = store.encoder_id
    name = store.settings.encoder.vector_table
    vectors: dict[str, dict[str, tuple[str, Floats]]] = {
        collection: _vectors(store, name, collection, encoder_id)
        for collection in dict.fromkeys(row["dataset"] for row in rows)
    }
    chosen: list[Record] = []
    hashes: list[str] = []
    found: list[Floats] = []
    for row in rows:
        made_of, vector = vectors[row["dataset"]].get(row["micrograph_id"], ("", None))
        now = pixels_hash(row)
        if vector is not None and made_of == now:
            chosen.append(row)
            hashes.append(now)
            found.append(vector)
    matrix = np.stack(found) if found else np.zeros((0, 1), np.float32)
    return ComparableImages(chosen, hashes, matrix, encoder_id)


def _vectors(
    store: "Store", name: str, dataset: str, encoder_id: str
) -> dict[str, tuple[str, Floats]]:
    """Hash of the pixels that each vector was made of, and the vector, by `micrograph_id`."""
    columns = ("micrograph_id", "encoder_id", "input_hash", "vector")
    rows: pa.Table = store.vectors.read(name, dataset, columns)
    ours = rows.filter(pc.equal(rows["encoder_id"], encoder_id)).combine_chunks()
    if not ours.num_rows:
        return {}
    flat = pc.list_flatten(ours["vector"]).to_numpy()
    matrix = np.asarray(flat, np.float32).reshape(ours.num_rows, -1)
    keys, hashes = ours["micrograph_id"].to_pylist(), ours["input_hash"].to_pylist()
    return {
        key: (made_of, vector) for key, made_of, vector in zip(keys, hashes, matrix, strict=True)
    }


def candidates(images: ComparableImages, todo: Sequence[int]) -> dict[int, list[int]]:
    """For each of some images, by place, the places of those it should be compared with."""
    found: dict[int, set[int]] = {place: set() for place in todo}
    everything = np.arange(len(images.rows))
    _add(found, images.vectors, np.asarray(todo, np.intp), everything, LEAST_SIMILARITY)
    for places in _specimens(images):
        asked = np.array([place for place in places if place in found], np.intp)
        _add(found, images.vectors, asked, np.array(places), -np.inf)
    return {place: sorted(others - {place}) for place, others in found.items()}


def _specimens(images: ComparableImages) -> Iterable[list[int]]:
    """Places of the images of each specimen that has several."""
    shared: dict[tuple[object, object], list[int]] = defaultdict(list)
    for place, row in enumerate(images.rows):
        if row["sample_id"] is not None:
            shared[row["dataset"], row["sample_id"]].append(place)
    return (places for places in shared.values() if len(places) > 1)


def _add(
    found: dict[int, set[int]],
    vectors: Floats,
    asked: npt.NDArray[np.intp],
    among: npt.NDArray[np.intp],
    least: float,
) -> None:
    """Add the neighbours of the asked ones among others; each finds itself too."""
    if not len(asked):
        return
    rows, columns, _ = nearest(vectors[asked], vectors[among], NEIGHBOURS + 1, least)
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        found[int(asked[row])].add(int(among[column]))
