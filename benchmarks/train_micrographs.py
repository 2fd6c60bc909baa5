"""Trains the networks for micrographs that come along, on all of EMPS and on phantoms.

How good such a network is on papers that it never saw, `mask_rcnn_emps.py` and
`star_convex_emps.py` say: same recipe, four folds to learn from. Here every paper is learnt from
but those that stop the training and choose the thresholds. With `--folder`, a training goes on
where it was, and one that is done is written again.
Out of scope: those scores; the network for slices of tomograms.
"""

import argparse
import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from common import REPOSITORY, RESULTS, Record, real_data
from emps_folds import read_scenes

WEIGHTS = REPOSITORY / "models" / "segment" / "weights"
PHANTOMS = 0.25
TOLD: Record = {
    "training_data": [
        {
            "name": "EMPS",
            "images": 162,
            "citation": "Yildirim & Cole, J. Chem. Inf. Model. 61, 1136 (2021)",
            "licence": "annotations MIT; the images are figures of the papers in sources.csv",
        },
        {
            "name": "phantoms",
            "share_of_patches": PHANTOMS,
            "licence": "made by this project: loose particles of any look, rods, grains of "
            "ceramics",
        },
    ],
    "backbone": "tf_efficientnet_lite0 with ImageNet weights (Apache-2.0)",
    "licence": "Apache-2.0",
}
USE = (
    "Instance labels of loose, touching and agglomerated particles in SEM and TEM images, the "
    "databar cut off. Not for X-ray slices; not a measurement without a look at the overlay."
)
DENSE = "Dense sintered surfaces: a part of the grains is found, those with a clear outline."
TEXTURE = "A few large objects in an image of fine texture: texture may be taken for particles."
SIZES = (
    "One typical size is assumed of an image: particles ten times smaller or larger than the "
    "median are missed. Give diameter_px where the estimate fails."
)


@dataclass(frozen=True, slots=True)
class Shipped:
    """One of the networks.

    Attributes:
        folder: name of it.
        module: benchmark that trains and scores it on folds, and the name of its results.
        artefacts: module that writes it.
        epochs: of 50 steps.
        told: for its card.
    """

    folder: str
    module: str
    artefacts: str
    epochs: int
    told: Record


METHODS = {
    "mask-rcnn": Shipped(
        "micrographs",
        "mask_rcnn_emps",
        "models.segment.mask_rcnn.artefact",
        32,
        {
            "title": "Particles in electron micrographs, by Mask R-CNN",
            "use": USE,
            **TOLD,
            "limits": [
                "Bundles of long rods: most rods that cross or lie side by side are missed, from "
                "about four times as long as wide.",
                "Outlines are drawn from 28 × 28 parts of a box: those of particles that fill "
                "half of the image are smooth.",
                "Without a particle in the image, what long scratches enclose, or a middle that is "
                "much brighter than the corners, may be taken for a large one.",
                SIZES,
                TEXTURE,
                DENSE,
            ],
        },
    ),
    "star-convex": Shipped(
        "micrographs-star-convex",
        "star_convex_emps",
        "models.segment.star_convex.artefact",
        18,
        {
            "title": "Particles in electron micrographs, star-convex",
            "use": USE,
            **TOLD,
            "limits": [
                "Shapes are star-convex: rods that bend, plates seen edge-on and fused necks come "
                "out rounded or cut.",
                "Long particles, from about twice as long as wide, come out in pieces: nanorods "
                "above all. Watershed does better there.",
                SIZES,
                TEXTURE,
                DENSE,
            ],
        },
    ),
}


def main() -> None:
    """Train, and write weights and card into the repository."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", choices=METHODS, default="mask-rcnn")
    parser.add_argument("--epochs", type=int, help="of 50 steps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="for checkpoints and the network")
    parser.add_argument("--out", type=Path, help="instead of the repository")
    arguments = parser.parse_args()
    shipped = METHODS[arguments.method]
    arguments.epochs = arguments.epochs or shipped.epochs
    arguments.fold, arguments.minutes, arguments.kind = None, 0.0, "encoder"
    torch.set_num_threads(arguments.threads)
    module: Any = importlib.import_module(shipped.module)
    scenes = read_scenes(real_data() / "emps")
    network, told = module.kept(arguments.folder) or module.learn(scenes, arguments)
    write(arguments.out or WEIGHTS / shipped.folder, shipped, network, told)


def write(folder: Path, shipped: Shipped, network: Any, told: Record) -> None:
    """Weights in 16 bits with a card that says where they are from and how good they are."""
    artefacts: Any = importlib.import_module(shipped.artefacts)
    told = {key: told[key] for key in told if key != "network"}
    card = {**shipped.told, **scores(shipped.module), **told}
    artefacts.save_artefact(folder, network, card, half=True)
    print(f"written to {folder}")


def scores(name: str) -> Record:
    """What the benchmark found with `--pool`, if it was run."""
    pooled = RESULTS / f"{name}.json"
    if not pooled.is_file():
        return {}
    return {"scores": json.loads(pooled.read_text(encoding="utf-8"))["rows"]}


if __name__ == "__main__":
    main()
