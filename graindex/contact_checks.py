"""What must hold of contacts and of the particles at their ends.

Out of scope: particles by themselves (`graindex.particle_checks`).
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graindex.check_rows import Mask, numbers, read, where
from graindex.checks import Problem
from graindex.store import Store

# Measured on 48 crowded volumes at spacings 1:1:1 … 4:1:1 and 1:2:4, with up to 4000 particles and
# specks inside of others: contacts took at most 1.005 of the surface of two voxels and more, and
# 1.27 of that of a single one, which no estimator sees well.
_TOLERANCE, _OF_ONE_VOXEL = 0.05, 0.4
_PAIR = "pair"
_SURFACE = ("surface_outer_um2", "surface_inner_um2")


def contacts_symmetric(store: Store, dataset: str) -> Sequence[Problem]:
    """Contacts that do not stand once between two particles, or exceed the surface of either.

    What touches another particle has a share of its surface in contact as well. The reverse is not
    asked for: the cracks of a particle may meet another one where its body does not. Nor are areas
    and shares where surfaces are counted as boundary voxels: contacts never are, and a voxel that
    others touch at an edge alone is not at the boundary then.
    """
    names = ("label_a", "label_b", "particle_a_id", "particle_b_id", "contact_area_um2")
    contacts = read(store, "contacts", dataset, "volume_id", *names)
    labels = [pc.cast(contacts[name], pa.string()) for name in names[:2]]
    pairs = pc.binary_join_element_wise(contacts["volume_id"], *labels, " ")
    contacts = contacts.append_column(_PAIR, pairs)
    columns = ("volume_id", "particle_id", "label", "voxels", *_SURFACE, "contact_fraction")
    particles = read(store, "particles_3d", dataset, *columns)
    backwards = ~(numbers(contacts, "label_a") < numbers(contacts, "label_b"))
    by_crofton = store.recipe(dataset).measurement.surface_estimator == "crofton"
    return [
        *where("label_a < label_b", contacts, backwards, _PAIR, "label_a", "label_b"),
        *where("each pair once", contacts, _repeated(pairs), _PAIR, "contact_area_um2"),
        *(
            problem
            for side in "ab"
            for problem in _end(contacts, particles, side, areas=by_crofton)
        ),
    ]


def _end(contacts: pa.Table, particles: pa.Table, side: str, *, areas: bool) -> list[Problem]:
    """Problems with one end of each contact."""
    known = particles["particle_id"].combine_chunks()
    key = f"particle_{side}_id"
    places = pc.index_in(contacts[key].combine_chunks(), value_set=known)
    end = particles.take(places)  # null where there is no such particle
    same = pc.and_(
        pc.equal(end["volume_id"], contacts["volume_id"]),
        pc.equal(end["label"], contacts[f"label_{side}"]),
    )
    exists = np.asarray(pc.fill_null(same, False).to_numpy(), np.bool_)
    problems = where(f"{key} is the particle label_{side}", contacts, ~exists, _PAIR, key)
    if not areas:
        return problems
    outer, inner = (numbers(end, name) for name in _SURFACE)
    tolerance = np.where(numbers(end, "voxels") == 1, _OF_ONE_VOXEL, _TOLERANCE)
    larger = numbers(contacts, "contact_area_um2") > (outer + inner) * (1 + tolerance)
    apart = exists & ~(numbers(end, "contact_fraction") > 0)
    return [
        *problems,
        *where(f"contact <= surface of {side}", contacts, larger, _PAIR, "contact_area_um2"),
        *where(f"contact_fraction of {side} > 0", contacts, apart, _PAIR, key),
    ]


def _repeated(keys: pa.ChunkedArray) -> Mask:
    """Which of the keys stood before."""
    first = pc.index_in(keys.combine_chunks(), value_set=keys.unique())
    seen = np.asarray(first.to_numpy(), np.int64)
    repeated = np.ones(len(seen), np.bool_)
    repeated[np.unique(seen, return_index=True)[1]] = False
    return repeated
