"""Trains the network for micrographs that comes along, on all of EMPS and on phantoms.

How good such a network is on papers that it never saw, `star_convex_emps.py` says: same recipe,
four folds to learn from. Here every paper is learnt from but those that stop the training and
choose the thresholds. With `--folder`, a training goes on where it was, and one that is done is
written again.
Out of scope: those scores; the network for slices of tomograms.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from common import REPOSITORY, RESULTS, Record, real_data
from emps_folds import read_scenes
from star_convex_emps import kept, learn

SHIPPED = REPOSITORY / "models" / "segment" / "weights" / "micrographs"
TOLD: Record = {
    "title": "Particles in electron micrographs",
    "use": "Instance labels of loose, touching and agglomerated particles in SEM and TEM images, "
    "the databar cut off. Not for X-ray slices; not a measurement without a look at the overlay.",
    "training_data": [
        {
            "name": "EMPS",
            "images": 162,
            "citation": "Yildirim & Cole, J. Chem. Inf. Model. 61, 1136 (2021)",
            "licence": "annotations MIT; the images are figures of the papers in sources.csv",
        },
        {
            "name": "phantoms",
            "share_of_patches": 0.2,
            "licence": "made by this project: loose particles of any look, grains of ceramics",
        },
    ],
    "backbone": "tf_efficientnet_lite0 with ImageNet weights (Apache-2.0)",
    "licence": "Apache-2.0",
    "limits": [
        "Shapes are star-convex: rods that bend, plates seen edge-on and fused necks come out "
        "rounded or cut.",
        "Long particles, from about twice as long as wide, come out in pieces: nanorods above all. "
        "Watershed does better there.",
        "One typical size is assumed of an image: particles ten times smaller or larger than the "
        "median are missed. Give diameter_px where the estimate fails.",
        "A few large objects in an image of fine texture: texture may be taken for particles.",
        "Dense sintered surfaces: a part of the grains is found, those with a clear outline.",
    ],
}


def main() -> None:
    """Train, and write weights and card into the repository."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=18, help="of 50 steps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="for checkpoints and the network")
    parser.add_argument("--out", type=Path, default=SHIPPED)
    arguments = parser.parse_args()
    arguments.fold, arguments.minutes, arguments.kind = None, 0.0, "encoder"
    torch.set_num_threads(arguments.threads)
    scenes = read_scenes(real_data() / "emps")
    network, told = kept(arguments.folder) or learn(scenes, arguments)
    write(arguments.out, network, told)


def write(folder: Path, network: Any, told: Record) -> None:
    """Weights in 16 bits with a card that says where they are from and how good they are."""
    from models.segment.star_convex.artefact import save_artefact

    card = {**TOLD, **scores(), **{key: told[key] for key in told if key != "network"}}
    save_artefact(folder, network, card, half=True)
    print(f"written to {folder}")


def scores() -> Record:
    """What `star_convex_emps.py --pool` found, if it was run."""
    pooled = RESULTS / "star_convex_emps.json"
    if not pooled.is_file():
        return {}
    return {"scores": json.loads(pooled.read_text(encoding="utf-8"))["rows"]}


if __name__ == "__main__":
    main()
