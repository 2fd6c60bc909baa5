"""Splits: what belongs together stays together, whatever the order, the seed and the kind."""

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from graindex.training.allocation import allocate, imbalance
from graindex.training.splits import (
    Assignment,
    SplitError,
    SplitRequest,
    assign,
    learning_rows,
)
from tests.graindex.rows import key

START = datetime(2026, 1, 1)
FEW = settings(max_examples=60, deadline=None)


def table(specimens, *, sessions=None, days=None, labels=None, **own) -> pa.Table:
    """One row for each specimen named; those named None are of none."""
    count = len(specimens)
    ids = [key(f"image {place}") for place in range(count)]
    numbers = labels if labels and not isinstance(labels[0], str) else [None] * count
    texts = labels if labels and isinstance(labels[0], str) else [None] * count
    return pa.table(
        {
            "dataset": pa.array(["a"] * count),
            "entity_id": pa.array(ids, pa.string()),
            "sample_id": pa.array(
                [None if s is None else key(s) for s in specimens], pa.string()
            ),
            "session_id": pa.array(sessions or [None] * count, pa.string()),
            "acquired_at": pa.array(
                [None if d is None else START + timedelta(days=d) for d in days or [None] * count],
                pa.timestamp("us"),
            ),
            "label_number": pa.array(numbers, pa.float64()),
            "label_text": pa.array(texts, pa.string()),
            **{name: pa.array(values) for name, values in own.items()},
        }
    )  # fmt: skip


def ids(rows: pa.Table, *places: int) -> tuple[str, ...]:
    return tuple(rows["entity_id"][place].as_py() for place in places)


def as_sets(codes) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(codes == code).tolist()) for code in np.unique(codes)}


def by_entity(rows: pa.Table, split: Assignment) -> dict[str, tuple]:
    values = zip(split.fold.tolist(), split.side.tolist(), split.groups.tolist(), strict=True)
    return dict(zip(rows["entity_id"].to_pylist(), values, strict=True))


specimen = st.one_of(st.none(), st.integers(0, 12))
classes = st.sampled_from(["grain", "pore", "crack"])
described = st.lists(
    st.tuples(specimen, st.sampled_from(["s1", "s2", "s3", "s4", None]), classes),
    min_size=12,
    max_size=40,
)
twins = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=4)
requests = st.builds(
    SplitRequest,
    kind=st.sampled_from(["kfold", "leave-one-out", "holdout"]),
    by=st.sampled_from(["sample", "session", ("shape",)]),
    folds=st.integers(2, 3),
    balanced=st.booleans(),
    seed=st.integers(0, 3),
)


def made(described) -> pa.Table:
    specimens, sessions, labels = (list(column) for column in zip(*described, strict=True))
    shapes = [None if s is None else s % 7 for s in specimens]
    return table(specimens, sessions=sessions, labels=labels, shape=shapes)


def groups_by_hand(rows: pa.Table, request: SplitRequest, pairs) -> set[frozenset[int]]:
    """Rows that hang together, found by joining until nothing joins any more."""
    column = {"sample": "sample_id", "session": "session_id"}.get(request.by[0], request.by[0])
    groups = [{place} for place in range(rows.num_rows)]
    same = [
        {n for n, value in enumerate(rows[name].to_pylist()) if value == wanted}
        for name in ("sample_id", column)
        for wanted in set(rows[name].to_pylist()) - {None}
    ]
    for bond in [*same, *(set(pair) for pair in pairs)]:
        touched = [group for group in groups if group & bond]
        groups = [group for group in groups if not group & bond] + [set().union(*touched)]
    return {frozenset(group) for group in groups}


@FEW
@given(described=described, twins=twins, request_=requests, shuffle=st.randoms())
def test_every_row_is_tested_once_in_whole_groups_and_in_any_order(
    described, twins, request_, shuffle
):
    rows = made(described)
    pairs = [ids(rows, *pair) for pair in twins]
    expected = groups_by_hand(rows, request_, twins)
    parts = {"kfold": request_.folds}.get(request_.kind, 2)
    if len(expected) < parts:
        with pytest.raises(SplitError, match=f"of {len(expected)} groups"):
            assign(request_, rows, pairs)
        return
    split = assign(request_, rows, pairs)
    assert as_sets(split.groups) == expected
    for group in expected:
        assert len({(split.fold[n], split.side[n]) for n in group}) == 1
    if request_.kind == "holdout":
        assert set(split.side.tolist()) == {"train", "test"}
        assert ((split.fold == 0) == (split.side == "test")).all()
        assert ((split.fold == -1) == (split.side == "train")).all()
    else:
        folds = request_.folds if request_.kind == "kfold" else len(expected)
        assert set(split.fold.tolist()) == set(range(folds))
        assert set(split.side.tolist()) == {"cross-validation"}
    places = list(range(rows.num_rows))
    shuffle.shuffle(places)
    shuffled = rows.take(pa.array(places))
    turned = [(b, a) for a, b in reversed(pairs)]
    assert by_entity(shuffled, assign(request_, shuffled, turned)) == by_entity(rows, split)


@FEW
@given(data=st.data(), groups=st.integers(4, 20), number=st.integers(1, 4))
def test_balanced_parts_are_never_less_even_than_others(data, groups, number):
    drawn = data.draw(
        st.lists(
            st.lists(st.integers(0, 9), min_size=number, max_size=number).filter(any),
            min_size=groups,
            max_size=groups,
        )
    )
    counts = np.array(drawn, np.int64)
    shares = data.draw(st.sampled_from([np.full(3, 1 / 3), np.array([0.8, 0.2])]))
    turn = np.array(data.draw(st.permutations(range(groups))))
    plain, even = (allocate(counts, shares, turn, balanced=b) for b in (False, True))
    sizes = counts.sum(axis=1, keepdims=True)
    whole = np.concatenate((sizes, counts[:, counts.any(axis=0)]), axis=1)
    assert imbalance(whole, shares, even) <= imbalance(whole, shares, plain)
    assert set(plain.tolist()) == set(even.tolist()) == set(range(len(shares)))


def test_a_perfect_deal_is_found_and_has_no_imbalance():
    counts = np.array([[6, 0]] * 5 + [[0, 6]] * 5)
    shares = np.full(5, 0.2)
    parts = allocate(counts, shares, np.arange(10), balanced=True)
    assert imbalance(counts, shares, parts) == pytest.approx(0)


def test_classes_are_more_even_when_they_are_balanced():
    rng = np.random.default_rng(0)
    specimens = np.repeat(np.arange(40), rng.integers(1, 5, 40)).tolist()
    labels = [["grain", "pore", "crack", "edge"][s % 4] for s in specimens]
    rows = table(specimens, labels=labels)

    def apart(split: Assignment) -> float:
        shares = [
            [np.mean([label == name for label, f in zip(labels, split.fold, strict=True) if f == k])
             for name in sorted(set(labels))]
            for k in range(5)
        ]  # fmt: skip
        return float(np.std(shares, axis=0).sum())

    seeds = range(8)
    plain = [apart(assign(SplitRequest(seed=s), rows)) for s in seeds]
    even = [apart(assign(SplitRequest(seed=s, balanced=True), rows)) for s in seeds]
    assert max(even) < min(plain)
    assert np.mean(even) < 0.4 * np.mean(plain)


def test_numbers_are_balanced_by_tenths():
    values = [float(n) for n in range(60)]
    split = assign(SplitRequest(folds=3, balanced=True), table(range(60), labels=values))
    means = [
        np.mean([v for v, f in zip(values, split.fold, strict=True) if f == k]) for k in range(3)
    ]
    assert np.ptp(means) < 3
    with pytest.raises(SplitError, match="balanced split needs labels"):
        assign(SplitRequest(balanced=True), table(range(9)))


def test_another_seed_is_another_split():
    rows = table(range(30))
    splits = {tuple(assign(SplitRequest(seed=s), rows).fold.tolist()) for s in range(5)}
    assert len(splits) == 5


def test_a_chain_of_near_duplicates_through_an_image_without_label_joins_its_ends():
    rows = table(range(6))
    first, last = ids(rows, 0, 5)
    split = assign(SplitRequest(kind="leave-one-out"), rows, [(first, "gone"), ("gone", last)])
    assert split.groups[0] == split.groups[5]
    assert len(set(split.groups.tolist())) == 5
    assert "near-duplicates join 6 groups to 5" in split.notes


def test_rows_of_no_specimen_are_apart_and_told():
    split = assign(SplitRequest(folds=2), table([None, None, 1, 1]))
    assert len(set(split.groups.tolist())) == 3
    assert "2 rows of no specimen are grouped by image alone" in split.notes


def test_several_columns_make_a_group_together_and_sessions_join_on_top():
    rows = table(range(6), sessions=["x", None, None, None, None, "x"],
                 heat=[1, 1, 2, 2, None, None], time=["a", "b", "a", "a", None, None])  # fmt: skip
    split = assign(SplitRequest(kind="leave-one-out", by=("heat", "time")), rows)
    assert as_sets(split.groups) == {frozenset(g) for g in ((0,), (1,), (2, 3), (4,), (5,))}
    split = assign(SplitRequest(kind="leave-one-out", by=("heat", "time"), also_by="session"), rows)
    assert as_sets(split.groups) == {frozenset(g) for g in ((0, 5), (1,), (2, 3), (4,))}
    assert "2 rows without heat and time are grouped by specimen and image alone" in split.notes


def test_images_of_one_specimen_are_parted_only_where_that_is_allowed():
    rows = table([0, 0, 1, 2, 3, 4])
    with pytest.raises(SplitError, match=r"by micrograph would leak: 1 specimens have several"):
        assign(SplitRequest(by="micrograph", folds=2), rows)
    split = assign(SplitRequest(by="micrograph", folds=6, allow_leakage=True), rows)
    assert sorted(split.fold.tolist()) == list(range(6))
    assert "leakage: 1 specimens lie on several sides" in split.notes
    alone = table(range(6))
    assert assign(SplitRequest(by="micrograph", folds=2), alone).notes[0].startswith("2 parts")
    with pytest.raises(SplitError, match="1 near-duplicates would be parted"):
        assign(SplitRequest(by="micrograph", folds=2), alone, [ids(alone, 0, 1)])


def test_particles_of_one_image_stay_together_by_micrograph():
    rows = table([0, 0, 1, 1], content_hash=["a", "a", "b", "b"])
    split = assign(SplitRequest(by="micrograph", kind="leave-one-out"), rows)
    assert as_sets(split.groups) == {frozenset((0, 1)), frozenset((2, 3))}
    unnamed = table([None] * 4, content_hash=["a", "a", "b", "b"])
    assert as_sets(assign(SplitRequest(folds=2), unnamed).groups) == as_sets(split.groups)


def test_more_folds_than_groups_say_how_many_there_are():
    with pytest.raises(SplitError, match=r"5 folds of 3 groups: the 6 rows unite to no more"):
        assign(SplitRequest(), table([0, 0, 1, 1, 2, 2]))
    with pytest.raises(SplitError, match="leave-one-out of 1 groups"):
        assign(SplitRequest(kind="leave-one-out"), table([0, 0]))


def test_wrong_rows_and_columns_are_told():
    rows = table([0, 1])
    with pytest.raises(SplitError, match="stands more than once"):
        assign(SplitRequest(), pa.concat_tables([rows, rows]))
    with pytest.raises(SplitError, match="no rows"):
        assign(SplitRequest(), rows.slice(0, 0))
    with pytest.raises(SplitError, match=r"'materal', which is no column .* did you mean material"):
        assign(SplitRequest(by="materal"), table([0, 1], material=["a", "b"]))


def test_no_split_trains_on_everything():
    split = assign(SplitRequest(kind="none"), table([0, 1, 1]))
    assert split.side.tolist() == ["train"] * 3
    assert split.fold.tolist() == [-1] * 3


@FEW
@given(
    days=st.lists(st.integers(0, 60), min_size=6, max_size=30),
    specimens=st.lists(st.integers(0, 20), min_size=30, max_size=30),
    blocks=st.integers(2, 4),
    gap=st.integers(0, 6),
)
def test_what_is_tested_in_time_is_later_than_all_it_is_learned_from(days, specimens, blocks, gap):
    rows = table(specimens[: len(days)], days=days)
    request = SplitRequest(kind="time", blocks=blocks, gap=timedelta(days=gap))
    try:
        split = assign(request, rows)
    except SplitError as error:
        assert "places to cut" in str(error) or "leaves nothing to learn from" in str(error)
        return
    assert set(split.fold.tolist()) == set(range(-1, blocks - 1))
    at = np.array(days)
    for specimen in set(specimens[: len(days)]):
        inside = np.array(specimens[: len(days)]) == specimen
        assert len(set(split.fold[inside].tolist())) == 1
    told = rows.append_column("fold", pa.array(split.fold))
    told = told.append_column("side", pa.array(split.side.tolist()))
    learnt = 0
    for fold in range(blocks - 1):
        learns = learning_rows(request, told, fold)
        learnt += learns.sum()
        tested = split.fold == fold
        if learns.any():
            assert at[learns].max() + gap <= at[tested].min()
            assert at[learns].max() < at[tested].min()
        left = ~learns & ~tested & (at < at[tested].min())
        assert (at[left] + gap > at[tested].min()).all()
    assert learnt > 0


def test_a_boundary_across_a_specimen_or_a_session_would_leak():
    days = [0, 1, 2, 8, 9, 10]
    boundary = START + timedelta(days=5)
    across = table([0, 1, 2, 2, 3, 4], days=days)
    request = SplitRequest(kind="time", boundaries=(boundary,))
    with pytest.raises(
        SplitError, match=r"1 specimens lie on both sides .* cut at 2026-01-03 00:00"
    ):
        assign(request, across)
    leaking = assign(request.model_copy(update={"allow_leakage": True}), across)
    assert leaking.side.tolist() == ["train"] * 3 + ["test"] * 3
    assert "leakage: 1 specimens lie on several sides" in leaking.notes
    session = table(range(6), days=days, sessions=["p", "p", "q", "q", "r", "r"])
    with pytest.raises(SplitError, match="1 sessions lie on both sides"):
        assign(request, session)
    twins = table(range(6), days=days)
    with pytest.raises(SplitError, match="1 near-duplicates lie on both sides"):
        assign(request, twins, [ids(twins, 0, 5)])
    assert assign(request, twins).side.tolist() == leaking.side.tolist()


def test_times_that_cannot_be_split_are_told():
    with pytest.raises(SplitError, match=r"1 of 3 rows have no acquired_at"):
        assign(SplitRequest(kind="time"), table([0, 1, 2], days=[1, 2, None]))
    outside = SplitRequest(kind="time", boundaries=(START - timedelta(days=5),))
    with pytest.raises(SplitError, match=r"no row was acquired from .* choose other boundaries"):
        assign(outside, table([0, 1], days=[1, 2]))
    with pytest.raises(SplitError, match="leaves nothing to learn from"):
        assign(SplitRequest(kind="time", gap="30d"), table([0, 1], days=[1, 2]))


def test_the_rows_in_the_gap_take_no_part():
    split = assign(
        SplitRequest(kind="time", boundaries=(START + timedelta(days=8),), gap="3d"),
        table(range(5), days=[0, 5, 6, 8, 9]),
    )
    assert split.side.tolist() == ["train", "train", "gap", "test", "test"]


def test_a_column_says_the_side_and_is_refused_where_it_leaks():
    request = SplitRequest(kind="column", column="part")
    sides = assign(request, table([0, 1, 2], part=["train", "Test", "train"]))
    assert sides.side.tolist() == ["train", "test", "train"]
    assert sides.fold.tolist() == [-1, 0, -1]
    folds = assign(request, table([0, 1, 2], part=[3.0, 1.0, 3.0]))
    assert folds.fold.tolist() == [1, 0, 1]
    with pytest.raises(SplitError, match="column 'part' would leak: 1 specimens"):
        assign(request, table([0, 0, 1], part=["train", "test", "test"]))
    with pytest.raises(SplitError, match="says 'later' where"):
        assign(request, table([0, 1], part=["train", "later"]))
    with pytest.raises(SplitError, match="says None where"):
        assign(request, table([0, 1], part=["train", None]))
    with pytest.raises(SplitError, match="'part', which is no column"):
        assign(request, table([0, 1]))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"kind": "column"}, "needs the name of a column"),
        ({"column": "part"}, "and no other"),
        ({"by": ()}, "by is empty"),
        ({"by": ("micrograph", "sample")}, "nothing beside it"),
        ({"boundaries": ("2026-01-01T00:00Z",)}, "without a zone"),
        ({"boundaries": ("2026-02-01", "2026-01-01")}, "must grow"),
        ({"folds": 1}, "greater than or equal to 2"),
        ({"gap": "-1"}, "gap"),
        ({"unknown": 1}, "Extra inputs"),
    ],
)
def test_requests_that_make_no_sense_are_refused(fields, why):
    with pytest.raises(ValidationError, match=why):
        SplitRequest(**fields)


def test_a_request_survives_json_and_may_be_a_kind_alone():
    request = SplitRequest(kind="time", boundaries=(START,), gap="36h", by="session", also_by="a")
    assert SplitRequest.model_validate(request.model_dump(mode="json")) == request
    assert request.columns == ("a",)
    assert SplitRequest.model_validate("holdout") == SplitRequest(kind="holdout")


@pytest.mark.real_data
def test_real_specimens_and_sessions_stay_together(real_collections):
    from graindex.entities import entity_rows
    from graindex.store import open_store

    store = open_store(real_collections.home)
    images = entity_rows(store, "micrograph", datasets=["llzto_llto_sem"])
    split = assign(SplitRequest(by="session"), images)
    for column in ("sample_id", "session_id"):
        of_group = {}
        for value, fold in zip(images[column].to_pylist(), split.fold.tolist(), strict=True):
            assert of_group.setdefault(value, fold) == fold
    times = np.array(images["acquired_at"].to_pylist())
    later = assign(SplitRequest(kind="time"), images)
    assert times[later.side == "train"].max() < times[later.side == "test"].min()
    middle = sorted(times)[len(times) // 2]
    with pytest.raises(SplitError, match="would leak"):
        assign(SplitRequest(kind="time", boundaries=(middle,)), images)
    treatment = ("anneal_temperature", "anneal_time", "anneal_time_unit", "cool_method")
    heated = store.table(
        "SELECT *, micrograph_id AS entity_id FROM micrograph_catalog WHERE dataset = 'uhcs'"
    ).select(["dataset", "entity_id", "sample_id", "session_id", "acquired_at", *treatment])
    conditions = heated.group_by(list(treatment)).aggregate([]).num_rows
    split = assign(SplitRequest(kind="leave-one-out", by=treatment), heated)
    assert len(set(split.fold.tolist())) == conditions == 20
