import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import RobustScaler, StandardScaler

from graindex.errors import FeatureError
from graindex.features.files import make_feature_set
from graindex.features.fitting import FittedFeatures, fit
from graindex.features.frames import floats, vectors


def definition(**more):
    entry = {"columns": ["image_quality.noise_std"]}
    return make_feature_set({"name": "f", "entity": "micrograph", "features": [entry], **more})


def table(matrix, names=None, **vectors_of):
    columns = dict(zip(names or [f"x{n}" for n in range(matrix.shape[1])], matrix.T, strict=True))
    arrays = {name: floats(column) for name, column in columns.items()}
    return pa.table(arrays | {name: vectors(block) for name, block in vectors_of.items()})


def batches(sessions=None, count=0, samples=None, dataset="d"):
    count = count or len(sessions or samples)
    return pa.table(
        {
            "dataset": pa.array([dataset] * count),
            "session_id": pa.array(sessions or [None] * count, pa.string()),
            "sample_id": pa.array(samples or [None] * count, pa.string()),
        }
    )


def everything(count):
    return np.ones(count, bool)


RNG = np.random.default_rng(5)
DATA = RNG.normal(3, [1, 10, 0.1], (40, 3))


def test_without_normalisation_values_are_left_alone():
    found = fit(definition(), table(DATA), None, everything(40))
    np.testing.assert_array_equal(found.apply(table(DATA)), DATA)
    assert found.names == ("x0", "x1", "x2")


@pytest.mark.parametrize("method", ["standard", "robust"])
def test_scales_are_those_of_the_fitted_rows(method):
    rows = np.arange(40) < 25
    found = fit(definition(normalise={"method": method}), table(DATA), None, rows)
    peer = StandardScaler() if method == "standard" else RobustScaler(unit_variance=True)
    np.testing.assert_allclose(
        found.apply(table(DATA)), peer.fit(DATA[rows]).transform(DATA), rtol=1e-9, atol=1e-12
    )


def test_rows_that_are_not_fitted_do_not_matter():
    rows = np.arange(40) < 25
    other = np.where(rows[:, None], DATA, 1e6 * RNG.normal(size=DATA.shape))
    more = {"normalise": {}, "select": {"max_missing": 0.1, "min_variance": 0.1}}
    one, two = (fit(definition(**more), table(d), None, rows).to_json() for d in (DATA, other))
    assert one == two


def test_each_batch_is_scaled_by_all_its_own_rows():
    sessions = ["s", "t"] * 20
    rows = np.arange(40) < 25
    found = fit(definition(normalise={"by": "session"}), table(DATA), batches(sessions), rows)
    scaled = found.apply(table(DATA), batches(sessions))
    for name in "st":
        block = scaled[np.array(sessions) == name]
        np.testing.assert_allclose(block.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(block.std(axis=0), 1)


def test_a_known_batch_keeps_its_scale_and_a_new_one_needs_rows():
    sessions = ["s", "t"] * 20
    by_session = definition(normalise={"by": "session"})
    found = fit(by_session, table(DATA), batches(sessions), everything(40))
    whole = found.apply(table(DATA), batches(sessions))
    one = found.apply(table(DATA[:1]), batches(["s"]))
    np.testing.assert_array_equal(one[0], whole[0])
    new = found.apply(table(DATA[:4] + 100), batches(["new"] * 4))
    np.testing.assert_allclose(new.mean(axis=0), 0, atol=1e-9)
    with pytest.raises(FeatureError, match="session 'd:new' was not there"):
        found.apply(table(DATA[:1]), batches(["new"]))
    with pytest.raises(FeatureError, match="give the session of each row"):
        found.apply(table(DATA))


def test_rows_without_a_session_are_a_batch_of_their_collection():
    sessions = [None, "s"] * 20
    by_session = definition(normalise={"by": "session"})
    found = fit(by_session, table(DATA), batches(sessions), everything(40))
    assert found.batches == ("d:", "d:s")


def test_constant_columns_become_zero():
    constant = np.c_[DATA[:, 0], np.full(40, 0.1)]
    for method in ("standard", "robust"):
        found = fit(definition(normalise={"method": method}), table(constant), None, everything(40))
        np.testing.assert_array_equal(found.apply(table(constant))[:, 1], 0)
        assert found.apply(table(np.array([[0, 1.1]])))[0, 1] == 1


def test_missing_values_become_the_median_of_the_fitted_rows_and_are_counted():
    data = np.array([[1.0, 5], [2, np.nan], [9, 7], [np.nan, 100]])
    rows = np.array([True, True, True, False])
    found = fit(definition(), table(data), None, rows)
    np.testing.assert_array_equal(found.apply(table(data)), [[1, 5], [2, 6], [9, 7], [2, 100]])
    assert dict(zip(found.names, found.missing.tolist(), strict=True)) == {"x0": 0, "x1": 1}


def test_features_with_too_many_missing_go_and_those_without_any_value_always():
    data = np.c_[DATA, np.full(40, np.nan)]
    data[:10, 1] = np.nan
    found = fit(definition(), table(data), None, everything(40))
    assert found.names == ("x0", "x1", "x2")
    assert found.dropped == {"x3": "no value in the fitted rows"}
    found = fit(definition(select={"max_missing": 0.2}), table(data), None, everything(40))
    assert found.names == ("x0", "x2")
    assert found.dropped["x1"] == "missing in 25.0% of the rows"


def test_variance_is_judged_in_the_feature_s_own_unit():
    select = {"min_variance": 0.5}
    for normalise in (None, {}, {"by": "session"}):
        chosen = definition(select=select, normalise=normalise)
        found = fit(chosen, table(DATA), batches(["s", "t"] * 20), everything(40))
        assert found.names == ("x0", "x1")


def test_what_is_constant_in_each_batch_has_no_variance_by_batch():
    data = np.c_[DATA[:, 0], np.tile([1.0, 100.0], 20)]
    sessions = batches(["s", "t"] * 20)
    select = {"min_variance": 1e-8}
    chosen = definition(select=select, normalise={"by": "session"})
    assert fit(chosen, table(data), sessions, everything(40)).names == ("x0",)
    assert fit(definition(select=select), table(data), None, everything(40)).names == ("x0", "x1")


def test_of_two_that_correlate_the_earlier_stays():
    first, other = RNG.normal(size=(2, 60))
    data = np.c_[first, -2 * first + 1e-3 * other, other, first + other]
    chosen = definition(select={"max_correlation": 0.9})
    found = fit(chosen, table(data), None, everything(60))
    assert found.names == ("x0", "x2", "x3")
    assert found.dropped == {"x1": "correlates more than 0.9 with an earlier feature"}
    turned = fit(chosen, table(data[:, ::-1]), None, everything(60))
    assert turned.names == ("x0", "x1", "x2")


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 1), st.integers(2, 6))
@settings(max_examples=40, deadline=None)
def test_what_stays_correlates_less_and_what_goes_does_so_with_what_stays(seed, limit, width):
    rng = np.random.default_rng(seed)
    data = rng.normal(size=(12, width)) @ rng.normal(size=(width, width))
    found = fit(definition(select={"max_correlation": limit}), table(data), None, everything(12))
    stays = [int(name[1:]) for name in found.names]
    correlation = np.abs(np.corrcoef(data, rowvar=False))
    for column in range(width):
        before = [other for other in stays if other < column]
        assert (column in stays) == (not (correlation[column, before] > limit).any())


def test_numbers_of_vectors_go_for_variance_only():
    block = RNG.normal(size=(30, 3))
    block[:, 1] = 2.0
    columns = table(block[:, :1], vector=np.c_[block, block[:, 0]])
    select = {"min_variance": 1e-6, "max_correlation": 0.5}
    found = fit(definition(select=select), columns, None, everything(30))
    assert found.names == ("x0", "vector[0]", "vector[2]", "vector[3]")
    assert found.dropped == {"vector[1]": "variance 0"}
    kept = columns["vector"].combine_chunks().flatten().to_numpy().reshape(30, 4)[:, [0, 2, 3]]
    np.testing.assert_array_equal(found.apply(columns)[:, 1:], kept)


def test_missing_vectors_are_filled_number_by_number():
    block = RNG.normal(size=(5, 2)).astype(np.float32).astype(float)
    block[3] = np.nan
    columns = table(np.empty((5, 0)), vector=block)
    found = fit(definition(), columns, None, everything(5))
    np.testing.assert_allclose(found.apply(columns)[3], np.nanmedian(block, axis=0))
    assert found.missing.tolist() == [1, 1]


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([None, {}, {"method": "robust"}, {"by": "session"}, {"by": "dataset"}]),
)
@settings(max_examples=25, deadline=None)
def test_json_keeps_every_bit(seed, normalise):
    rng = np.random.default_rng(seed)
    data = rng.normal(size=(12, 3)) * 10.0 ** rng.integers(-12, 12, 3)
    data[rng.random(data.shape) < 0.1] = np.nan
    columns, own = table(data, vector=rng.normal(size=(12, 4))), batches(list("stst") * 3)
    chosen = definition(normalise=normalise, select={"max_missing": 0.9})
    found = fit(chosen, columns, own, everything(12))
    text = json.dumps(found.to_json())
    again = FittedFeatures.from_json(json.loads(text))
    assert json.dumps(again.to_json()) == text
    assert again.apply(columns, own).tobytes() == found.apply(columns, own).tobytes()


def test_columns_are_found_by_name():
    columns = table(DATA)
    found = fit(definition(normalise={}), columns, None, everything(40))
    turned = columns.select(["x2", "x0", "x1"])
    np.testing.assert_array_equal(found.apply(turned), found.apply(columns))
    with pytest.raises(FeatureError, match="no feature 'x2'"):
        found.apply(columns.select(["x0", "x1"]))
    longer = table(DATA[:, :2], x2=DATA)
    with pytest.raises(FeatureError, match="feature 'x2' holds a vector of 3, not a number"):
        found.apply(longer)


def test_what_cannot_be_fitted():
    with pytest.raises(FeatureError, match="no row to fit on"):
        fit(definition(), table(DATA), None, np.zeros(40, bool))
    with pytest.raises(FeatureError, match="selection leaves no feature"):
        fit(definition(select={"min_variance": 1e9}), table(DATA), None, everything(40))
    with pytest.raises(FeatureError, match=r"no feature has a value .*x0, …\): materialise"):
        fit(definition(), table(np.full_like(DATA, np.nan)), None, everything(40))
    own = batches(samples=[f"s{n}" for n in range(40)])
    with pytest.raises(FeatureError, match="every sample has one row"):
        fit(definition(normalise={"by": "sample"}), table(DATA), own, everything(40))
