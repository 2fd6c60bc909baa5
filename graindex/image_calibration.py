"""Particles of images in µm: what the pixel size of their image makes of what is known in pixels.

Out of scope: measuring them (`graindex.image_particles`).
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.measure.particles_2d import with_micrometres

LENGTH = ("equivalent_diameter_px", "equivalent_diameter_um")
"""Columns that tell which pixel size a row rests on: no particle has a diameter of 0."""

Floats = npt.NDArray[np.float64]


def calibrated(rows: pa.Table, pixel_sizes_um: Mapping[str, object]) -> pa.Table:
    """Rows of particles with columns in µm by their image's pixel size; null where it has none.

    Args:
        rows: of `particles_2d`, whatever their columns in µm hold.
        pixel_sizes_um: by `micrograph_id`.
    """
    pixels = {
        name: rows[name].to_numpy() for name in rows.column_names if name.endswith(("_px", "_px2"))
    }
    for name, values in with_micrometres(pixels, _sizes(rows, pixel_sizes_um)).items():
        if name not in pixels:
            column = pa.array(values, pa.float64(), from_pandas=True)
            place = rows.schema.get_field_index(name)
            rows = rows.set_column(place, rows.schema.field(place), column)
    return rows


def changed(before: pa.Table, after: pa.Table) -> Floats:
    """Ratio of the new pixel size to the old one of rows that a calibration changed.

    Args:
        before: rows of `particles_2d`.
        after: the same rows, calibrated.

    Returns:
        One number for each changed row; NaN where there was no size before, or is none now.
    """
    old, new = (_um(rows) for rows in (before, after))
    return np.asarray((new / old)[_differ(old, new)])


def stale(rows: pa.Table, pixel_sizes_um: Mapping[str, object]) -> set[str]:
    """Images whose rows are in µm of another pixel size.

    Args:
        rows: `micrograph_id` and the columns of `LENGTH`.
        pixel_sizes_um: by `micrograph_id`; rows of other images are passed over.
    """
    ids = rows["micrograph_id"].to_numpy()
    wanted = rows[LENGTH[0]].to_numpy() * _sizes(rows, pixel_sizes_um)
    there = np.isin(ids, list(pixel_sizes_um))
    return set(ids[there & _differ(_um(rows), wanted)].tolist())


def _sizes(rows: pa.Table, pixel_sizes_um: Mapping[str, object]) -> Floats:
    """(N,) pixel size of each row's image in µm; NaN where there is none."""
    images = rows["micrograph_id"].combine_chunks().dictionary_encode()
    sizes = [pixel_sizes_um.get(key) for key in images.dictionary.to_pylist()]
    return np.asarray(np.array(sizes, np.float64)[images.indices.to_numpy()])


def _um(rows: pa.Table) -> Floats:
    return np.asarray(rows[LENGTH[1]].to_numpy(), np.float64)


def _differ(old: Floats, new: Floats) -> npt.NDArray[np.bool_]:
    return np.asarray((old != new) & ~(np.isnan(old) & np.isnan(new)))
