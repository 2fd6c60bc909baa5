"""What confidences of particles in volumes are worth: Platt calibration on phantom volumes.

The volumes are of seeds that the network did not learn from and that `view_fusion.py` does not
score; kinds are its four and any (`draw_volume`). Each volume is once left out and foretold by the
others. `--ship` writes the calibrations to the network's card.
Out of scope: calibration in images (`train_slices.py`), how good a method is (`view_fusion.py`).
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from common import Record, publish
from view_fusion import CUBIC, SECTIONS, SEED, network, phantoms

FIRST = SEED + 200_000
DRAWN = 6
WEAK = 0.05  # confidence from which on particles are looked at, before calibration

Found = tuple[np.ndarray, np.ndarray]


def main() -> None:
    """Find, compare, fit, publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", type=Path, default=SECTIONS, help="folder of the artefact")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--methods", nargs="*", help="some alone")
    parser.add_argument("--ship", action="store_true", help="write to the network's card")
    arguments = parser.parse_args()
    ways = methods(arguments)
    looked: dict[str, list[Found]] = {name: [] for name in ways}
    for number, volume in enumerate(volumes()):
        for name, find in ways.items():
            labels, confidence = find(volume.grey)
            right = true_ones(volume.labels, labels, len(confidence))
            looked[name].append((confidence, right))
            print(f"volume {number}, {name}: {right.sum()} of {len(right)} right", flush=True)
    worth = {}
    for name, found in looked.items():
        row, worth[name] = summary(name, found)
        title = f"Confidences of particles in volumes by {name}"
        publish(f"calibrate_{name.replace('-', '_')}", title, [row], {"fit": worth[name]})
    if arguments.ship:
        path = arguments.network / "card.json"
        card = json.loads(path.read_text(encoding="utf-8"))
        card["volume_calibration"] = card.get("volume_calibration", {}) | worth
        path.write_text(json.dumps(card, indent=1, ensure_ascii=False), encoding="utf-8")


def volumes() -> Iterator[Any]:
    """Phantoms with their truth."""
    from models.segment.star_convex.slices import draw_volume

    for _, made in phantoms(1, FIRST):
        yield made
    for number in range(DRAWN):
        yield draw_volume(FIRST + number)


def methods(arguments: argparse.Namespace) -> dict[str, Callable[[np.ndarray], Found]]:
    """What finds particles, sure ones or not, by name."""
    from models.segment.view_fusion.linked import segment_slices
    from models.segment.view_fusion.options import FusionOptions, SliceOptions
    from models.segment.view_fusion.volume import segment_volume

    forward, config = network(arguments)
    weak = replace(FusionOptions(), confidence=WEAK)
    usual = SliceOptions()
    weak_links = replace(usual, links=replace(usual.links, confidence=WEAK))

    def fused(grey: np.ndarray) -> Found:
        found = segment_volume(forward, config, grey, spacing_um=CUBIC, options=weak)
        return found.labels, found.confidence

    def linked(grey: np.ndarray) -> Found:
        found = segment_slices(forward, config, grey, spacing_um=CUBIC, options=weak_links)
        return found.labels, found.confidence

    ways = {"view-fusion": fused, "slice-linking": linked}
    return {name: ways[name] for name in arguments.methods or ways}


def true_ones(truth: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """Whether each particle shares half of its union with a true one."""
    from models.measure.matching import matched_pairs
    from models.measure.matching_overlap import label_overlap

    right = np.zeros(count, bool)
    right[matched_pairs(label_overlap(truth, labels))[0][:, 1] - 1] = True
    return right


def summary(name: str, found: list[Found]) -> tuple[Record, list[float]]:
    """How well volumes that were left out are foretold, and the fit to all."""
    from models.segment.star_convex.confidence import calibrate

    told, seen = [], []
    for number, (confidence, right) in enumerate(found):
        others = [pair for place, pair in enumerate(found) if place != number]
        fit = calibrate(*(np.concatenate(parts) for parts in zip(*others, strict=True)))
        told.append(fit.confidence(confidence))
        seen.append(right)
    expected, right = np.concatenate(told), np.concatenate(seen)
    fit = calibrate(np.concatenate([pair[0] for pair in found]), right)
    bins = np.clip((expected * 5).astype(int), 0, 4)
    error = sum(
        abs(expected[bins == place].sum() - right[bins == place].sum()) for place in range(5)
    )
    row = {
        "method": name,
        "volumes": len(found),
        "particles": len(right),
        "right": float(right.mean()),
        "expected": float(expected.mean()),
        "error in fifths": float(error / len(right)),
        "Brier": float(((expected - right) ** 2).mean()),
        "Brier of the share": float(right.mean() * (1 - right.mean())),
        "half right at": float(fit.probability(0.5)),
        "nine of ten at": float(fit.probability(0.9)),
    }
    return row, [fit.slope, fit.intercept]


if __name__ == "__main__":
    main()
