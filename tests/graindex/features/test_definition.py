import json

import pytest
import yaml

from graindex.errors import FeatureError
from graindex.features.definition import FeatureSet
from graindex.features.files import as_yaml, in_order, make_feature_set, read_feature_set
from graindex.files import sha256

TEXTURE = """
name: ceramic_texture
entity: micrograph
description: Texture of ceramics.
features:
  - vector: micrographs
  - columns: [image_quality.sharpness_tenengrad, samples.sintering_temperature_c]
  - table: particles_2d
    columns: [equivalent_diameter_um, circularity]
    statistics: [mean, sd, q10, q50, q90, count]
    border: exclude
    min_confidence: 0.5
    where: "area_px2 > 20"
  - one_hot: {samples.cool_method: [Q, AR]}
include: [other_set, third@2]
derived: {aspect: "circularity_mean / circularity_sd"}
normalise: {by: session, method: robust}
select: {max_missing: 0.05, min_variance: 1e-8, max_correlation: 0.95}
"""


def fields(**more):
    entry = {"columns": ["image_quality.noise_std"]}
    return {"name": "f", "entity": "micrograph", "features": [entry], **more}


def written(tmp_path, text):
    path = tmp_path / "set.yaml"
    path.write_text(text)
    return path


def test_yaml_and_python_declare_the_same(tmp_path):
    read = read_feature_set(written(tmp_path, TEXTURE))
    made = FeatureSet(**yaml.safe_load(TEXTURE))
    assert read == made
    assert read.features[2].where == "area_px2 > 20"
    assert read.select.min_variance == 1e-8


def test_yaml_and_canonical_text_say_all_of_it(tmp_path):
    read = read_feature_set(written(tmp_path, TEXTURE))
    assert read_feature_set(written(tmp_path, as_yaml(read))) == read
    again = make_feature_set(json.loads(read.canonical()) | {"description": read.description})
    assert again == read
    assert again.definition_hash == sha256(read.canonical())


def test_what_does_not_change_the_values_does_not_change_the_definition():
    plain = make_feature_set(fields())
    spelt = make_feature_set(fields(description="other words", derived={}, normalise=None))
    assert spelt.canonical() == plain.canonical()
    for more in ({"normalise": {}}, {"select": {}}, {"derived": {"x": "noise_std"}}):
        assert make_feature_set(fields(**more)).definition_hash != plain.definition_hash


def test_the_order_of_features_is_part_of_the_definition():
    two = [{"columns": ["samples.a"]}, {"columns": ["samples.b"]}]
    one, other = (make_feature_set(fields(features=f)) for f in (two, two[::-1]))
    assert one.definition_hash != other.definition_hash


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "Ceramic Texture"}, "name: "),
        ({"entity": "grain"}, "entity: "),
        ({"featurs": []}, "featurs: unknown key; did you mean features?"),
        ({"features": []}, "needs features or include"),
        ({"features": [{"colums": ["a.b"]}]}, "features.0: an entry has one of the keys"),
        ({"features": [{"columns": ["noise"]}]}, "'noise': write table.column"),
        (
            {"features": [{"columns": ["a.b"], "prefx": "p"}]},
            "features.0.prefx: unknown key; did you mean prefix?",
        ),
        (
            {"features": [{"table": "particles_2d", "columns": ["a"], "statistics": ["avg"]}]},
            "features.0.statistics.0: 'avg' is no statistic; there are count, mean",
        ),
        (
            {"features": [{"table": "particles_2d", "columns": ["a"], "statistics": ["q0"]}]},
            "'q0' is no statistic",
        ),
        (
            {"features": [{"table": "particles_2d", "statistics": ["mean"]}]},
            "'mean' needs columns",
        ),
        (
            {"features": [{"table": "p", "columns": ["a"], "statistics": ["q5"],
                           "weighted_by": "b"}]},
            "weighted_by weights the mean alone",
        ),
        (
            {"features": [{"table": "p", "statistics": ["count"], "where": "a > (SELECT 1)"}]},
            "features.0.where: 'a > (SELECT 1)': subquery is not allowed",
        ),
        ({"derived": {"x": "random()"}}, "derived: x: 'random()'"),
        ({"derived": {"x y": "1"}}, "derived.x y"),
        ({"normalise": {"by": "day"}}, "normalise.by: "),
        ({"normalise": {"method": "standard", "bye": "session"}}, "normalise.bye: unknown key"),
        ({"select": {"max_missing": 2}}, "select.max_missing: "),
        ({"include": ["Other"]}, "include.0: "),
    ],
)  # fmt: skip
def test_wrong_declarations_are_told_in_one_line_with_file_and_key(tmp_path, change, words):
    path = written(tmp_path, yaml.safe_dump(fields() | change))
    with pytest.raises(FeatureError) as caught:
        read_feature_set(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["name: [", "- a\n- b", ""])
def test_what_is_no_declaration(tmp_path, text):
    with pytest.raises(FeatureError) as caught:
        read_feature_set(written(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_no_file(tmp_path):
    with pytest.raises(FeatureError, match="cannot be read: No such file"):
        read_feature_set(tmp_path / "none.yaml")


def including(name, *others):
    return make_feature_set(fields(name=name, include=others))


def test_sets_come_after_those_they_include():
    sets = [including("a", "b@1", "c", "elsewhere"), including("b", "c"), including("c")]
    assert [one.name for one in in_order(sets)] == ["c", "b", "a"]


def test_sets_that_include_each_other_show_the_circle():
    sets = [including("a", "b"), including("b", "c"), including("c", "a"), including("d", "a")]
    with pytest.raises(FeatureError, match=r"a -> b -> c -> a|b -> c -> a -> b|c -> a -> b -> c"):
        in_order(sets)
    with pytest.raises(FeatureError, match="two feature sets are called 'a'"):
        in_order([including("a"), including("a")])


ELEMENTS, TEMPERATURES = ("ca", "si", "li", "zr", "p"), ("t1", "t2")


def test_products_are_the_published_descriptors():
    columns = [f"samples.{name}" for name in (*ELEMENTS, *TEMPERATURES)]
    products = {"of": [*ELEMENTS, *TEMPERATURES], "without": [["p", "t1"], ["t2", "p"]]}
    made = make_feature_set(fields(features=[{"columns": columns}], products=products))
    assert len(columns) + len(made.derived) == 33
    assert made.derived["ca_squared"] == '"ca" * "ca"'
    assert made.derived["si_x_t2"] == '"si" * "t2"'
    assert not {"p_x_t1", "p_x_t2"} & set(made.derived)
    assert make_feature_set(json.loads(made.canonical())) == made


def test_products_of_a_list_come_after_what_is_derived():
    made = make_feature_set(fields(products=["a", "b"], derived={"c": "noise_std * 2"}))
    assert list(made.derived) == ["c", "a_squared", "b_squared", "a_x_b"]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"products": []}, "at least 1"),
        ({"products": ["a", "a"]}, "stands twice"),
        ({"products": {"of": ["a"], "without": [["a", "b"]]}}, "a × b is no pair"),
        ({"products": ["a"], "derived": {"a_squared": "a"}}, "has a feature 'a_squared' already"),
        ({"products": ["a b"]}, "pattern"),
        ({"products": {"off": ["a"]}}, "of"),
    ],
)
def test_products_that_cannot_be_taken_are_refused(more, told):
    with pytest.raises((FeatureError, ValueError), match=told):
        make_feature_set(fields(**more))
