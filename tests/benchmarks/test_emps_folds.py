"""Folds of EMPS: no paper in two of them, equal in size, the same whatever the order of lines."""

import importlib.util
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

FILE = Path(__file__).parents[2] / "benchmarks" / "emps_folds.py"


@pytest.fixture(scope="module")
def folds():
    spec = importlib.util.spec_from_file_location("emps_folds", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sizes(fold_of, count):
    return [list(fold_of.values()).count(fold) for fold in range(count)]


@given(st.lists(st.integers(0, 12), min_size=1, max_size=60), st.integers(2, 6), st.randoms())
def test_papers_stay_whole_and_folds_are_balanced(folds, papers, count, rng):
    sources = [(f"image{n}", f"paper{paper}") for n, paper in enumerate(papers)]
    fold_of = folds.paper_folds(sources, count)
    assert set(fold_of) == {image for image, _ in sources}
    assert len({(paper, fold_of[image]) for image, paper in sources}) == len(set(papers))
    largest = max(papers.count(paper) for paper in papers)
    assert max(sizes(fold_of, count)) - min(sizes(fold_of, count)) <= largest
    shuffled = random.Random(rng.random()).sample(sources, len(sources))
    assert folds.paper_folds(shuffled, count) == fold_of


@pytest.mark.real_data
def test_folds_of_the_collection_are_the_documented_ones(folds, real_data):
    fold_of = folds.paper_folds(folds.read_sources(real_data / "emps"))
    assert sizes(fold_of, 5) == [33, 33, 32, 32, 32]
