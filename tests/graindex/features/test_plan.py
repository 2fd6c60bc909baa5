import pytest

from graindex.errors import FeatureError
from graindex.features.files import make_feature_set
from graindex.features.plan import plan

TABLES = {
    "samples": {"sample_id": "VARCHAR", "temperature": "DOUBLE", "cooling": "VARCHAR"},
    "micrographs": {"pixel_size_um": "DOUBLE", "acquired_at": "TIMESTAMP", "path": "VARCHAR"},
    "image_quality": {"noise_std": "DOUBLE", "contrast_std": "DOUBLE"},
    "particle_masks_2d": {"particle_count": "BIGINT"},
    "volumes": {"voxel_size_z_um": "DOUBLE"},
    "particles_2d": {
        "particle_id": "VARCHAR", "circularity": "DOUBLE", "area_px2": "DOUBLE",
        "touches_border": "BOOLEAN", "segmentation_confidence": "DOUBLE",
    },
    "particles_3d": {"particle_id": "VARCHAR", "damage": "DOUBLE", "touches_border": "BOOLEAN"},
    "contacts": {"contact_area_um2": "DOUBLE"},
}  # fmt: skip


class Tables:
    def columns(self, name, /):
        return TABLES[name]


def planned(entity, *features, others=(), **more):
    sets = {one["name"]: make_feature_set(one) for one in others}
    definition = make_feature_set({"name": "f", "entity": entity, "features": features, **more})
    return plan(definition, Tables(), lambda reference: sets[reference.partition("@")[0]])


def error(*arguments, **more):
    with pytest.raises(FeatureError) as caught:
        planned(*arguments, **more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def origins(feature):
    return {origin.column: origin.aggregation for origin in feature.origins}


def statistics(**more):
    return {"table": "particles_2d", "columns": ["circularity"], "statistics": ["mean"], **more}


def test_features_know_the_columns_they_come_from():
    entries = (
        {"columns": ["image_quality.noise_std", "samples.temperature"]},
        statistics(where="area_px2 > 9", min_confidence=0.5),
        {"vector": "micrographs"},
    )
    found = {f.name: f for f in planned("micrograph", *entries, derived={"x": "noise_std + 1"})}
    assert list(found) == ["noise_std", "temperature", "circularity_mean", "vector", "x"]
    assert origins(found["noise_std"]) == {"image_quality.noise_std": None}
    assert origins(found["circularity_mean"]) == {
        "particles_2d.circularity": "mean",
        "particles_2d.touches_border": "filter",
        "particles_2d.segmentation_confidence": "filter",
        "particles_2d.area_px2": "filter",
    }
    assert set(origins(found["vector"])) == {
        "micrograph_vectors.vector", "micrograph_vectors.vector_norm"
    }  # fmt: skip
    assert origins(found["x"]) == {"image_quality.noise_std": None}


def test_features_of_a_specimen_are_means_over_its_images():
    found = planned("sample", {"columns": ["image_quality.noise_std", "samples.temperature"]})
    assert [origins(f).popitem()[1] for f in found] == ["mean", None]


def test_provenance_goes_through_included_sets():
    inner = {"name": "inner", "entity": "micrograph", "features": [statistics()]}
    (found,) = planned("sample", include=["inner@3"], others=[inner])
    assert origins(found) == {
        "particles_2d.circularity": "mean of mean", "particles_2d.touches_border": "filter"
    }  # fmt: skip


def test_what_included_sets_share_is_there_once():
    base = {"name": "base", "entity": "micrograph", "features": [statistics()]}
    sides = [{"name": n, "entity": "micrograph", "include": ["base"]} for n in ("left", "right")]
    found = planned("micrograph", include=["left", "right"], others=[base, *sides])
    assert [f.name for f in found] == ["circularity_mean"]
    below = [{**side, "entity": "sample"} for side in sides]
    assert len(planned("sample", include=["left", "right"], others=[base, *below])) == 1


@pytest.mark.parametrize(
    ("entity", "entry", "words"),
    [
        ("micrograph", {"columns": ["image_qualty.noise_std"]}, "did you mean image_quality?"),
        ("micrograph", {"columns": ["image_quality.noise"]}, "did you mean noise_std?"),
        (
            "micrograph",
            {"columns": ["image_quality.sharp"]},
            "no column 'sharp'; there are contrast_std, noise_std",
        ),
        (
            "micrograph",
            {"columns": ["samples.cooling"]},
            "samples.cooling is text and features are numbers: declare its values, "
            "one_hot: {samples.cooling: [VALUE, …]}",
        ),
        ("micrograph", {"columns": ["micrographs.acquired_at"]}, "is timestamp and features"),
        (
            "micrograph",
            {"columns": ["particles_2d.circularity"]},
            "many rows per micrograph; ask for statistics",
        ),
        ("micrograph", {"columns": ["volumes.voxel_size_z_um"]}, "says nothing of a micrograph"),
        ("volume", {"vector": "micrographs"}, "says nothing of a volume"),
        (
            "micrograph",
            {"table": "image_quality", "columns": ["noise_std"], "statistics": ["mean"]},
            "write columns: [image_quality.noise_std]",
        ),
        ("particle", statistics(), "write columns: [particles_2d.circularity]"),
        ("micrograph", statistics(columns=["circularty"]), "did you mean circularity?"),
        ("micrograph", statistics(where="areapx2 > 3"), "did you mean area_px2?"),
        ("micrograph", statistics(weighted_by="pixels"), "no column 'pixels'"),
        (
            "volume",
            {"table": "contacts", "statistics": ["count"], "border": "exclude"},
            "contacts has no column 'touches_border': leave border out",
        ),
        (
            "volume",
            {"table": "particles_3d", "statistics": ["count"], "min_confidence": 0.5},
            "leave min_confidence out",
        ),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(entity, entry, words):
    told = error(entity, entry)
    assert told.startswith("feature set 'f': ")
    assert words in told


def test_two_features_of_one_name():
    told = error("micrograph", statistics(), statistics(border="include"))
    assert "two features are called 'circularity_mean'" in told and "prefix" in told
    found = planned("micrograph", statistics(), statistics(border="include", prefix="all_"))
    assert [f.name for f in found] == ["circularity_mean", "all_circularity_mean"]
    assert len(planned("micrograph", statistics(), statistics())) == 1
    told = error("micrograph", statistics(), derived={"Circularity_Mean": "1"})
    assert "rename the derived one" in told


def test_derived_features_that_need_each_other_or_nothing_known():
    noise = {"columns": ["image_quality.noise_std"]}
    told = error("micrograph", noise, derived={"a": "b + 1", "b": "c", "c": "a", "d": "a"})
    circles = ("a -> b -> c -> a", "b -> c -> a -> b", "c -> a -> b -> c")
    assert any(circle in told for circle in circles)
    assert "a -> a" in error("micrograph", noise, derived={"a": "a + noise_std"})
    told = error("micrograph", noise, derived={"a": "nois_std"})
    assert "did you mean noise_std?" in told
    told = error("micrograph", {"vector": "micrographs"}, derived={"a": "vector"})
    assert "no feature of the set that is a number" in told


def test_sets_that_include_each_other():
    def including(name, *others):
        return {"name": name, "entity": "micrograph", "include": others}

    others = [including("a", "b@1"), including("b", "c"), including("c", "f@4")]
    told = error("micrograph", include=["a"], others=others)
    assert "f -> a -> b -> c -> f" in told
    assert "f -> f" in error("micrograph", include=["f@1"])
    told = error("micrograph", include=["a"], others=[including("a", "b"), including("b", "a")])
    assert "a -> b -> a" in told


def test_sets_of_what_is_elsewhere_cannot_be_included():
    volume = {"name": "v", "entity": "volume"}
    volume |= {"features": [{"columns": ["volumes.voxel_size_z_um"]}]}
    assert "says nothing of a micrograph" in error("micrograph", include=["v"], others=[volume])
    particle = {"name": "p", "entity": "particle", "particles": "particles_3d"}
    particle |= {"features": [{"columns": ["particles_3d.damage"]}]}
    assert "leave it out" in error("particle", include=["p"], others=[particle])
    assert "leave it out" in error("micrograph", include=["p"], others=[particle])
    assert len(planned("volume", include=["p"], others=[particle])) == 1
