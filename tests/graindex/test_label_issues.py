"""Swapped labels among real images come first; rows that stand are not computed again."""

import csv
from pathlib import Path

import numpy as np
import pytest

import graindex
from graindex.catalogue import refresh_micrographs, refresh_samples
from graindex.class_labels import class_labels
from graindex.generated_checks import dictionary_problems
from graindex.label_issues import (
    refresh_label_issues,
    vectors_by_image,
)
from graindex.recipes import make_recipe, save_recipe
from models.learn.label_noise import label_noise
from tests.graindex.planted import collection, replace, state
from tests.graindex.rows import SHA

LABEL = "primary_microconstituent"
DATASET = "uhcs"
SHARE = 0.05
LEAST_OF_ONE_DRAW = 0.6  # five labels are swapped: a draw may well hold two that look alike


def swaps(texts, seed, share=SHARE):
    """Other classes for a share of the images, drawn at random: by place."""
    random = np.random.default_rng(seed)
    count = max(1, round(share * len(texts)))
    classes = sorted(set(texts))
    places = random.choice(len(texts), count, replace=False)
    return {
        int(i): str(random.choice([name for name in classes if name != texts[i]])) for i in places
    }


def found_in_top(rank, places, share=0.1):
    """Share of the places that are among the top-ranked."""
    return np.mean([rank[i] <= np.ceil(share * len(rank)) for i in places])


def refresh(store, dataset):
    return refresh_label_issues(store, store.recipe(dataset), author="test")


def issues(store, dataset, label):
    rows = store.read("label_issues", dataset).to_pylist()
    return {row["micrograph_id"]: row for row in rows if row["label_name"] == label}


def register(store, dataset):
    save_recipe(store.location, make_recipe(dataset=dataset, location_uri="/x"))


@pytest.mark.real_data
def test_of_one_label_in_twenty_swapped_four_in_five_are_in_the_top_tenth(real_collections):
    store = graindex.open(real_collections.home)
    shares = {}
    for dataset, name in ((DATASET, LABEL), ("llzto_llto_sem", "material")):
        vectors = vectors_by_image(store, dataset)
        (label,) = (one for one in class_labels(store, dataset) if one.name == name)
        x = np.stack([vectors[one] for one in label.ids]).astype(float)
        found = []
        for seed in range(12):
            codes = label.codes.copy()
            for place, text in swaps(label.texts, seed).items():
                codes[place] = label.classes.index(text)
            places = np.flatnonzero(codes != label.codes)
            noise = label_noise(x, codes, np.arange(len(codes)), seed)
            found.append(found_in_top(noise.rank, places))
        shares[dataset] = np.mean(found)
    assert shares[DATASET] >= 0.8
    assert shares["llzto_llto_sem"] >= 0.9


@pytest.mark.real_data
def test_clean_labels_raise_few_suspicions_and_swapped_statements_are_found(real_home):
    store = graindex.open(real_home())
    refresh(store, DATASET)
    names = {row["label_name"] for row in store.read("label_issues", DATASET).to_pylist()}
    assert len(names) == 5
    for name in names:
        clean = issues(store, DATASET, name).values()
        assert sum(row["suspected"] for row in clean) <= 0.04 * len(clean), name
        assert sorted(row["issue_rank"] for row in clean) == list(range(1, len(clean) + 1))
    (label,) = (one for one in class_labels(store, DATASET) if one.name == LABEL)
    swapped = {label.ids[i]: text for i, text in swaps(label.texts, 1).items()}
    state(store, DATASET, LABEL, swapped)
    outcome = refresh(store, DATASET)
    assert outcome.computed == len(label.ids)
    assert outcome.kept == outcome.rows - outcome.computed
    rows = issues(store, DATASET, LABEL)
    assert rows.keys() == set(label.ids)
    assert all(rows[one]["label_text"] == text for one, text in swapped.items())
    assert np.mean([rows[one]["issue_rank"] <= 10 for one in swapped]) >= LEAST_OF_ONE_DRAW
    suspected = [row for row in rows.values() if row["suspected"]]
    assert np.mean([row["micrograph_id"] in swapped for row in suspected]) >= 0.5
    assert {row["held_out"] for row in rows.values()} == {"image"}
    assert not dictionary_problems("label_issues", store, DATASET)

    again = refresh(store, DATASET)
    assert (again.computed, again.kept, again.dropped) == (0, outcome.rows, 0)


@pytest.mark.real_data
def test_swapped_rows_of_the_table_of_samples_are_found(real_home, real_data: Path, tmp_path: Path):
    store = graindex.open(real_home())
    with (real_data / DATASET / "metadata.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    swapped = swaps([line[LABEL] for line in lines], 2)
    for place, text in swapped.items():
        lines[place][LABEL] = text
    table = tmp_path / "swapped.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)
    recipe = store.recipe(DATASET).model_copy(update={"samples_uri": str(table)})
    save_recipe(store.location, recipe)
    refresh_samples(store, recipe, author="test")
    refresh_micrographs(store, recipe, author="test")
    refresh(store, DATASET)
    paths = {
        row["micrograph_id"]: row["path"] for row in store.read("micrographs", DATASET).to_pylist()
    }
    ranks = {paths[key]: row["issue_rank"] for key, row in issues(store, DATASET, LABEL).items()}
    found = np.mean([ranks[lines[place]["path"]] <= 10 for place in swapped])
    assert found >= LEAST_OF_ONE_DRAW


def textured(classes=2, specimens=4, images=5, seed=0):
    """Vectors of specimens of classes, and the specimen of each image."""
    random = np.random.default_rng(seed)
    middle = random.normal(size=(classes, 6)) * 4
    codes = np.repeat(np.arange(classes), specimens * images)
    vectors = middle[codes] + random.normal(size=(len(codes), 6))
    return vectors, [f"s{i // images}" for i in range(len(codes))]


def test_named_specimens_are_held_out_whole_and_a_wrong_one_is_suspected(store):
    vectors, specimens = textured()
    own = {f"s{n}": {"state": "pristine" if n < 4 else "cycled"} for n in range(8)}
    own["s1"] = {"state": "cycled"}
    ids = collection(store, "c", vectors, specimens=specimens, own=own)
    register(store, "c")
    refresh(store, "c")
    rows = issues(store, "c", "state")
    assert {row["held_out"] for row in rows.values()} == {"specimen"}
    wrong = [one for one, name in zip(ids, specimens, strict=True) if name == "s1"]
    assert {one for one, row in rows.items() if row["suspected"]} == set(wrong)
    assert {rows[one]["suggested_text"] for one in wrong} == {"pristine"}
    assert all(rows[one]["suggested_text"] is None for one in rows if one not in wrong)


def test_near_duplicates_do_not_vouch_for_each_other(store):
    vectors, _ = textured(specimens=10, images=1)
    vectors[1] = vectors[0]
    ids = collection(store, "c", vectors, specimens=["all"] * len(vectors))
    register(store, "c")
    texts = dict(zip(ids, ["a"] * 10 + ["b"] * 10, strict=True))
    state(store, "c", "kind", texts | {ids[0]: "b", ids[1]: "b"})
    refresh(store, "c")
    apart = issues(store, "c", "kind")[ids[0]]["label_confidence"]
    pair = {
        "dataset": "c",
        "micrograph_id": min(ids[:2]),
        "other_dataset": "c",
        "other_id": max(ids[:2]),
        "duplicate_kind": "near",
        "similarity": 1.0,
        "input_hash": SHA,
        "code_version": "1",
    }
    replace(store, "c", "near_duplicates", [pair])
    assert refresh(store, "c").computed == 20
    assert issues(store, "c", "kind")[ids[0]]["label_confidence"] < apart


def test_what_cannot_be_judged_has_no_rows(store):
    vectors, specimens = textured()
    ids = collection(store, "c", vectors, specimens=specimens)
    register(store, "c")
    assert refresh(store, "c").rows == 0
    state(store, "c", "rare", {ids[0]: "a"} | dict.fromkeys(ids[1:], "b"))
    state(store, "c", "remark", {one: f"remark {one}" for one in ids})
    state(store, "c", "conductivity", {one: float(i + 1) for i, one in enumerate(ids)})
    assert refresh(store, "c").rows == 0
    state(store, "c", "sintered_at_c", {one: 900.0 + 50 * (i < 20) for i, one in enumerate(ids)})
    assert refresh(store, "c").rows == len(ids)
    assert {row["label_text"] for row in issues(store, "c", "sintered_at_c").values()} == {
        "900",
        "950",
    }
    replace(store, "c", "micrographs", [])
    assert refresh(store, "c").dropped == len(ids)
