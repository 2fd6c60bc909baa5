"""Images of another material among those of a collection are named; those at home are not."""

import numpy as np
import pytest

import graindex
from graindex.foreign_images import MIN_RATIO, foreign_images
from graindex.label_checks import images_foreign
from graindex.recipes import make_recipe, save_recipe
from tests.graindex.planted import collection, move

NCM, LLZTO, UHCS = "ncm622_cycled_sem", "llzto_llto_sem", "uhcs"


@pytest.mark.real_data
def test_real_images_are_at_home_until_some_of_another_material_are_mixed_in(real_home):
    store = graindex.open(real_home())
    assert all(not foreign_images(store, name) for name in (NCM, LLZTO, UHCS))
    specimen = store.read("samples", UHCS)["sample_id"][0].as_py()
    ids = store.read("micrographs", LLZTO)["micrograph_id"].to_pylist()[::20]
    planted = move(store, ids, LLZTO, UHCS, specimen)
    found = foreign_images(store, UHCS)
    assert {one.micrograph_id for one in found} == set(planted)
    assert {one.other_dataset for one in found} == {LLZTO}
    assert [one.ratio for one in found] == sorted((one.ratio for one in found), reverse=True)
    (problem,) = images_foreign(store, UHCS)
    assert problem.count == len(planted)
    assert LLZTO in problem.rows[0][1]


def made(store, name, middle, count=20, seed=0, spread=0.3):
    vectors = np.random.default_rng(seed).normal(size=(count, 8)) * spread + middle
    save_recipe(store.location, make_recipe(dataset=name, location_uri="/x"))
    return collection(store, name, vectors, specimens=["one"] * count)


def test_who_resembles_whom(store):
    save_recipe(store.location, make_recipe(dataset="empty", location_uri="/x"))
    ids = made(store, "a", np.eye(8)[0])
    assert foreign_images(store, "a") == []  # nothing to compare with
    made(store, "b", np.eye(8)[0], seed=1)
    assert foreign_images(store, "a") == foreign_images(store, "b") == []  # the same material
    assert foreign_images(store, "empty") == []
    made(store, "c", np.eye(8)[2], seed=2)
    (planted,) = move(store, ids[:1], "a", "c")
    (found,) = foreign_images(store, "c")
    assert (found.micrograph_id, found.other_dataset in {"a", "b"}) == (planted, True)
    assert found.ratio >= MIN_RATIO
