import numpy as np
import pytest

from graindex.features.files import make_feature_set
from graindex.features.fitting import fit
from graindex.features.registry import register_feature_set
from graindex.features.values import feature_values
from graindex.store import open_store

TEXTURE = {
    "name": "texture",
    "entity": "micrograph",
    "features": [
        {"vector": "micrographs"},
        {"columns": ["image_quality.noise_std", "samples.anneal_temperature"]},
        {"one_hot": {"samples.cool_method": ["Q", "AR", "FC", "650-1H"]}},
    ],
    "normalise": {"by": "dataset"},
    "select": {"max_missing": 0.5, "min_variance": 1e-8},
}


@pytest.mark.real_data
def test_features_of_the_real_steels(real_home):
    store = open_store(real_home())
    registered = register_feature_set(store, make_feature_set(TEXTURE), author="test")
    now = store.snapshot()
    found = feature_values(store, registered.definition, datasets=["uhcs"], as_of=now)
    rows = found.table.to_pandas()
    assert len(rows) == 97
    assert rows["anneal_temperature"].between(700, 1200).all()
    assert (rows.filter(like="cool_method_").sum(axis=1) <= 1).all()
    columns = ["micrograph_id", "vector", "vector_norm"]
    kept = store.vectors.read("micrographs", "uhcs", columns).to_pandas()
    raw = dict(zip(kept["micrograph_id"], kept["vector"] * kept["vector_norm"], strict=True))
    for key, vector in zip(rows["entity_id"], rows["vector"], strict=True):
        np.testing.assert_allclose(vector, raw[key], rtol=1e-6)
    fitted = fit(registered.definition, found.columns, found.entities, np.arange(97) % 5 > 0)
    matrix = fitted.apply(found.columns, found.entities)
    assert matrix.shape == (97, len(fitted.names)) and np.isfinite(matrix).all()
    np.testing.assert_allclose(matrix.mean(axis=0), 0, atol=1e-9)
