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
from collections.abc import Callable
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
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        rows = [
            measured(method, shape, Path(scratch), arguments.repeats)
            for shape in SHAPES
            for method in METHODS
        ]
    publish("segment_images", "One image, default options", rows)


def measured(method: str, shape_px: tuple[int, int], folder: Path, repeats: int) -> Record:
    """Best time of the functions and of the command, and what was found."""
    from graindex.label_images import segment_grey
    from graindex.segmentation import make_options
    from models.phantoms.scattered import ScatteredPhantom, scatter

    phantom = ScatteredPhantom(seed=5, shape_px=shape_px, diameter_px=DIAMETER_PX, coverage=0.25)
    made = scatter(phantom)
    image, labels = folder / f"{shape_px[0]}.png", folder / f"{shape_px[0]}.tif"
    Image.fromarray(made.image).save(image)
    options = make_options({"method": method}, "micrographs")
    found = segment_grey(made.image, options)
    inside = [timed(lambda: segment_grey(made.image, options)) for _ in range(repeats)]
    command = [Path(sys.executable).with_name("graindex"), "segment", image, "-o", labels]
    command += ["--method", method]
    whole = [timed(lambda: subprocess.run(command, check=True)) for _ in range(repeats)]
    pixels = shape_px[0] * shape_px[1]
    return {
        "method": method,
        "image": f"{shape_px[1]} × {shape_px[0]}",
        "particles": int(made.labels.max()),
        "found": int(np.max(found.labels)),
        "segment s": min(inside),
        "ns per pixel": 1e9 * min(inside) / pixels,
        "command s": min(whole),
    }


def timed(work: Callable[[], object]) -> float:
    """Seconds that a function takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
