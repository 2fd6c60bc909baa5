"""What must hold of particles, their labels and statistics, and the rows where it does not.

Out of scope: rules on single columns, which the data dictionary implies (`graindex.validation`),
images themselves (`graindex.checks`) and contacts (`graindex.contact_checks`).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graindex.check_rows import (
    ROUNDING,
    Floats,
    above,
    counted,
    not_one,
    numbers,
    of_parent,
    one_to_one,
    problem,
    read,
    sums,
    unlike,
    where,
)
from graindex.checks import Problem
from graindex.contact_checks import contacts_symmetric
from graindex.store import Store
from models.measure.roundness import largest_circularity, largest_wadell

__all__ = [
    "circles_are_roundest",
    "contacts_symmetric",
    "damage_in_range",
    "image_areas_are_pixels",
    "missing_labels",
    "missing_masks",
    "missing_particles_2d",
    "missing_particles_3d",
    "ordered_percentiles",
    "packing_at_most_one",
    "phases_sum_to_one",
    "spheres_are_roundest",
    "statistic_phases_sum_to_one",
    "volume_disagreements",
    "volumes_are_voxels",
]

_ID = "particle_id"
_SPACING = ("voxel_size_z_um", "voxel_size_y_um", "voxel_size_x_um")


def missing_masks(store: Store, dataset: str) -> Sequence[Problem]:
    """Images whose particles are not labelled, and label images without an image."""
    return one_to_one(store, dataset, "micrographs", "particle_masks_2d", "micrograph_id")


def missing_labels(store: Store, dataset: str) -> Sequence[Problem]:
    """Volumes whose particles are not labelled, and label volumes without a volume."""
    return one_to_one(store, dataset, "volumes", "particle_labels_3d", "volume_id")


def missing_particles_2d(store: Store, dataset: str) -> Sequence[Problem]:
    """Images with more or fewer particles than their label image holds."""
    return counted(store, dataset, "particle_masks_2d", "particles_2d", "micrograph_id")


def missing_particles_3d(store: Store, dataset: str) -> Sequence[Problem]:
    """Volumes with more or fewer particles than their label volume holds."""
    return counted(store, dataset, "particle_labels_3d", "particles_3d", "volume_id")


def volume_disagreements(store: Store, dataset: str) -> Sequence[Problem]:
    """Volumes whose files and user contradict each other, one problem for each quantity."""
    rows = read(store, "volume_findings", dataset, "volume_id", "finding", "detail")
    return [
        found
        for finding in sorted(rows["finding"].unique().to_pylist())
        if finding.endswith("_disagreement")
        for found in where(finding, rows, _equal(rows, "finding", finding), "volume_id", "detail")
    ]


def image_areas_are_pixels(store: Store, dataset: str) -> Sequence[Problem]:
    """Areas and diameters that do not follow from pixels and their size, or are guessed."""
    names = ("area_px2", "area_um2", "equivalent_diameter_px", "equivalent_diameter_um")
    rows = read(store, "particles_2d", dataset, "micrograph_id", _ID, "pixels", *names)
    images = read(store, "micrographs", dataset, "micrograph_id", "pixel_size_um")
    size = of_parent(rows, images, "micrograph_id", ("pixel_size_um",))[:, 0]
    pixels = numbers(rows, "pixels")
    diameter = np.sqrt(4 / np.pi * pixels)
    return [
        *unlike("area_px2 = pixels", rows, _ID, "area_px2", pixels),
        *unlike("area_um2 = pixels × pixel size²", rows, _ID, "area_um2", pixels * size**2),
        *unlike("diameter = √(4 pixels / π)", rows, _ID, "equivalent_diameter_px", diameter),
        *unlike(
            "diameter_um = diameter × size", rows, _ID, "equivalent_diameter_um", diameter * size
        ),
    ]


def circles_are_roundest(store: Store, dataset: str) -> Sequence[Problem]:
    """Particles of images that are rounder than a disc by more than the perimeter may be off."""
    rows = read(store, "particles_2d", dataset, _ID, "pixels", "circularity")
    bound = largest_circularity(numbers(rows, "pixels"))
    return above("circularity <= 1 within its error", rows, _ID, "circularity", bound)


def volumes_are_voxels(store: Store, dataset: str) -> Sequence[Problem]:
    """Volumes that are not voxels times the voxel's volume, or not body and cracks."""
    names = ("voxels", "body_volume_um3", "volume_um3", "crack_volume_um3", "damage")
    rows = read(store, "particles_3d", dataset, "volume_id", _ID, *names)
    voxels, body, volume, crack, _ = (numbers(rows, name) for name in names)
    bodies = voxels * _spacing(store, dataset, rows).prod(axis=1)
    return [
        *unlike("body = voxels × voxel volume", rows, _ID, "body_volume_um3", bodies),
        *unlike("volume = body + cracks", rows, _ID, "volume_um3", body + crack),
        *unlike("damage = cracks / volume", rows, _ID, "damage", crack / volume),
    ]


def damage_in_range(store: Store, dataset: str) -> Sequence[Problem]:
    """Particles whose damage is not at least 0 and below 1."""
    rows = read(store, "particles_3d", dataset, _ID, "damage")
    damage = numbers(rows, "damage")
    return where("0 <= damage < 1", rows, ~((damage >= 0) & (damage < 1)), _ID, "damage")


def spheres_are_roundest(store: Store, dataset: str) -> Sequence[Problem]:
    """Particles that are rounder than a ball by more than their surface may be off.

    Sphericities are also compared with what volume and surfaces make of them.
    """
    names = ("volume_um3", "surface_outer_um2", "surface_inner_um2")
    wanted = ("sphericity", "sphericity_wadell")
    rows = read(store, "particles_3d", dataset, "volume_id", _ID, *names, *wanted)
    volume, outer, inner = (numbers(rows, name) for name in names)
    spacing = _spacing(store, dataset, rows)
    estimator = store.recipe(dataset).measurement.surface_estimator
    bound = largest_wadell(volume / spacing.prod(axis=1), spacing, estimator)
    cubed = 36 * np.pi * volume**2
    cubic = cubed / (outer + inner) ** 3
    wadell = np.cbrt(cubed) / outer
    return [
        *above("sphericity <= 1 within its error", rows, _ID, "sphericity", bound**3),
        *above("sphericity_wadell <= 1 within its error", rows, _ID, "sphericity_wadell", bound),
        *unlike("sphericity = 36 π V² / S³", rows, _ID, "sphericity", cubic),
        *unlike("sphericity_wadell = (36 π V²)^⅓ / S", rows, _ID, "sphericity_wadell", wadell),
    ]


def packing_at_most_one(store: Store, dataset: str) -> Sequence[Problem]:
    """Particles whose surroundings are more than full."""
    rows = read(store, "particles_3d", dataset, _ID, "packing_density")
    bound = np.full(rows.num_rows, 1 + ROUNDING)
    return above("packing_density <= 1", rows, _ID, "packing_density", bound)


def phases_sum_to_one(store: Store, dataset: str) -> Sequence[Problem]:
    """Volumes whose phases do not fill them, by voxels or by shares."""
    size = ("size_z_voxels", "size_y_voxels", "size_x_voxels")
    volumes = read(store, "volumes", dataset, "volume_id", "phases_hash", *size).to_pylist()
    sizes = {
        row["volume_id"]: row[size[0]] * row[size[1]] * row[size[2]]
        for row in volumes
        if row["phases_hash"] is not None
    }
    rows = read(store, "volume_phases", dataset, "volume_id", "phase_voxels", "phase_fraction")
    voxels = sums(rows, "volume_id", "phase_voxels")
    fractions = sums(rows, "volume_id", "phase_fraction")
    return [
        *problem(
            "phase_voxels sum to the voxels of the volume",
            (
                (key, f"{voxels.get(key, 0)} of {sizes.get(key, 0)} voxels")
                for key in sorted(sizes.keys() | voxels.keys())
                if voxels.get(key, 0) != sizes.get(key, 0)
            ),
        ),
        *problem("phase_fraction sums to 1", not_one(fractions)),
    ]


def statistic_phases_sum_to_one(store: Store, dataset: str) -> Sequence[Problem]:
    """Volumes whose phase fractions, as their statistics tell them, do not sum to 1."""
    names = ("entity", "entity_id", "statistic", "value")
    rows = read(store, "electrode_statistics", dataset, *names)
    rows = rows.filter(pc.equal(rows["entity"], "volume"))
    rows = rows.filter(pc.starts_with(rows["statistic"], "phase_fraction_"))
    return problem("phase_fraction_NAME sum to 1", not_one(sums(rows, "entity_id", "value")))


def ordered_percentiles(store: Store, dataset: str) -> Sequence[Problem]:
    """Statistics whose D10, D50 and D90 do not rise."""
    rows = read(store, "electrode_statistics", dataset, "entity_id", "statistic", "value")
    rows = rows.filter(pc.match_substring_regex(rows["statistic"], "_d(10|50|90)_"))
    values = {(row["entity_id"], row["statistic"]): row["value"] for row in rows.to_pylist()}
    found = []
    for key, name in values:
        if "_d50_" in name:
            names = [name.replace("_d50_", f"_d{share}_") for share in (10, 50, 90)]
            three = [values.get((key, one)) for one in names]
            known = [value for value in three if value is not None]
            if len(known) in (1, 2) or known != sorted(known):
                found.append((key, f"{name}: D10, D50, D90 are {three}"))
    return problem("D10 <= D50 <= D90", found)


def _spacing(store: Store, dataset: str, rows: pa.Table) -> Floats:
    """(N, 3) dz, dy, dx in µm of the volume of each row."""
    volumes = read(store, "volumes", dataset, "volume_id", *_SPACING)
    return of_parent(rows, volumes, "volume_id", _SPACING)


def _equal(rows: pa.Table, column: str, value: str) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.equal(rows[column], value).to_numpy(), np.bool_)
