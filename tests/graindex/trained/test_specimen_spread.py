"""Several images of a specimen: their spread in metrics, in SQL and on the page."""

import dataclasses

import numpy as np
import pytest

from graindex.trained.kept import kept_model, stored_page
from graindex.trained.scores import score_left_out
from graindex.trained.specimen_spread import repeated_images
from models.learn.metrics import OF_SPECIMENS
from models.learn.ridge import Ridge
from models.learn.specimen_metrics import OF_A_SPECIMEN
from tests.graindex.trained.conftest import FIELDS, FINISH, GRAIN, SPECIMENS, fit, model


def spread_of(metrics) -> dict:
    return {metric.metric: metric for metric in metrics if metric.part == OF_A_SPECIMEN}


def test_sql_finds_what_the_predictions_come_to(read_only):
    found = read_only.sql(f"""
        SELECT metric, metric_value, unit, row_count, evaluation FROM metrics
        WHERE model = 'grain' AND part = '{OF_A_SPECIMEN}'
    """).fetchall()
    assert sorted(row[0] for row in found) == sorted(OF_SPECIMENS)
    assert {row[2:] for row in found} == {("log10(µm)", SPECIMENS * FIELDS, "cross-validation")}
    (expected,) = read_only.sql("""
        WITH own AS (
            SELECT m.sample_id, p.* FROM predictions p
            JOIN micrographs m ON m.micrograph_id = p.entity_id
            WHERE model = 'grain' AND evaluation = 'cross-validation'),
        each AS (
            SELECT var_samp(predicted_number) AS within, avg(predicted_number) AS mean,
                   any_value(label_number) AS measured, avg(predicted_std ** 2) AS stated
            FROM own GROUP BY sample_id)
        SELECT sqrt(avg(within)), sqrt(avg(stated)), sqrt(avg((mean - measured) ** 2)) FROM each
    """).fetchall()
    values = {row[0]: row[1] for row in found}
    assert [values[name] for name in OF_SPECIMENS] == pytest.approx(expected)


def test_the_page_has_a_strip_and_a_table_of_specimens(read_only):
    page = stored_page(read_only, "grain").decode()
    section = page.partition("<h2>Images of one specimen</h2>")[2].partition("<h2>")[0]
    assert section.count("data:image/png") == 1
    assert f"all {SPECIMENS}" in section
    assert all(f"plate{specimen:02d}" in section for specimen in range(SPECIMENS))
    assert OF_A_SPECIMEN not in page  # its metrics stand in the section, not among the parts


def test_the_interval_is_over_specimens(read_only):
    for metric in spread_of(kept_model(read_only, "grain").card.metrics).values():
        assert metric.lower < metric.value < metric.upper


@pytest.mark.parametrize("method", ["gaussian-process", "forest"])
def test_any_method_for_numbers_has_it(read_only, method):
    parameters = {"trees": 20, "inner_folds": 2} if method == "forest" else {}
    split = {"kind": "kfold", "folds": 3}
    found = fit(read_only, model(GRAIN, method=method, parameters=parameters, split=split))
    assert set(spread_of(found.metrics)) == set(OF_SPECIMENS)
    assert [section.title for section in found.sections] == ["Images of one specimen"]


def test_held_out_images_alone_count(read_only):
    split = {"kind": "holdout", "test_fraction": 0.4}
    found = fit(read_only, model(GRAIN, split=split))
    (rows,) = {metric.rows for metric in spread_of(found.metrics).values()}
    tested = [row for row in found.predictions if row["evaluation"] == "test"]
    assert rows == len(tested) < SPECIMENS * FIELDS
    (section,) = found.sections
    assert section.table[0]["images"] == rows
    assert len(section.table) == 1 + rows // FIELDS


@pytest.mark.parametrize(
    "change",
    [
        {"split": "none"},
        {"split": {"kind": "holdout", "test_fraction": 0.05}},  # a single specimen
        FINISH | {"name": "grain"},
    ],
)
def test_without_two_held_out_specimens_of_numbers_there_is_none(read_only, change):
    found = fit(read_only, model(GRAIN, **change))
    assert not spread_of(found.metrics)
    assert "Images of one specimen" not in [section.title for section in found.sections]


def test_specimens_of_one_image_or_of_several_labels_do_not_count(read_only):
    learning = fit(read_only, model(GRAIN)).learning
    left_out = score_left_out(learning, Ridge(inner_folds=3), 0)
    names = np.array(learning.training_set.rows["sample_id"].to_pylist())
    first, second = np.unique(names)[:2]
    left_out.rows[np.flatnonzero(names == first)[1:]] = False
    target = learning.target + (np.arange(len(names)) == np.flatnonzero(names == second)[0])
    found = repeated_images(dataclasses.replace(learning, target=target), left_out, 0)
    assert set(names[found.rows]) == set(names) - {first, second}
