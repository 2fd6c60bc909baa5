"""View fusion of sections against single directions, slice linking and watershed, on phantoms.

Volumes are of seeds and kinds that the network was neither trained nor validated on; watershed is
tuned on the volumes that validated the network. Truth is whole particles, cracks included.
Out of scope: training (`train_slices.py`).
"""

import argparse
import hashlib
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import REPOSITORY, Record, publish, real_data

SECTIONS = REPOSITORY / "models" / "segment" / "weights" / "sections"
SEED = 500_000
SHAPE = (112, 160, 160)
VOXEL_UM = 0.35
CUBIC = (VOXEL_UM,) * 3
SIDES = (128, 256, 512)
WIDE_UM = 14.0  # diameter of particles of the volumes that are timed: 40 voxels
SLICE = "nmc_tomography/nmc_holotomography_slice_xy.tif"
TUNED = {"min_diameter_px": 6, "threshold": "otsu", "neck": 0.8, "closing_px": 2}
SIX = ("precision", "sensitivity", "jaccard", "dice", "f_measure", "matthews")

Segment = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    """Score, time, publish; or draw the real slice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", type=Path, default=SECTIONS, help="folder of the artefact")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--volumes", type=int, default=1, help="of each kind")
    parser.add_argument("--methods", nargs="*", help="some alone, such as 'slice linking'")
    parser.add_argument("--sides", nargs="*", type=int, default=SIDES, help="of timed volumes")
    parser.add_argument("--tune", action="store_true", help="tune watershed anew: minutes")
    parser.add_argument("--no-times", action="store_true", help="scores alone")
    parser.add_argument("--overlay", type=Path, help="PNG of the real slice; nothing else is done")
    parser.add_argument("--time", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.overlay:
        draw_real_slice(arguments)
        return
    if arguments.time:
        print(json.dumps(time_one(arguments)))
        return
    rows, six = score(arguments)
    times = [] if arguments.no_times else [timed(side, arguments) for side in arguments.sides]
    more = {"six measures": six, "times": times}
    publish("view_fusion", "Phantom volumes never trained on, overlap over union 0.5", rows, more)
    publish("view_fusion_six", "Foreground per slice, mean and standard deviation", six)
    if times:
        publish("view_fusion_times", "Time and memory of whole volumes", times)


def kinds() -> dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """What is changed of electrode, tomograph and look, by kind of volume."""
    from models.phantoms.cracks import DamageLaw

    cracked = DamageLaw(level=0.11, depth_slope=0.3, size_slope=0.2, coupling=0.6, noise=0.15)
    return {
        "cracked": ({"damage": cracked, "crack_opening_um": 0.9, "open_crack_share": 0.5}, {}, {}),
        "touching": (
            {"solid_fraction": 0.55, "diameter_um": 7.2, "diameter_spread": 0.25},
            {"blur_voxels": 1.2},
            {},
        ),
        "noise": (
            {"damage": cracked, "solid_fraction": 0.48},
            {"noise_std": 0.28, "ring_share": 0.08, "ring_std": 0.12},
            {"edge": 0.95},
        ),
        "low contrast": (
            {"damage": cracked, "solid_fraction": 0.45, "binder_fraction": 0.4},
            {"densities": (0.5, 1.3, 0.85, 1.05), "noise_std": 0.12, "particle_std": 0.08},
            {"streaks": 0.08, "shading": 0.1},
        ),
    }


def phantoms(volumes: int, first: int = SEED) -> Iterator[tuple[str, Any]]:
    """Kind and volume, so many of each kind from a seed on."""
    from models.phantoms.electrode_config import ElectrodePhantom
    from models.phantoms.tomography import Tomograph
    from models.segment.star_convex.slices import Look, phantom_volume

    for (kind, changed), number in itertools.product(kinds().items(), range(volumes)):
        seed = first + number
        electrode = ElectrodePhantom(
            seed=seed, shape_voxels=SHAPE, voxel_size_um=CUBIC, **changed[0]
        )
        tomograph = Tomograph(seed=seed, **changed[1])
        yield kind, phantom_volume(electrode, tomograph, Look(seed=seed, **changed[2]))


def score(arguments: argparse.Namespace) -> tuple[list[Record], list[Record]]:
    """A row for each method and kind and for all kinds, and the six measures of each method."""
    from models.measure.matching import evaluate
    from models.measure.matching_summary import pooled_row

    ways = methods(arguments)
    volumes: dict[str, list[Any]] = {name: [] for name in ways}
    slices: dict[str, list[Any]] = {name: [] for name in ways}
    seconds = dict.fromkeys(ways, 0.0)
    names = []
    for kind, made in phantoms(arguments.volumes):
        names.append(kind)
        for name, segment in ways.items():
            start = time.perf_counter()
            labels = segment(made.grey)
            seconds[name] += time.perf_counter() - start
            volumes[name].append(evaluate(made.labels, labels))
            slices[name] += [evaluate(*pair) for pair in zip(made.labels, labels, strict=True)]
            counts = volumes[name][-1].at(0.5)
            print(f"{kind}, {name}: F1 {counts.f1:.3f}, {seconds[name]:.0f} s", flush=True)
    rows = []
    for name, kind in itertools.product(ways, [*dict.fromkeys(names), "all"]):
        chosen = [e for e, k in zip(volumes[name], names, strict=True) if kind in (k, "all")]
        row = pooled_row(chosen)
        rows.append(
            {
                "method": name,
                "volumes": kind,
                "particles": row["true_particles"],
                "F1 50": row["f1_50"],
                "precision 50": row["precision_50"],
                "recall 50": row["recall_50"],
                "IoU": row["mean_matched_iou_50"],
                "F1 75": row["f1_75"],
                "s": seconds[name] if kind == "all" and "alone" not in name else None,
            }
        )
    six = []
    for name in ways:
        row = pooled_row(slices[name])
        values = {m: f"{row[f'pixel_{m}']:.3f} ± {row[f'pixel_{m}_std']:.3f}" for m in SIX}
        six.append({"method": name, "slices": row["images"], **values})
    return rows, six


def methods(arguments: argparse.Namespace) -> dict[str, Segment]:
    """Ways to segment a volume, by name."""
    from models.segment.view_fusion.linked import segment_slices
    from models.segment.view_fusion.options import FusionOptions
    from models.segment.view_fusion.volume import segment_volume
    from models.segment.watershed import segment_volume as watershed
    from models.segment.watershed_options import WatershedOptions

    forward, config = network(arguments)

    def fused(sections: Any) -> Segment:
        options = FusionOptions(sections=sections)
        return lambda grey: (
            segment_volume(forward, config, grey, spacing_um=CUBIC, options=options).labels
        )

    def linked(grey: np.ndarray) -> np.ndarray:
        return segment_slices(forward, config, grey, spacing_um=CUBIC).labels

    def flooded(options: Any) -> Segment:
        return lambda grey: watershed(grey, spacing_um=CUBIC, options=options)

    sensible = WatershedOptions(min_diameter_px=8, polarity="bright")
    tuned = WatershedOptions(polarity="bright", **TUNED)
    if arguments.tune:
        tuned, score_there = tune_watershed()
        print(f"tuned watershed: {tuned}, F1 {score_there:.3f} where it was tuned", flush=True)
    ways = {
        "view fusion": fused("all"),
        "xy alone": fused("xy"),
        "yz alone": fused("yz"),
        "xz alone": fused("xz"),
        "slice linking": linked,
        "watershed": flooded(sensible),
        "watershed, tuned": flooded(tuned),
    }
    return {name: ways[name] for name in arguments.methods or ways}


class Remembered:
    """A forward function that looks at each section once, so that single directions cost nothing.

    All directions together go first; the diameter that they estimate is told to the single ones.
    """

    def __init__(self, forward: Any) -> None:
        self.forward = forward
        self.forget()

    def forget(self) -> None:
        """Another volume comes."""
        self.seen: dict[bytes, Any] = {}
        self.diameter_px: float | None = None

    def __call__(self, image: np.ndarray) -> Any:
        """What the network says, to three digits."""
        key = hashlib.sha256(image.tobytes()).digest()
        if key not in self.seen:
            self.seen[key] = tuple(part.astype(np.float16) for part in self.forward(image))
        return tuple(part.astype(np.float32) for part in self.seen[key])


def tune_watershed() -> tuple[Any, float]:
    """The options of the best F1 over the volumes that validated the network."""
    from train_slices import VALIDATION

    from models.measure.matching import evaluate
    from models.segment.star_convex.slices import draw_volume
    from models.segment.watershed import segment_volume
    from models.segment.watershed_options import WatershedOptions

    made = [draw_volume(seed) for seed in VALIDATION[:4]]
    best, most = WatershedOptions(), -1.0
    for least, threshold, neck, closing in itertools.product(
        (6, 9, 13), ("otsu", "multi-otsu"), (0.6, 0.8), (0, 2)
    ):
        options = WatershedOptions(
            min_diameter_px=least,
            threshold=threshold,
            neck=neck,
            closing_px=closing,
            polarity="bright",
        )
        counts = [
            evaluate(
                volume.labels, segment_volume(volume.grey, spacing_um=CUBIC, options=options)
            ).at(0.5)
            for volume in made
        ]
        f1 = sum(counts[1:], counts[0]).f1
        if f1 > most:
            best, most = options, f1
    return best, most


def network(arguments: argparse.Namespace) -> tuple[Any, Any]:
    """Forward function and configuration."""
    from models.segment.star_convex.artefact import load_artefact
    from models.segment.star_convex.openvino_forward import openvino_forward

    loaded, _ = load_artefact(arguments.network)
    return openvino_forward(loaded, arguments.threads), loaded.config


def timed(side: int, arguments: argparse.Namespace) -> Record:
    """Time and peak memory of a cube, in a process of its own."""
    command = [sys.executable, __file__, "--network", str(arguments.network)]
    command += ["--threads", str(arguments.threads), "--time", str(side)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    row: Record = json.loads(done.stdout.splitlines()[-1])
    print(row, flush=True)
    return row


def time_one(arguments: argparse.Namespace) -> Record:
    """Segment a cube that a phantom of 128 voxels a side tiles, on disk."""
    import resource
    import tempfile

    from models.phantoms.electrode_config import ElectrodePhantom
    from models.phantoms.tomography import Tomograph
    from models.segment.star_convex.slices import phantom_volume
    from models.segment.view_fusion.volume import segment_volume

    side = arguments.time
    electrode = ElectrodePhantom(
        seed=SEED,
        shape_voxels=(128,) * 3,
        voxel_size_um=CUBIC,
        diameter_um=WIDE_UM,
        collector_um=0,
        separator_um=0,
    )
    grey = phantom_volume(electrode, Tomograph(seed=SEED)).grey
    forward, config = network(arguments)
    small = segment_volume(forward, config, grey, spacing_um=CUBIC)  # compiles what is compiled
    with tempfile.TemporaryDirectory() as folder:
        shape = (side,) * 3
        volume = np.memmap(Path(folder) / "grey", np.float32, "w+", shape=shape)
        labels = np.memmap(Path(folder) / "labels", np.int32, "w+", shape=shape)
        for corner in itertools.product(range(0, side, 128), repeat=3):
            volume[tuple(slice(start, start + 128) for start in corner)] = grey
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        peak = Peak()
        start = time.perf_counter()
        found = segment_volume(forward, config, volume, spacing_um=CUBIC, labels_out=labels)
        seconds = time.perf_counter() - start
        return {
            "side": side,
            "s": seconds,
            "µs per voxel": 1e6 * seconds / side**3,
            "peak MB": peak.stop(),
            "MB before": before,
            "particles": len(found.confidence),
            "particles of 128": len(small.confidence),
            "diameter": found.diameter_px,
        }


class Peak:
    """Highest anonymous memory of this process: what is mapped from files does not count."""

    def __init__(self) -> None:
        import threading

        self.highest, self.over = 0.0, threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def stop(self) -> float:
        """MB."""
        self.over.set()
        self.thread.join()
        return self.highest

    def _watch(self) -> None:
        status = Path("/proc/self/status")
        while not self.over.wait(0.05):
            lines = status.read_text().splitlines()
            used = next(line for line in lines if line.startswith("RssAnon"))
            self.highest = max(self.highest, int(used.split()[1]) / 1024)


def draw_real_slice(arguments: argparse.Namespace) -> None:
    """Outlines on the real holotomography slice."""
    import tifffile
    from PIL import Image

    from models.measure.overlays import outline_overlay
    from models.segment.star_convex.prediction import segment_image

    grey = tifffile.imread(real_data() / SLICE)
    forward, config = network(arguments)
    found = segment_image(forward, config, grey)
    picture = outline_overlay(grey, found.labels, pixel_size_um=0.07)
    Image.fromarray(picture).save(arguments.overlay)
    print(f"{len(found.confidence)} particles, diameter {found.diameter_px} px: see", end=" ")
    print(arguments.overlay)


if __name__ == "__main__":
    main()
