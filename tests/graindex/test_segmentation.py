"""Which method finds particles, by what is said of it."""

import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graindex.errors import CollectionError, ModelError
from graindex.network_files import network_folder, shipped_networks
from graindex.recipes import load_recipe, make_recipe, save_recipe
from graindex.segmentation import (
    MICROGRAPHS,
    MaskRcnnOptions,
    SliceLinkingOptions,
    StarConvexOptions,
    ViewFusionOptions,
    differing_settings,
    make_options,
    phase_values,
    settings_record,
)
from graindex.segmenters import by_network, load_segmenter, segmenter_digest
from models.segment.mask_rcnn import card as mask_rcnn
from models.segment.star_convex import card as star_convex
from models.segment.watershed_options import WatershedOptions


@pytest.mark.parametrize(
    ("said", "kind", "meant"),
    [
        ({}, "micrographs", MaskRcnnOptions()),
        ({}, "volumes", WatershedOptions()),
        ({"diameter_px": 20.0}, "micrographs", MaskRcnnOptions(diameter_px=20.0)),
        ({"diameter_px": 20.0}, "volumes", ViewFusionOptions(diameter_px=20.0)),
        ({"method": "view-fusion"}, "volumes", ViewFusionOptions()),
        (
            {"method": "slice-linking", "confidence": 0.5},
            "volumes",
            SliceLinkingOptions(confidence=0.5),
        ),
        ({"neck": 0.5}, "micrographs", WatershedOptions(neck=0.5)),
        ({"phase_values": (1,)}, "volumes", WatershedOptions(phase_values=(1,))),
        ({"method": "watershed"}, "micrographs", WatershedOptions()),
        ({"method": "star-convex"}, "micrographs", StarConvexOptions()),
        ({"refine": True}, "micrographs", StarConvexOptions(refine=True)),
    ],
)
def test_an_option_chooses_its_method(said, kind, meant):
    assert make_options(said, kind) == meant


@pytest.mark.parametrize(
    ("said", "kind", "says"),
    [
        ({"method": "star-convex", "neck": 0.5}, "micrographs", "neck is an option of watershed"),
        ({"diameter_px": 9.0, "neck": 0.5}, "micrographs", "neck is an option of watershed"),
        ({"method": "watershed", "diameter_px": 9.0}, "micrographs", "diameter_px is an option of"),
        ({"method": "view-fusion"}, "micrographs", "does not find particles of micrographs"),
        ({"method": "slice-linking"}, "micrographs", "does not find particles of micrographs"),
        ({"method": "slice-linking", "confidence": 1.5}, "volumes", "take a share"),
        ({"method": "star-convex"}, "volumes", "does not find particles of volumes"),
        ({"method": "guess"}, "micrographs", "'guess' does not find particles of micrographs"),
        ({"colour": 1}, "micrographs", "'colour' is unknown; mask-rcnn has confidence, diam"),
        ({"confidence": 1.5}, "micrographs", "take a share"),
        ({"diameter_px": 0.0}, "micrographs", "take more than 0"),
        ({"min_diameter_px": 0.0}, "micrographs", "take 1 or more"),
    ],
)
def test_what_does_not_go_together_is_one_line(said, kind, says):
    with pytest.raises(ValueError, match=says) as caught:
        make_options(said, kind)
    assert "\n" not in str(caught.value)
    with pytest.raises(CollectionError, match=says) as caught:
        make_recipe(dataset="a", location_uri="/a", kind=kind, segmentation=said)
    assert str(caught.value).startswith("segmentation")
    assert "\n" not in str(caught.value)


@given(
    st.one_of(
        st.builds(
            StarConvexOptions,
            diameter_px=st.none() | st.floats(1, 1e4),
            confidence=st.none() | st.floats(0.01, 0.99),
            overlap=st.none() | st.floats(0, 1),
            refine=st.booleans(),
        ),
        st.builds(
            MaskRcnnOptions,
            diameter_px=st.none() | st.floats(1, 1e4),
            confidence=st.none() | st.floats(0.01, 0.99),
            overlap=st.none() | st.floats(0, 1),
        ),
        st.builds(
            WatershedOptions,
            min_diameter_px=st.floats(1, 1e3),
            threshold=st.sampled_from(["otsu", "adaptive", 12.5]),
            phase_values=st.none() | st.tuples(st.integers(0, 9)),
        ),
    )
)
def test_options_come_back_from_what_is_said_of_them(options):
    assert make_options(settings_record(options), "micrographs") == options
    assert make_options(differing_settings(options), "micrographs") == options


@pytest.mark.parametrize(
    "said", [{}, {"diameter_px": 31.5}, {"neck": 0.25}, {"method": "watershed"}]
)
def test_a_recipe_keeps_its_method(location, said):
    recipe = make_recipe(dataset="a", location_uri="/a", segmentation=said)
    save_recipe(location, recipe)
    assert load_recipe(location, "a") == recipe
    method = "watershed" if said.keys() & {"neck", "method"} else "mask-rcnn"
    assert f"method: {method}" in (location.folder / "datasets" / "a.yaml").read_text()


def test_phases_are_of_the_watershed():
    assert phase_values(WatershedOptions(phase_values=(2, 3))) == (2, 3)
    assert phase_values(WatershedOptions()) is None
    assert phase_values(StarConvexOptions()) is None


def test_a_network_that_is_not_there_is_named_beside_those_that_are():
    with pytest.raises(ModelError, match=r"'gone': there is .*micrographs") as caught:
        network_folder("gone")
    assert "\n" not in str(caught.value)
    names = shipped_networks()
    kinds = {name: mask_rcnn if name == MICROGRAPHS else star_convex for name in names}
    digests = {segmenter_digest(network_folder(name), kinds[name].ARTEFACT) for name in names}
    assert len(digests) == len(names) == 3


@pytest.mark.parametrize(
    ("said", "method"),
    [
        ({"model": "micrographs-star-convex"}, "star-convex"),
        ({"model": "micrographs"}, "mask-rcnn"),
        ({"model": "sections", "method": "watershed"}, "watershed"),
        ({"neck": 0.5}, None),
    ],
)
def test_a_network_that_is_named_names_its_method(said, method):
    assert by_network(said, "micrographs").get("method") == method
    assert by_network(said, "volumes") == said


@pytest.fixture
def networks(tmp_path):
    """A folder with a network that may be changed."""
    shutil.copytree(network_folder("sections"), tmp_path / "networks" / "sections")
    segmenter_digest.cache_clear()
    yield tmp_path / "networks" / "sections"
    segmenter_digest.cache_clear()


def test_only_what_decides_labels_changes_the_digest(networks):
    def digest(**changed):
        card = json.loads((networks / "card.json").read_text())
        (networks / "card.json").write_text(json.dumps(card | changed))
        segmenter_digest.cache_clear()
        return segmenter_digest(network_folder(str(networks)))

    first = digest()
    assert digest(limits=["none at all"]) == first
    assert digest(thresholds=[0.9, 0.3]) != first
    assert digest(calibration=[1.0, 0.0]) != digest(calibration=[2.0, 0.0])


@pytest.mark.parametrize("damage", ["cut", "gone", "card", "weights gone"])
def test_a_damaged_network_is_one_line(networks, damage):
    card, weights = networks / "card.json", networks / "weights.safetensors"
    if damage == "cut":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage == "gone":
        shutil.rmtree(networks)
    elif damage == "card":
        card.write_text("{")
    else:
        weights.unlink()
    with pytest.raises(ModelError, match=r"damaged|cannot be read") as caught:
        load_segmenter(str(networks))
    assert "\n" not in str(caught.value)
