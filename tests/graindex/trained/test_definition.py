"""Definitions of models: what is refused, in one line, and what makes two equal."""

import pytest

from graindex.errors import ModelError
from graindex.trained.definition import (
    definition_names,
    load_definition,
    read_definition,
    save_definition,
)
from graindex.trained.methods import learner_of
from graindex.trained.units import learned_unit, unit_of
from tests.graindex.trained.conftest import GRAIN, model

YAML = """
method: ridge
feature_set: quality
label: {name: grain_um, transform: log10}
split: leave-one-out
parameters: {inner_folds: 5, scalings: [[1, standard]]}
"""


def test_a_file_may_leave_its_name_to_the_command(tmp_path):
    (tmp_path / "any.yaml").write_text(YAML)
    found = read_definition(tmp_path / "any.yaml", "grain")
    assert (found.name, found.split.kind, found.label.transform) == (
        "grain",
        "leave-one-out",
        "log10",
    )
    learner = learner_of(found.method, found.parameters)
    assert (learner.inner_folds, list(learner.scalings)) == (5, [(1.0, "standard")])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("method: grove\nfeature_set: q\nlabel: x\n", "'grove' is unknown; there are forest"),
        (f"{YAML}colour: red\n", "colour: unknown key; there are datasets, description"),
        (YAML.replace("inner_folds", "inner_fold"), "no parameter 'inner_fold'; there are"),
        (YAML.replace("standard]]", "round]]"), "parameters of method ridge"),
        (f"{YAML}name: other\n", "declares model 'other', not 'grain'"),
        ("- just a list\n", "declare a model by keys"),
        ("method: [\n", "is not YAML"),
        ("method: ridge\nlabel: x\n", "feature_set: Field required"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_the_file(tmp_path, text, told):
    file = tmp_path / "model.yaml"
    file.write_text(text)
    with pytest.raises(ModelError) as caught:
        read_definition(file, "grain")
    assert str(file) in str(caught.value)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ModelError, match="No such file"):
        read_definition(tmp_path / "absent.yaml")


def test_the_home_keeps_definitions(location):
    assert definition_names(location) == []
    with pytest.raises(ModelError, match=r"no model 'grain' is declared \(known: none yet\)"):
        load_definition(location, "grain")
    kept = model(GRAIN, description="µm")
    save_definition(location, kept)
    assert definition_names(location) == ["grain"]
    assert load_definition(location, "grain") == kept


def test_equal_definitions_are_those_that_come_to_the_same_model():
    plain = model(GRAIN, parameters={}).definition_hash
    assert model(GRAIN, parameters={}, description="for people").definition_hash == plain
    assert model(GRAIN, parameters={"inner_folds": 10}).definition_hash == plain
    for change in (
        {"seed": 1},
        {"parameters": {"inner_folds": 9}},
        {"where": "true"},
        {"split": "kfold"},
        {"datasets": ("plates",)},
    ):
        assert model(GRAIN, **{"parameters": {}, **change}).definition_hash != plain, change


@pytest.mark.parametrize(
    ("label", "unit"),
    [
        ("grain_diameter_um", "µm"),
        ("conductivity_s_per_cm", "S/cm"),
        ("sintering_temperature_c", "°C"),
        ("pixel_size_um", "µm"),
        ("finish", None),
        ("um", None),
    ],
)
def test_units_follow_from_names(label, unit):
    assert unit_of(label) == unit


def test_a_logarithm_has_the_unit_of_a_logarithm():
    assert learned_unit("S/cm", "log10") == "log10(S/cm)"
    assert learned_unit(None, "log10") == "log10"
    assert learned_unit(None, None) == "1"
