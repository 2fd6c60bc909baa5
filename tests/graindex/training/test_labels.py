"""Labels of entities: no looking ahead, the nearest level first, one label of many labellers."""

import shutil
import statistics
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from graindex.entities import entity_rows
from graindex.errors import QueryError
from graindex.store import open_store
from graindex.training.labellers import LabellerPolicy, Votes, settle
from graindex.training.labels import LabelError, LabelRequest, label_notes, labels_of
from graindex.training.point_in_time import NONE
from schemas.arrow import from_records
from schemas.tables import TABLES
from tests.graindex.particle_rows import measured_image
from tests.graindex.rows import key, micrograph, samples

DAY = datetime(2026, 3, 1)
# Image, its specimen and the day on which it was acquired.
IMAGES = [("i0", "s0", 0), ("i1", "s0", 4), ("i2", "s1", 2), ("i3", "s1", None), ("i4", "s2", 3)]


def day(number: float | None) -> datetime | None:
    return None if number is None else DAY + timedelta(days=number)


@pytest.fixture(scope="module")
def stocked_home(empty_home, tmp_path_factory):
    """Specimens with a class and a number, and images of them at several times."""
    home = tmp_path_factory.mktemp("stocked") / "home"
    shutil.copytree(empty_home, home)
    own = [
        {"grade": "high", "sigma": 1e-3},
        {"grade": "low", "sigma": 1e-5},
        {"grade": None, "sigma": 0.0},
    ]
    specimens = [samples("a", [f"s{n}"], values) for n, values in enumerate(own)]
    images = [
        micrograph("a", name, sample_id=key(specimen), acquired_at=day(when), instrument="SEM")
        for name, specimen, when in IMAGES
    ]
    tables = {
        "samples": pa.concat_tables(specimens, promote_options="default"),
        "micrographs": from_records(TABLES["micrographs"], images),
    }
    open_store(home).lake.replace(tables, "a", author="test", message="test")
    return home


@pytest.fixture
def stocked(stocked_home, tmp_path):
    shutil.copytree(stocked_home, tmp_path / "stocked")
    return open_store(tmp_path / "stocked")


@pytest.fixture(scope="module")
def shared(stocked_home, tmp_path_factory):
    """One home whose statements each test replaces as a whole."""
    home = tmp_path_factory.mktemp("shared") / "home"
    shutil.copytree(stocked_home, home)
    return open_store(home)


def statement(place: int, about: str, value, when=None, labeller="ann", kind="sample", **more):
    texts = isinstance(value, str)
    return {
        "dataset": "a",
        "label_id": key(place),
        "entity_kind": kind,
        "entity_id": key(about),
        "label_name": "x",
        "label_text": value if texts else None,
        "label_number": None if texts else value,
        "labeller": labeller,
        "measured_at": None if when is None else day(when).replace(tzinfo=UTC),
        "recorded_at": datetime(2026, 6, 1, tzinfo=UTC) + timedelta(minutes=place),
        **more,
    }


def state(store, *statements) -> int:
    rows = from_records(TABLES["labels"], list(statements))
    return store.lake.replace({"labels": rows}, "a", author="test", message="test")


@cache
def entities_of(store, kind: str) -> pa.Table:
    return entity_rows(store, kind, datasets=["a"])


def found(store, request, kind="micrograph", as_of=None) -> dict[str, object]:
    """Label by the name of the image or specimen."""
    entities = entities_of(store, kind)
    labels = labels_of(store, request, entities, kind, as_of)
    names = {key(name): name for name in ("i0", "i1", "i2", "i3", "i4", "s0", "s1", "s2")}
    return {
        names[row["entity_id"]]: (
            row["label_text"] if row["label_number"] is None else row["label_number"]
        )
        for row in labels.to_pylist()
    }


def test_columns_of_specimens_are_timeless_labels_of_the_collection(stocked):
    entities = entity_rows(stocked, "micrograph", datasets=["a"])
    labels = labels_of(stocked, "grade", entities, "micrograph")
    assert labels.schema.names == [
        "entity_id",
        "label_number",
        "label_text",
        "labeller",
        "measured_at",
    ]
    kept = [row["entity_id"] for row in entities.to_pylist() if row["sample_id"] != key("s2")]
    assert labels["entity_id"].to_pylist() == kept
    assert set(labels["labeller"].to_pylist()) == {"collection"}
    assert labels["measured_at"].null_count == len(kept)
    assert found(stocked, "sigma", "sample") == {"s0": 1e-3, "s1": 1e-5, "s2": 0.0}


@pytest.mark.parametrize(
    ("timing", "want"),
    [
        # s0 was measured on days 1 and 3, s1 on day 2 and s2 on no day that is known.
        ("before", {"i1": 3.0, "i2": 12.0, "i4": 20.0}),
        ("after", {"i0": 1.0, "i2": 12.0, "i4": 20.0}),
        ("nearest", {"i0": 1.0, "i1": 3.0, "i2": 12.0, "i4": 20.0}),
        ("any", {"i0": 3.0, "i1": 3.0, "i2": 12.0, "i3": 12.0, "i4": 20.0}),
    ],
)
def test_each_timing_takes_its_statement(shared, timing, want):
    rows = [(0, "s0", 1.0, 1), (1, "s0", 3.0, 3), (2, "s1", 12.0, 2), (3, "s2", 20.0, None)]
    state(shared, *(statement(*row) for row in rows))
    request = LabelRequest(name="x", timing=timing)
    assert found(shared, request) == want
    late = found(shared, request.model_copy(update={"unknown_time": "latest"}))
    assert late == {**want, "i3": 12.0}


def test_a_tolerance_lets_dated_statements_expire(shared):
    state(shared, statement(0, "s0", 1.0, 1), statement(1, "s1", 2.0, 2), statement(2, "s1", 5.0))
    near = LabelRequest(name="x", tolerance=timedelta(days=2))
    assert found(shared, near) == {"i2": 2.0, "i3": 5.0}
    assert found(shared, LabelRequest(name="x", tolerance="3d"))["i1"] == 1.0


def test_a_zone_says_when_an_instrument_shows_a_time(shared):
    # Acquired on day 4 at midnight on the clock; in Seoul that is nine hours sooner.
    state(shared, statement(0, "s0", 1.0, 3.7), statement(1, "s0", 2.0, 4))
    assert found(shared, LabelRequest(name="x"))["i1"] == 2.0
    assert "i1" not in found(shared, LabelRequest(name="x", zone="Asia/Seoul"))
    state(shared, statement(0, "s0", 1.0, 3.6))
    assert found(shared, LabelRequest(name="x", zone="Asia/Seoul"))["i1"] == 1.0


def test_the_nearest_level_that_says_something_counts(shared):
    rows = [
        statement(0, "i1", 1.0, 3, kind="micrograph"),
        statement(1, "i0", 9.0, 1, kind="micrograph"),  # only later than the image
        statement(2, "s0", 2.0),
        statement(3, "s1", 3.0),
    ]
    state(shared, *rows)
    assert found(shared, "x") == {"i0": 2.0, "i1": 1.0, "i2": 3.0, "i3": 3.0}
    assert found(shared, LabelRequest(name="x", of="micrograph")) == {"i1": 1.0}
    assert found(shared, LabelRequest(name="x", of="sample"))["i1"] == 2.0
    assert found(shared, "x", "sample") == {"s0": 2.0, "s1": 3.0}
    named = [{**row, "label_name": "sigma"} for row in rows]
    state(shared, *named)
    assert found(shared, "sigma") == {"i0": 2.0, "i1": 1.0, "i2": 3.0, "i3": 3.0, "i4": 0.0}


def test_particles_take_labels_of_their_own_of_their_image_and_of_their_specimen(stocked):
    image = np.zeros((20, 20), np.int32)
    image[2:8, 2:8], image[11:18, 11:18] = 1, 2
    parts = [
        measured_image("a", name, image, 0.1, sample_id=key(specimen))
        for name, specimen, _ in IMAGES[:3]
    ]
    tables = {name: pa.concat_tables([part[name] for part in parts]) for name in parts[0]}
    stocked.lake.replace(tables, "a", author="test", message="test")
    particles = stocked.read("particles_2d", "a").to_pylist()
    one = next(row["particle_id"] for row in particles if row["micrograph_id"] == key("i0"))
    state(
        stocked,
        statement(0, "", "crack", kind="particle", entity_id=one),
        statement(1, "i0", "edge", kind="micrograph"),
        statement(2, "s0", "grain"),
    )
    entities = entity_rows(stocked, "particle", datasets=["a"])
    labels = labels_of(stocked, "x", entities, "particle").to_pylist()
    of = {row["particle_id"]: row["micrograph_id"] for row in particles}
    for row in labels:
        want = {key("i0"): "edge", key("i1"): "grain"}[of[row["entity_id"]]]
        assert row["label_text"] == ("crack" if row["entity_id"] == one else want)
    assert len(labels) == 4  # two particles of each image of s0
    with pytest.raises(LabelError, match="stated of each micrograph and particle and sample"):
        labels_of(stocked, LabelRequest(name="x", of="volume"), entities, "particle")


def test_what_was_recorded_or_measured_after_the_snapshot_does_not_count(stocked):
    first = state(stocked, statement(0, "s0", 1.0))
    state(
        stocked, statement(0, "s0", 2.0), statement(1, "s1", 3.0), statement(2, "s0", 4.0, 365_000)
    )
    assert found(stocked, "x", as_of=first) == {"i0": 1.0, "i1": 1.0}
    later = LabelRequest(name="x", timing="any")
    assert found(stocked, later) == {"i0": 2.0, "i1": 2.0, "i2": 3.0, "i3": 3.0}
    entities = entity_rows(stocked, "micrograph")
    notes = label_notes(labels_of(stocked, later, entities, "micrograph"))
    assert "1 statements measured after the snapshot are left out" in notes
    snapshots = stocked.lake.query("SELECT snapshot_time FROM lake.snapshots() ORDER BY 1")
    times = snapshots["snapshot_time"].to_pylist()
    assert labels_of(stocked, "x", entities, "micrograph", times[first]).num_rows == 2
    with pytest.raises(QueryError, match="no snapshot 2001"):
        labels_of(stocked, "x", entities, "micrograph", datetime(2001, 1, 1, tzinfo=UTC))
    with pytest.raises(QueryError, match="no snapshot 999"):
        labels_of(stocked, "x", entities, "micrograph", 999)


def test_notes_tell_who_has_no_label_and_why(shared):
    state(
        shared,
        statement(0, "s0", "grain", 1),
        statement(1, "s0", "crack", 1, "bob"),
        statement(2, "s1", "grain", 2),
    )
    entities = entity_rows(shared, "micrograph", datasets=["a"])
    request = LabelRequest(name="x", labellers={"rule": "agree", "only": ("ann", "bob", "eve")})
    labels = labels_of(shared, request, entities, "micrograph")
    assert labels["entity_id"].to_pylist() == [key("i2")]
    assert label_notes(labels) == (
        "labeller eve states nothing of it",
        "1 entities have no label: their labellers do not agree",  # i1
        "2 entities have no label: none of their statements holds at their time",  # i0 and i3
        "1 entities without acquisition time take timeless statements only; "
        "unknown_time latest takes the latest",
    )


@pytest.mark.parametrize(
    ("policy", "want"),
    [
        ("latest", (3.0, "eve")),
        (["bob", "ann"], (2.0, "bob")),
        ({"rule": "latest", "only": ("ann", "bob")}, (2.0, "bob")),
        ("mean", (2.25, "mean of 4")),
        ("median", (2.5, "median of 4")),
        ("majority", (3.0, "majority of 4")),
        ("agree", None),
        ({"rule": "agree", "only": ("eve", "joe")}, (3.0, "agree of 2")),
        ({"rule": "mean", "only": ("ann",)}, (1.0, "ann")),
    ],
)
def test_policies_over_labellers(shared, policy, want):
    votes = [("ann", 1.0, 0), ("bob", 2.0, 1), ("eve", 3.0, 2), ("joe", 3.0, None)]
    state(shared, *(statement(n, "s0", v, w, who) for n, (who, v, w) in enumerate(votes)))
    request = LabelRequest(name="x", labellers=policy)
    entities = entity_rows(shared, "micrograph", datasets=["a"], where="path = 'i1.tif'")
    rows = labels_of(shared, request, entities, "micrograph").to_pylist()
    assert [(row["label_number"], row["labeller"]) for row in rows] == ([want] if want else [])


def verdict(policy: LabellerPolicy, votes: list[int | None]) -> float | None:
    """The label of one entity, by going through the votes."""
    cast = {f"w{n}": vote for n, vote in enumerate(votes) if vote is not None}
    if not cast:
        return None
    if policy.rule == "agree":
        return next(iter(cast.values())) if len(set(cast.values())) == 1 else None
    if policy.rule == "mean":
        return statistics.mean(cast.values())
    if policy.rule == "median":
        return statistics.median(cast.values())
    if policy.rule == "priority":
        return next((cast[who] for who in (*policy.order, *sorted(cast)) if who in cast), None)
    counted = Counter(cast.values())
    best = {value for value, n in counted.items() if n == max(counted.values())}
    judged = [cast[who] for who in policy.order if cast.get(who) in best]
    return judged[0] if judged else (best.pop() if len(best) == 1 else None)


@given(
    rows=st.lists(
        st.lists(st.one_of(st.none(), st.integers(0, 3)), min_size=4, max_size=4),
        min_size=1,
        max_size=8,
    ),
    rule=st.sampled_from(["agree", "mean", "median", "majority", "priority"]),
    order=st.permutations(["w0", "w1", "w2", "w3"]).map(lambda names: tuple(names[:2])),
)
def test_verdicts_are_those_of_going_through_the_votes(rows, rule, order):
    ordered = {"order": order} if rule in {"majority", "priority"} else {}
    policy = LabellerPolicy(rule=rule, **ordered)
    flat = [vote for row in rows for vote in row]
    stated = [n for n, vote in enumerate(flat) if vote is not None]
    place = {n: index for index, n in enumerate(stated)}
    chosen = np.array([place.get(n, NONE) for n in range(len(flat))]).reshape(-1, 4)
    values = np.array([flat[n] for n in stated], np.float64)
    codes = np.unique(values, return_inverse=True)[1].astype(np.int64)
    if not stated:
        return
    made = settle(policy, Votes(chosen, codes, values, ("w0", "w1", "w2", "w3")))
    for n, row in enumerate(rows):
        want = verdict(policy, row)
        counted = made.counted[n]
        assert counted.any() == (want is not None)
        if want is None:
            continue
        if made.number is not None:
            assert made.number[n] == pytest.approx(want)
        else:
            assert {values[chosen[n, w]] for w in np.flatnonzero(counted)} == {want}


histories = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from(["s0", "s1", "s2", "i0", "i1", "i4"]),
            st.integers(0, 9).map(float),
            st.one_of(st.none(), st.integers(0, 5)),
            st.sampled_from(["ann", "bob"]),
        ),
        max_size=8,
    ),
    min_size=1,
    max_size=3,
)


def by_hand(statements, image, request) -> float | None:
    """Label of an image, by going through all statements; `statements` by their identity."""
    name, specimen, when = image
    for about in (name, specimen):
        held = []
        for (subject, moment, _), (order, value) in statements.items():
            if subject != about:
                continue
            if moment is None:
                held.append((0, 0, order, value))
            elif request.timing == "any":
                held.append((1, moment, order, value))
            elif when is None:
                continue
            elif request.timing == "before" and moment <= when:
                held.append((1, moment, order, value))
            elif request.timing == "after" and moment >= when:
                held.append((1, -moment, order, value))
            elif request.timing == "nearest":
                held.append((1, -abs(moment - when) - 0.1 * (moment > when), order, value))
        if held:
            return max(held)[3]
    return None


@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(histories=histories)
def test_at_every_snapshot_and_timing_labels_are_those_of_going_through_the_history(
    shared, histories
):
    state(shared)
    known: dict[tuple, tuple[int, float]] = {}
    snapshots = []
    for step, batch in enumerate(histories):
        for place, (about, value, when, who) in enumerate(batch):
            known[about, when, who] = (100 * step + place, value)
        rows = [
            statement(order, about, value, when, who, label_id=key((about, when, who)),
                      kind="sample" if about[0] == "s" else "micrograph")
            for (about, when, who), (order, value) in known.items()
        ]  # fmt: skip
        snapshots.append((state(shared, *rows), dict(known)))
    for snapshot, statements in snapshots:
        if not statements:
            continue
        for timing in ("before", "after", "nearest", "any"):
            request = LabelRequest(name="x", timing=timing)
            want = {i[0]: v for i in IMAGES if (v := by_hand(statements, i, request)) is not None}
            assert found(shared, request, as_of=snapshot) == want


def test_logarithms_are_taken_after_the_policy_and_of_what_is_above_zero(shared):
    votes = [statement(0, "s0", 10.0), statement(1, "s0", 1000.0, None, "bob")]
    state(shared, *votes)
    request = LabelRequest(name="x", labellers="mean", transform="log10")
    assert found(shared, request, "sample") == {"s0": pytest.approx(np.log10(505.0))}
    with pytest.raises(
        LabelError, match=rf"'sigma' is not above zero for 1 entities \({key('s2')}\)"
    ):
        found(shared, LabelRequest(name="sigma", transform="log10"), "sample")
    with pytest.raises(LabelError, match="'grade' is a class; log10 needs numbers"):
        found(shared, LabelRequest(name="grade", transform="log10"))


def test_unknown_labels_are_told_with_what_may_have_been_meant(shared):
    state(shared)
    with pytest.raises(
        LabelError, match=r"'grad' is unknown: neither .* did you mean grade\?"
    ) as told:
        found(shared, "grad")
    assert "\n" not in str(told.value)
    with pytest.raises(LabelError, match="graindex labels lists what is known"):
        found(shared, "zzz")
    state(shared, statement(0, "i0", 1.0, kind="micrograph"))
    with pytest.raises(
        LabelError, match="stated of each micrograph, which gives no label of sample"
    ):
        found(shared, "x", "sample")
    with pytest.raises(LabelError, match="'x' is stated by ann, not by bob, eve"):
        found(shared, LabelRequest(name="x", labellers={"only": ("bob", "eve")}))


def test_numbers_and_texts_do_not_mix(shared):
    state(shared, {**statement(0, "i0", "bad", kind="micrograph"), "label_name": "sigma"})
    with pytest.raises(LabelError, match="'sigma' is a number in 3 statements and a text in 1"):
        found(shared, "sigma")
    assert found(shared, LabelRequest(name="sigma", of="micrograph")) == {"i0": "bad"}
    assert found(shared, LabelRequest(name="sigma", of="sample"))["i0"] == 1e-3
    state(shared, statement(0, "s0", "bad"))
    with pytest.raises(LabelError, match="'x' is a class; median needs numbers"):
        found(shared, LabelRequest(name="x", labellers="median"))


def test_an_entity_that_comes_twice_is_refused(shared):
    entities = entity_rows(shared, "micrograph", datasets=["a"])
    with pytest.raises(LabelError, match="stands more than once"):
        labels_of(shared, "grade", pa.concat_tables([entities, entities.slice(0, 1)]), "micrograph")
    assert labels_of(shared, "grade", entities.slice(0, 0), "micrograph").num_rows == 0


def test_a_snapshot_older_than_the_table_of_labels_has_none(shared):
    entities = entity_rows(shared, "micrograph", datasets=["a"])
    with pytest.raises(LabelError, match="'x' is unknown"):
        labels_of(shared, "x", entities, "micrograph", 1)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"name": " "}, "a label has a name"),
        ({"zone": "Mars/Base"}, "no time zone"),
        ({"timing": "any", "tolerance": "1d"}, "knows no tolerance"),
        ({"tolerance": timedelta(-1)}, "not negative"),
        ({"labellers": "best"}, "labellers"),
        ({"labellers": []}, "needs an order"),
        ({"labellers": {"rule": "mean", "order": ("a",)}}, "knows no order"),
        ({"labellers": {"rule": "priority", "order": ("a",), "only": ("b",)}}, "needs an order"),
        ({"extra": 1}, "Extra inputs"),
    ],
)
def test_requests_that_make_no_sense_are_refused(fields, why):
    with pytest.raises(ValidationError, match=why):
        LabelRequest(**{"name": "x", **fields})


def test_a_request_survives_json_and_may_be_a_name_alone():
    request = LabelRequest(
        name="Yield (%)", tolerance="90min", labellers=["ann"], zone="Asia/Seoul"
    )
    assert request.name == "yield"
    assert LabelRequest.model_validate(request.model_dump(mode="json")) == request
    assert LabelRequest.model_validate("grade") == LabelRequest(name="grade")
