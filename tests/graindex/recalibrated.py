"""What a new pixel or voxel size makes of rows, for tests of it."""

import os

import numpy as np

from models.measure.calibration import length_power

TWICE = {0: 1, 1: 2, 2: 4, 3: 8}
MADE = {"input_hash", "calibration_um", "overlay"}
KEYS = {"particles_2d": "particle_id", "particles_3d": "particle_id", "contacts": "particle_a_id"}


def garble(folder):
    """Other bytes in every file, which look unchanged: whatever is read again shows."""
    for path in folder.iterdir():
        status = path.stat()
        path.write_bytes(bytes(status.st_size))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def assert_follows(table, before, after, factors, but=frozenset()):
    """Each column is the old one times the factor of its unit, bit by bit where there is none."""
    old, new = (rows.sort_by(KEYS[table]) for rows in (before, after))
    assert old.num_rows == new.num_rows > 0
    for name in set(old.column_names) - MADE - but:
        power = 0 if old[name].type != "double" else length_power(name)
        if not power:
            assert new[name].equals(old[name]), name
            continue
        numbers = [rows[name].to_numpy() for rows in (old, new)]
        np.testing.assert_allclose(numbers[1], numbers[0] * factors[power], rtol=1e-14)
        assert not np.array_equal(*numbers) or np.all(np.isnan(numbers[0]) | (numbers[0] == 0)), (
            name
        )
