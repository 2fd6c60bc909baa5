"""EMPS as it is on disk: images, masks drawn by hand, and five folds that part no source paper.

The folds are fixed by `sources.csv` alone: papers in the order of their number of images, most
first, then of their DOI, each to the fold that has the fewest images so far, the first among
equals. A network for the images of fold k is trained on the other four; what it is tuned on must
come from those as well.
Out of scope: methods and measures (`emps.py`).
"""

import csv
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

FOLDS = 5
Grey = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One image of EMPS.

    Attributes:
        number: its place among the names in order, from 0.
        name: of its files, without the suffix.
        paper: DOI of the paper that it is from.
        fold: 0 … 4.
        grey: (Y, X) uint8.
        truth: (Y, X) uint16, 0 is background.
    """

    number: int
    name: str
    paper: str
    fold: int
    grey: Grey
    truth: npt.NDArray[np.uint16]


def paper_folds(sources: Iterable[tuple[str, str]], folds: int = FOLDS) -> dict[str, int]:
    """Fold of each image: all images of a paper in one, the folds as equal as that allows.

    Args:
        sources: image and paper, in any order.
        folds: how many.
    """
    images: dict[str, list[str]] = defaultdict(list)
    for image, paper in sources:
        images[paper].append(image)
    sizes, fold_of = [0] * folds, {}
    for paper in sorted(images, key=lambda paper: (-len(images[paper]), paper)):
        fold = sizes.index(min(sizes))
        sizes[fold] += len(images[paper])
        fold_of |= dict.fromkeys(images[paper], fold)
    return fold_of


def read_sources(folder: Path) -> list[tuple[str, str]]:
    """Image and paper of every line of `sources.csv`."""
    with (folder / "sources.csv").open(encoding="utf-8", newline="") as file:
        return [(row["image"], row["doi"]) for row in csv.DictReader(file)]


def read_scenes(folder: Path) -> list[Scene]:
    """Every image with its mask and fold, in the order of the names.

    Args:
        folder: holds `images/`, `segmaps/` and `sources.csv`.
    """
    from graindex.readers.images import read_frames

    sources = read_sources(folder)
    fold_of, paper_of = paper_folds(sources), dict(sources)
    scenes = []
    for number, path in enumerate(sorted((folder / "images").glob("*.png"))):
        grey = read_frames(path.read_bytes(), path.name)[0].pixels
        truth = cv2.imread(str(folder / "segmaps" / path.name), cv2.IMREAD_UNCHANGED)
        name = path.stem
        scenes.append(Scene(number, name, paper_of[name], fold_of[name], grey, truth))
    return scenes
