"""Columns that ours shares with scikit-image, SimpleITK, porespy and cc3d, particle by particle.

Volumes: a phantom electrode with its tomogram; the same with every second plane left out, so that
voxels are 2 : 1 : 1; and two published electrodes, a corner of each parted by the watershed, in
units of their voxel. Compared are particles of 100 voxels or more and contacts of 30 voxel faces
or more. A difference is (ours − theirs) / theirs; of centroids, over the equivalent diameter.
Where definitions differ, ours is worked out by their definition too: unless that difference
vanishes, the reason given is not the reason.
Out of scope: which side is right, and how long each takes (`measure.py`).
"""

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from common import REPOSITORY, Record, publish
from scipy.ndimage import binary_dilation
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.measure import marching_cubes, mesh_surface_area, regionprops

from models.measure.additive import additive_table, contacts_table
from models.measure.crofton import DIRECTIONS, area_weights
from models.measure.moments import moments
from models.measure.sweep import Sweep, sweep_volume
from models.phantoms.electrode import plan, render
from models.phantoms.electrode_config import cycled_electrode
from models.phantoms.tomography import tomogram
from models.segment.watershed import segment_volume
from models.segment.watershed_options import WatershedOptions

Array = npt.NDArray[Any]
Spacing = tuple[float, float, float]

CC3D = "connected-components-3d"
LEAST = 100  # voxels of a particle
LEAST_FACES = 30  # voxel faces of a contact: the phantom's particles barely touch
ISOTROPIC = (1.0, 1.0, 1.0)
FACES = [DIRECTIONS.index(step) for step in ((1, 0, 0), (0, 1, 0), (0, 0, 1))]
# a phase volume and its value for active material
REAL = {
    "NREL": ("nrel_nmc-1-cal_generatedCBD_bridge.tif", 1),
    "TauFactor": ("taufactor_electrode_256.tif", 85),
}
POINTS = "no moment of the voxel itself, spacing²/12"
LINEAR = "linear Crofton sum, weights of isotropic voxels"
SAMPLE = "divides by n − 1"
SINGLE = "adds up in single precision"
GROWN = "mesh of the particle grown by a voxel, not closed"
SMOOTHED = "another estimator: mesh of the smoothed particle"
COUNTED = "adds up voxel faces"
PIECES = "pieces of one label count each"


@dataclass(frozen=True, eq=False)
class Case:
    """One volume and what ours says of it; `table` is of the particles compared alone."""

    name: str
    labels: npt.NDArray[np.int32]
    grey: npt.NDArray[np.float32] | None
    spacing: Spacing
    sweep: Sweep
    keep: npt.NDArray[np.bool_]
    table: dict[str, Array]

    @classmethod
    def measured(cls, name: str, labels: Array, grey: Array | None, spacing: Spacing) -> "Case":
        """Measure a volume."""
        labels = np.ascontiguousarray(labels, dtype=np.int32)
        swept = sweep_volume(labels, grey=grey)
        keep = swept.voxels >= LEAST
        columns = additive_table(swept, spacing_um=spacing).items()
        table = {column: values[keep] for column, values in columns}
        return cls(name, labels, grey, spacing, swept, keep, table)

    @property
    def centroids(self) -> Array:
        """(N, 3) z, y, x."""
        return np.stack([self.table[f"{axis}_um"] for axis in "zyx"], axis=1)

    @property
    def boxes(self) -> Array:
        """(N, 6) lower and upper corner, exclusive."""
        return np.hstack([self.sweep.lower, self.sweep.upper])[self.keep]

    @property
    def axes(self) -> Array:
        """(N, 3) lengths, descending."""
        return np.stack([self.table[f"axis_{n}_um"] for n in ("major", "middle", "minor")], axis=1)

    @property
    def point_axes(self) -> Array:
        """(N, 3) the same if voxels were points."""
        own = moments(self.sweep, spacing_um=self.spacing)
        values = own.axes_um**2 / 20
        covariance = np.einsum("nk,nki,nkj->nij", values, own.directions, own.directions)
        covariance -= np.diag(np.square(self.spacing) / 12)
        return np.asarray(2 * np.sqrt(5 * np.linalg.eigvalsh(covariance)[:, ::-1]))[self.keep]

    def row(
        self,
        peer: str,
        column: str,
        ours: Array,
        theirs: Any,
        why: str = "",
        *,
        alike: Array | None = None,
        scale: Array | None = None,
    ) -> Record:
        """Differences of one column; `alike` is ours by their definition."""
        theirs = np.asarray(theirs, dtype=np.float64)
        found = _differences(ours, theirs, scale)
        return {
            "volume": self.name,
            "peer": peer,
            "column": column,
            "count": len(theirs),
            "median": float(np.median(found)),
            "largest": float(np.abs(found).max()),
            "by their definition": None
            if alike is None
            else float(np.abs(_differences(alike, theirs, scale)).max()),
            "theirs": why,
        }


def main() -> None:
    """Run and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=192, help="voxels of the real volumes to take")
    options = parser.parse_args()
    rows: list[Record] = []
    notes: list[str] = []
    for case in cases(options.side):
        print(f"{case.name}: {case.keep.sum()} of {len(case.keep)} particles", flush=True)
        rows += scikit_image(case)
        rows += simple_itk(case)
        rows += porespy(case)
        try:
            rows += cc3d(case)
        except ImportError:
            notes.append(f"{case.name}: connected-components-3d is not installed")
    packages = ("scikit-image", "SimpleITK", "porespy", *(() if notes else (CC3D,)))
    more = {"peers": {name: version(name) for name in packages}, "notes": notes}
    publish("agreement", "Ours beside its peers: relative differences", rows, more)
    print(*notes, sep="\n")


def cases(side: int) -> Iterator[Case]:
    """The four volumes."""
    config = cycled_electrode(10, 0)
    block = render(plan(config))
    grey = tomogram(block.labels, block.phases)
    dz, dy, dx = config.voxel_size_um
    yield Case.measured("phantom", block.labels, grey, (dz, dy, dx))
    yield Case.measured("phantom 2:1:1", block.labels[::2], grey[::2], (2 * dz, dy, dx))
    folder = Path(os.environ.get("GRAINDEX_REAL_DATA", REPOSITORY.parent / "shared" / "data"))
    for name, (file, active) in REAL.items():
        path = folder / "nmc_tomography" / file
        if not path.exists():
            sys.exit(f"no {file} in {path.parent}: set GRAINDEX_REAL_DATA")
        phases = tifffile.imread(path)[:side, :side, :side]
        options = WatershedOptions(phase_values=(active,))
        labels = segment_volume(phases, spacing_um=ISOTROPIC, options=options)
        yield Case.measured(name, labels, None, ISOTROPIC)


def scikit_image(case: Case) -> Iterator[Record]:
    """`regionprops`."""
    peer = "scikit-image"
    table, keep = case.table, case.keep
    regions = regionprops(case.labels, intensity_image=case.grey, spacing=case.spacing)
    regions = [region for region, kept in zip(regions, keep, strict=True) if kept]

    def theirs(name: str) -> Array:
        return np.array([getattr(region, name) for region in regions])

    diameter = table["equivalent_diameter_um"]
    yield case.row(peer, "voxels", table["voxels"], theirs("num_pixels"))
    yield case.row(peer, "bounding box, voxels", case.boxes - theirs("bbox"), 0 * case.boxes)
    yield case.row(peer, "body_volume_um3", table["body_volume_um3"], theirs("area"))
    yield case.row(peer, "centroid", case.centroids, theirs("centroid"), scale=diameter[:, None])
    yield case.row(peer, "equivalent_diameter_um", diameter, theirs("equivalent_diameter_area"))
    for column, name, place in (
        ("major", "axis_major_length", 0),
        ("minor", "axis_minor_length", 2),
    ):
        ours, alike = case.axes[:, place], case.point_axes[:, place]
        yield case.row(peer, f"axis_{column}_um", ours, theirs(name), POINTS, alike=alike)
    if case.grey is None:
        return
    for column in ("mean", "std", "min", "max"):
        # it adds up in the precision of the image
        alike = [_single(region, column) for region in regions]
        ours, found = table[f"grey_{column}"], theirs(f"intensity_{column}")
        yield case.row(peer, f"grey_{column}", ours, found, SINGLE, alike=np.array(alike))


def _single(region: Any, statistic: str) -> float:
    levels = region.image_intensity[region.image]
    return float(getattr(levels, statistic)())


def simple_itk(case: Case) -> Iterator[Record]:
    """`LabelShapeStatistics` and `LabelIntensityStatistics`."""
    import SimpleITK as sitk

    peer, table = "SimpleITK", case.table
    ids = table["label"].tolist()
    image = sitk.GetImageFromArray(case.labels)
    image.SetSpacing(case.spacing[::-1])
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.ComputePerimeterOn()
    shape.Execute(image)

    def theirs(name: str, source: Any = shape) -> Array:
        return np.array([getattr(source, f"Get{name}")(label) for label in ids])

    diameter, surface = table["equivalent_diameter_um"], linear_surface(case)
    box = theirs("BoundingBox")  # x, y, z of the corner, then extents
    box = np.hstack([box[:, 2::-1], (box[:, :3] + box[:, 3:])[:, ::-1]])
    axes = 2 * np.sqrt(5 * theirs("PrincipalMoments")[:, ::-1])
    border = theirs("NumberOfPixelsOnBorder") > 0
    yield case.row(peer, "voxels", table["voxels"], theirs("NumberOfPixels"))
    yield case.row(peer, "bounding box, voxels", case.boxes - box, 0 * box)
    yield case.row(peer, "touches_border", table["touches_border"] ^ border, 0 * border)
    yield case.row(peer, "body_volume_um3", table["body_volume_um3"], theirs("PhysicalSize"))
    centroids = theirs("Centroid")[:, ::-1]
    yield case.row(peer, "centroid", case.centroids, centroids, scale=diameter[:, None])
    radius = theirs("EquivalentSphericalRadius")
    yield case.row(peer, "equivalent_diameter_um", diameter, 2 * radius)
    for place, column in enumerate(("major", "middle", "minor")):
        ours, alike = case.axes[:, place], case.point_axes[:, place]
        yield case.row(peer, f"axis_{column}_um", ours, axes[:, place], POINTS, alike=alike)
    elongation = theirs("Elongation") * theirs("Flatness")  # major : middle and middle : minor
    alike = case.point_axes[:, 0] / case.point_axes[:, 2]
    yield case.row(peer, "elongation", table["elongation"], elongation, POINTS, alike=alike)
    perimeter = theirs("Perimeter")
    yield case.row(peer, "surface_um2", table["surface_um2"], perimeter, LINEAR, alike=surface)
    ours, alike = table["sphericity_wadell"], np.pi * diameter**2 / surface
    yield case.row(peer, "sphericity_wadell", ours, theirs("Roundness"), LINEAR, alike=alike)
    if case.grey is None:
        return
    levels = sitk.LabelIntensityStatisticsImageFilter()
    grey = sitk.GetImageFromArray(case.grey)
    grey.CopyInformation(image)
    levels.Execute(image, grey)
    for column, name in (("mean", "Mean"), ("min", "Minimum"), ("max", "Maximum")):
        yield case.row(peer, f"grey_{column}", table[f"grey_{column}"], theirs(name, levels))
    std, n = table["grey_std"], table["voxels"]
    alike = std * np.sqrt(n / (n - 1))
    deviation = theirs("StandardDeviation", levels)
    yield case.row(peer, "grey_std", std, deviation, SAMPLE, alike=alike)


def linear_surface(case: Case) -> Array:
    """What SimpleITK adds up: shares of directions of isotropic voxels, steps as they are."""
    steps = np.array(DIRECTIONS, dtype=np.float64)
    shares = area_weights(ISOTROPIC) * np.linalg.norm(steps, axis=1)
    lengths = np.linalg.norm(steps * case.spacing, axis=1)
    weights = shares * np.prod(case.spacing) / lengths
    return np.asarray(case.sweep.crossings[case.keep] @ weights)


def porespy(case: Case) -> Iterator[Record]:
    """`regionprops_3D`, which knows cubic voxels alone, and `region_surface_areas`."""
    from porespy import settings
    from porespy.metrics import region_surface_areas, regionprops_3D

    settings.tqdm["disable"] = True
    peer, table = "porespy", case.table
    areas = region_surface_areas(case.labels, voxel_size=case.spacing)
    areas = np.asarray(areas)[table["label"] - 1]
    name = "surface_um2 (areas)"
    yield case.row(peer, name, table["surface_um2"], areas, SMOOTHED)
    if len(set(case.spacing)) > 1:
        return
    side = case.spacing[0]
    regions = {region.label: region for region in regionprops_3D(case.labels)}
    kept = [regions[label] for label in table["label"].tolist()]
    volumes = np.array([region.volume for region in kept])
    surfaces = np.array([region.surface_area for region in kept]) * side**2
    sphericity = [region.sphericity for region in kept]
    grown = np.array([grown_surface(region.mask) for region in kept]) * side**2
    yield case.row(peer, "body_volume_um3", table["body_volume_um3"], volumes * side**3)
    yield case.row(peer, "surface_um2", table["surface_um2"], surfaces, GROWN, alike=grown)
    alike = np.pi * table["equivalent_diameter_um"] ** 2 / grown
    ours = table["sphericity_wadell"]
    yield case.row(peer, "sphericity_wadell", ours, sphericity, GROWN, alike=alike)


def grown_surface(mask: Array) -> float:
    """Mesh through the voxels around a particle, in voxel faces."""
    grown = binary_dilation(np.pad(mask, 1)).astype(np.float64)
    vertices, faces, _, _ = marching_cubes(grown, level=0)
    return float(mesh_surface_area(vertices, faces))


def cc3d(case: Case) -> Iterator[Record]:
    """`contacts` and `connected_components`."""
    import cc3d as library

    # axes in the order of the array, though its help calls them x, y, z
    theirs = library.contacts(
        case.labels, connectivity=26, surface_area=True, anisotropy=case.spacing
    )
    ours = contacts_table(case.sweep, spacing_um=case.spacing)
    pairs = list(zip(ours["label_a"].tolist(), ours["label_b"].tolist(), strict=True))
    counted = case.sweep.pair_crossings[:, FACES]
    face = np.prod(case.spacing) / np.array(case.spacing)
    large = np.flatnonzero(counted.sum(axis=1) >= LEAST_FACES)
    areas = [theirs[pairs[n]] for n in large]
    alike = counted[large] @ face
    touching = library.contacts(case.labels, connectivity=26, surface_area=False)
    differing = len(set(pairs) ^ {tuple(sorted(map(int, pair))) for pair in touching})
    yield case.row(CC3D, "pairs of one side alone", np.array([differing]), [0])
    column = ours["contact_area_um2"][large]
    yield case.row(CC3D, "contact_area_um2", column, areas, COUNTED, alike=alike)
    groups = library.connected_components(case.labels > 0, connectivity=26, return_N=True)[1]
    pieces = library.connected_components(case.labels, connectivity=26, return_N=True)[1]
    found = np.array([_groups(case.sweep)])
    yield case.row(CC3D, "groups that touch", found, [groups], PIECES)
    yield case.row(CC3D, "particles", np.array([len(case.sweep.labels)]), [pieces], PIECES)


def _groups(sweep: Sweep) -> int:
    places = np.searchsorted(sweep.labels, sweep.pairs)
    n = len(sweep.labels)
    graph = coo_array((np.ones(len(places)), (places[:, 0], places[:, 1])), shape=(n, n))
    return int(connected_components(graph, directed=False)[0])


def _differences(ours: Array, theirs: Array, scale: Array | None) -> Array:
    """Relative, but where theirs is nought; as they are there."""
    over = np.where(theirs == 0, 1, np.abs(theirs)) if scale is None else scale
    return np.asarray((ours - theirs) / over)


if __name__ == "__main__":
    main()
