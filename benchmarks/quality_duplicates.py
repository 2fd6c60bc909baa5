"""Near-duplicates: copies of real images planted among all others, and what stands there already.

Each copy is re-encoded, brightened, cropped, resized or turned, encoded anew and looked for among
the images of three collections. Found pairs are compared with what is known: the original, and the
images that overlap with it.
Out of scope: speed on large stores but for the search of candidates.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
from common import COLLECTIONS, Record, publish, real_data, register_real

if TYPE_CHECKING:
    from graindex.candidates import ComparableImages
    from graindex.sketches import Sketches
    from graindex.store import Store

Grey = np.ndarray
Change = Callable[[Grey, np.random.Generator], Grey]


def reencoded(image: Grey, rng: np.random.Generator) -> Grey:
    """JPEG of quality 20 to 70."""
    coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 71))])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)


def brightened(image: Grey, rng: np.random.Generator) -> Grey:
    """Gain of 0.6 to 1.6, offset of −40 to 40 grey levels, and a gamma of 0.6 to 1.7."""
    gained = image * rng.uniform(0.6, 1.6) + rng.uniform(-40, 40)
    curved = 255 * (np.clip(gained, 0, 255) / 255) ** rng.uniform(0.6, 1.7)
    return np.rint(curved).astype(np.uint8)


def cropped(low: float, high: float) -> Change:
    """A change that keeps a share of the sides between `low` and `high`."""

    def crop(image: Grey, rng: np.random.Generator) -> Grey:
        height, width = (round(side * rng.uniform(low, high)) for side in image.shape)
        top = int(rng.integers(0, image.shape[0] - height + 1))
        left = int(rng.integers(0, image.shape[1] - width + 1))
        return np.ascontiguousarray(image[top : top + height, left : left + width])

    return crop


def resized(image: Grey, rng: np.random.Generator) -> Grey:
    """Sides of 0.4 to 0.8."""
    factor = rng.uniform(0.4, 0.8)
    return np.asarray(
        cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8
    )


def turned(image: Grey, rng: np.random.Generator) -> Grey:
    """Turned by 2 to 15 degrees and cut to what is covered."""
    height, width = image.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(2, 15), 1)
    return np.asarray(cv2.warpAffine(image, turn, (width, height)), np.uint8)[
        height // 6 : -height // 6, width // 6 : -width // 6
    ]


def everything(image: Grey, rng: np.random.Generator) -> Grey:
    """Cropped to 60 to 90 % of the sides, resized, brightened and re-encoded."""
    changed = image
    for change in (cropped(0.6, 0.9), resized, brightened, reencoded):
        changed = change(changed, rng)
    return changed


CHANGES: dict[str, Change] = {
    "re-encoded": reencoded,
    "brightened": brightened,
    "cropped to 50–90 % of the sides": cropped(0.5, 0.9),
    "cropped to 30–50 % of the sides": cropped(0.3, 0.5),
    "resized": resized,
    "turned": turned,
    "cropped, resized, brightened, re-encoded": everything,
}


def copies(store: "Store", images: "ComparableImages", each: int) -> list[Record]:
    """Plant copies of some images of each collection, one at a time."""
    from graindex.duplicates import duplicate_pairs
    from graindex.originals import load_content
    from graindex.sketches import Sketches

    known: dict[str, set[str]] = {key: {key} for key in images.ids}
    for one, other in duplicate_pairs(store):
        known[one].add(other)
        known[other].add(one)
    sketches = Sketches(images, store.limits)
    rng = np.random.default_rng(0)
    rows: list[Record] = []
    for dataset in COLLECTIONS:
        places = rng.choice(images.of(dataset), each, replace=False)
        for name, change in CHANGES.items():
            tally = {"candidate": 0, "found": 0, "pairs": 0, "wrong": 0}
            for place in places.tolist():
                copy = change(load_content(images.rows[place], store.limits), rng)
                candidate, found = look_for(store, images, sketches, place, copy)
                pairs = {images.ids[other] for other in found}
                tally["candidate"] += candidate
                tally["found"] += place in found
                tally["pairs"] += len(pairs)
                doubtful = [at for at in found if images.ids[at] not in known[images.ids[place]]]
                tally["wrong"] += sum(not overlap(sketches, place, at) for at in doubtful)
            rows.append(
                {
                    "collection": dataset,
                    "copies": name,
                    "planted": each,
                    "among candidates": tally["candidate"] / each,
                    "recall": tally["found"] / each,
                    "pairs found": tally["pairs"],
                    "of originals that do not overlap": tally["wrong"],
                }
            )
    return rows


def overlap(sketches: "Sketches", one: int, other: int) -> bool:
    """Whether two originals show the same place, which is easier to see than of their copies."""
    from models.measure.image_overlap import compare

    return compare(sketches[one], sketches[other]) is not None


def look_for(
    store: "Store",
    images: "ComparableImages",
    sketches: "Sketches",
    place: int,
    copy: Grey,
) -> tuple[bool, set[int]]:
    """Whether the original is a candidate of a copy, and the places of all images found for it."""
    from graindex.candidates import candidates
    from models.measure.image_overlap import compare, sketch

    vector = store.encoder.encode(copy)
    vector = (vector / np.linalg.norm(vector)).astype(np.float32)
    row = {**images.rows[place], "micrograph_id": "copy", "dataset": "copies", "sample_id": None}
    widened = replace(
        images,
        rows=[*images.rows, row],
        hashes=[*images.hashes, "copy"],
        vectors=np.vstack([images.vectors, vector]),
    )
    at = len(images.rows)
    likely = candidates(widened, [at])[at]
    made = sketch(copy)
    return place in likely, {other for other in likely if compare(made, sketches[other])}


def standing(store: "Store") -> list[Record]:
    """Pairs that the collections hold as they are."""
    rows: list[Record] = []
    for dataset in COLLECTIONS:
        pairs = store.read("near_duplicates", dataset).to_pylist()
        compared = store.read("compared_images", dataset)["candidate_count"].to_pylist()
        kinds = [pair["duplicate_kind"] for pair in pairs]
        rows.append(
            {
                "collection": dataset,
                "images": len(compared),
                "candidates looked at": sum(compared),
                **{kind: kinds.count(kind) for kind in ("exact", "near", "overlapping")},
            }
        )
    return rows


def search(counts: tuple[int, ...]) -> list[Record]:
    """Seconds to find the candidates of every image, and of one more, of made-up vectors."""
    from graindex.candidates import NEIGHBOURS
    from models.measure.similar_vectors import nearest

    rng = np.random.default_rng(0)
    rows: list[Record] = []
    for count in counts:
        vectors = rng.normal(size=(count, 1280)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        started = time.perf_counter()
        nearest(vectors[:1], vectors, NEIGHBOURS + 1)
        one = time.perf_counter() - started
        part = min(count, 4096)
        started = time.perf_counter()
        nearest(vectors[:part], vectors, NEIGHBOURS + 1)
        whole = (time.perf_counter() - started) * count / part
        rows.append({"images": count, "one more image s": one, "every image s": whole})
    return rows


def main() -> None:
    """Run and publish."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--each", type=int, default=20, help="copies of each kind and collection")
    parser.add_argument("--home", help="a home that holds the real collections; it is copied")
    asked = parser.parse_args()
    from graindex.candidates import comparable_images
    from graindex.duplicates import refresh_duplicates
    from graindex.store import init_store
    from orchestration.run import run_catalog

    with tempfile.TemporaryDirectory() as home:
        if asked.home is not None:
            shutil.copytree(asked.home, home, dirs_exist_ok=True)
        store = init_store(home)
        if asked.home is None:
            register_real(store, real_data())
            run_catalog(store, list(COLLECTIONS), "+key:micrograph_vectors")
        started = time.perf_counter()
        for dataset in COLLECTIONS:
            refresh_duplicates(store, dataset, author="benchmark")
        seconds = time.perf_counter() - started
        stand = standing(store)
        rows = copies(store, comparable_images(store), asked.each)
    publish("quality_duplicates_standing", "Pairs in the real collections", stand)
    more = {"seconds": seconds, "standing": stand}
    publish("quality_duplicates", "Copies planted among real images", rows, more)
    publish("quality_duplicates_search", "Search of candidates", search((10_000, 100_000)))


if __name__ == "__main__":
    main()
