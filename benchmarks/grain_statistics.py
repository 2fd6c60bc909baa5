"""Grain and pore sizes of the LLZTO micrographs by watershed, beside those the authors measured.

The authors' spreadsheet gives, per specimen, statistics of grains and of pores. They were not
measured on these images as they are: the smallest grain, 0.0098 µm², is 0.07 of a pixel here, the
smallest pore 1.9 pixels. Hence rank correlations over specimens; nothing can match grain by grain.
The settings are the same for all images, the best of five for grains and of five for pores by these
very correlations, which flatters them a little.
Out of scope: which segmentation is right.
"""

import argparse
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xlrd
from common import Record, publish, real_data
from scipy.stats import spearmanr

PIXEL_SIZE_UM = 100 / 267
PORE_DEPTH = 2.0  # standard deviations below the mean grey level
GRAIN_WINDOW_PX = 60
SMALLEST_GRAIN_PX, SMALLEST_PORE_PX = 4, 2

# columns of the spreadsheet, counted from 0
TRUTH = {
    ("grain", "area_mean"): 2,
    ("grain", "area_std"): 3,
    ("grain", "area_median"): 5,
    ("grain", "area_max"): 6,
    ("grain", "perimeter_mean"): 8,
    ("grain", "count"): 25,
    ("pore", "area_mean"): 14,
    ("pore", "area_std"): 15,
    ("pore", "area_median"): 17,
    ("pore", "area_max"): 18,
    ("pore", "perimeter_mean"): 20,
    ("pore", "count"): 26,
}


def main() -> None:
    """Run and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, help="only the first so many")
    arguments = parser.parse_args()
    folder = real_data() / "llzto_llto_sem"
    truths = read_truth(folder / "LLZTO_grain_pore.xls")
    found: list[Record] = []
    left_out: list[str] = []
    for path in sorted((folder / "LLZTO").glob("*/*.tif"))[: arguments.images]:
        specimens = truths.get(conductivity(path.name), [])
        if len(specimens) == 1:
            found.append({"image": path.name, "truth": specimens[0], **measure(path)})
        else:  # two specimens of one conductivity, or none: which one the image shows is not told
            left_out.append(path.name)
    rows = [compare(kind, name, found) for kind, name in TRUTH]
    title = f"LLZTO grains and pores: {len(found)} specimens, {len(left_out)} left out"
    details = [
        {"image": f["image"], "authors": named(f["truth"]), "watershed": named(f["found"])}
        for f in found
    ]
    publish("grain_statistics", title, rows, {"left_out": left_out, "specimens": details})


def named(values: dict[tuple[str, str], float]) -> Record:
    """Keys as JSON takes them."""
    return {f"{kind}_{name}": value for (kind, name), value in values.items()}


def conductivity(text: str) -> str:
    """The conductivity at the head of a file name or the foot of a row's name, to 3 digits."""
    match = re.search(r"\d+\.?\d*e-\d+", text)
    return f"{float(match[0]):.2e}" if match else ""


def read_truth(path: Path) -> dict[str, list[dict[tuple[str, str], float]]]:
    """Statistics of the spreadsheet by conductivity; several specimens may share one."""
    sheet = xlrd.open_workbook(str(path)).sheet_by_index(0)
    truths = defaultdict(list)
    for index in range(1, sheet.nrows):
        values = sheet.row_values(index)
        if key := conductivity(str(values[0])):
            truths[key].append({what: float(values[column]) for what, column in TRUTH.items()})
    return truths


def measure(path: Path) -> Record:
    """Segment and measure the grains and the pores of one micrograph."""
    from graindex.readers.images import read_frames
    from models.calibrate.databar import find_content_box
    from models.segment.watershed_options import WatershedOptions

    grey = read_frames(path.read_bytes(), path.name)[0].pixels
    content = find_content_box(grey).crop(grey)
    grains = WatershedOptions(
        min_diameter_px=SMALLEST_GRAIN_PX,
        threshold="adaptive",
        window_px=GRAIN_WINDOW_PX,
        polarity="bright",
        markers="intensity",
        contrast=0.3,
        fill_holes=False,
    )
    pores = WatershedOptions(
        min_diameter_px=SMALLEST_PORE_PX,
        threshold=float(content.mean() - PORE_DEPTH * content.std()),
        polarity="dark",
    )
    found: dict[tuple[str, str], float] = {}
    for kind, options in (("grain", grains), ("pore", pores)):
        for name, value in statistics(content, options).items():
            found[kind, name] = value
    return {"found": found}


def statistics(grey: npt.NDArray[np.uint8], options: object) -> dict[str, float]:
    """Statistics of the particles that the border does not cut, in µm."""
    from models.measure.particles_2d import measure_particles_2d
    from models.segment.watershed import segment_image

    columns = measure_particles_2d(
        segment_image(grey, options=options), pixel_size_um=PIXEL_SIZE_UM
    )
    whole = ~columns["touches_border"]
    area, perimeter = columns["area_um2"][whole], columns["perimeter_um"][whole]
    known = len(area) > 0
    return {
        "area_mean": float(area.mean()) if known else np.nan,
        "area_std": float(area.std()) if known else np.nan,
        "area_median": float(np.median(area)) if known else np.nan,
        "area_max": float(area.max()) if known else np.nan,
        "perimeter_mean": float(perimeter.mean()) if known else np.nan,
        "count": len(area),
    }


def compare(kind: str, name: str, found: list[Record]) -> Record:
    """One statistic over all specimens."""
    key = (kind, name)
    ours = np.array([one["found"][key] for one in found])
    theirs = np.array([one["truth"][key] for one in found])
    known = np.isfinite(ours)
    correlation = spearmanr(ours[known], theirs[known])
    return {
        "of": kind,
        "statistic": name,
        "specimens": int(known.sum()),
        "authors' median": float(np.median(theirs[known])),
        "watershed's median": float(np.median(ours[known])),
        "Spearman's rho": float(correlation.statistic),
        "p": float(correlation.pvalue),
    }


if __name__ == "__main__":
    main()
