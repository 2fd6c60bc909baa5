"""How long the networks that come along take for an image, and how that grows with its pixels.

Phantom micrographs of loose particles of 40 pixels; the scale is estimated, as by default. The
command is a process of its own, from its start to the file written; the network was converted
before.
Out of scope: how good the labels are (`mask_rcnn_emps.py`, `star_convex_emps.py`), volumes
(`view_fusion.py`).
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from common import Record, publish
from PIL import Image

SHAPES = ((480, 640), (960, 1280), (1920, 2560), (3840, 5120))
DIAMETER_PX = 40.0
METHODS = "mask-rcnn", "star-convex", "watershed"


def main() -> None:
    """Time images of several sizes, and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--widest", type=int, default=SHAPES[-1][1], help="image, in pixels")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        shapes = [shape for shape in SHAPES if shape[1] <= arguments.widest]
        rows = [
            row for shape in shapes for row in measured(shape, Path(scratch), arguments.repeats)
        ]
    publish("segment_images", "One image, default options", rows)


def measured(shape_px: tuple[int, int], folder: Path, repeats: int) -> Iterator[Record]:
    """Best time of the functions and of the command, and what was found, by each method."""
    from graindex.label_images import segment_grey
    from graindex.segmentation import make_options
    from models.phantoms.scattered import ScatteredPhantom, scatter

    phantom = ScatteredPhantom(seed=5, shape_px=shape_px, diameter_px=DIAMETER_PX, coverage=0.25)
    made = scatter(phantom)
    image, labels = folder / f"{shape_px[0]}.png", folder / f"{shape_px[0]}.tif"
    Image.fromarray(made.image).save(image)
    pixels = shape_px[0] * shape_px[1]
    for method in METHODS:
        options = make_options({"method": method}, "micrographs")
        found = segment_grey(made.image, options)
        inside = min(timed(partial(segment_grey, made.image, options)) for _ in range(repeats))
        command = [Path(sys.executable).with_name("graindex"), "segment", image, "-o", labels]
        command += ["--method", method]
        run = partial(subprocess.run, command, check=True)
        whole = min(timed(run) for _ in range(repeats))
        yield {
            "method": method,
            "image": f"{shape_px[1]} × {shape_px[0]}",
            "particles": int(made.labels.max()),
            "found": int(np.max(found.labels)),
            "segment s": inside,
            "ns per pixel": 1e9 * inside / pixels,
            "command s": whole,
        }


def timed(work: Callable[[], object]) -> float:
    """Seconds that a function takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
