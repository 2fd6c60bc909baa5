import shutil
from datetime import UTC, datetime, timedelta

import pytest

from graindex.ducklake import attach
from graindex.errors import QueryError
from graindex.history.pins import Retention, by_age, needs, retained, states, told
from graindex.history.snapshots import Snapshot, number_at, resolve, snapshots
from graindex.history.tags import delete_tag, set_tag
from graindex.store import open_store
from tests.graindex.rows import samples


def replace(store, dataset, names):
    rows = {"samples": samples(dataset, names)}
    return store.lake.replace(rows, dataset, author="me", message=f"samples of {dataset}")


def remove(store, numbers):
    connection = attach(store.location, read_only=False)
    connection.execute(f"CALL ducklake_expire_snapshots('lake', versions => {numbers})")
    connection.close()


def one_line(caught):
    return "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def past(empty_home, tmp_path_factory):
    """A home with snapshots of known numbers: some names, one more each time."""
    home = tmp_path_factory.mktemp("past") / "home"
    shutil.copytree(empty_home, home)
    store = open_store(home)
    return home, [replace(store, "a", range(n)) for n in range(1, 6)]


@pytest.fixture
def history(past, tmp_path):
    home, numbers = past
    shutil.copytree(home, tmp_path / "home")
    return open_store(tmp_path / "home"), numbers


def test_a_snapshot_says_who_wrote_what(history):
    store, numbers = history
    made = {each.number: each for each in snapshots(store.lake)}
    assert list(made) == sorted(made)
    assert set(numbers) <= set(made)
    last = made[numbers[-1]]
    assert (last.author, last.message) == ("me", "samples of a")
    assert last.tables == {"samples"}
    assert "tags" in made[1].tables  # which the making of the home brought
    assert abs(datetime.now(UTC) - last.made_at) < timedelta(minutes=5)


def test_numbers_tags_and_times_name_snapshots(history):
    store, numbers = history
    set_tag(store, "paper-1", numbers[2], author="me")
    made = {each.number: each.made_at for each in snapshots(store.lake)}
    assert resolve(store, None) == store.snapshot()
    for number in numbers:
        assert resolve(store, number) == resolve(store, str(number)) == number
        assert resolve(store, made[number]) == number
        assert resolve(store, made[number].isoformat()) == number
        # without a zone a time is of this machine's
        local = made[number].astimezone().replace(tzinfo=None)
        assert resolve(store, local.isoformat()) == number
    assert resolve(store, "paper-1") == numbers[2]
    assert resolve(store, datetime.now(UTC) + timedelta(days=1)) == store.snapshot()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("999999", "there is no snapshot 999999: the newest is"),
        ("-1", "neither"),
        ("paper", "neither a snapshot's number, nor a tag, nor a time"),
        ("2001-01-01", "nothing is known of 2001-01-01T00:00:00.*the first snapshot that is kept"),
        ("", "neither"),
        ("9" * 30, "neither"),
    ],
)
def test_what_names_no_snapshot_is_one_line(store, text, said):
    with pytest.raises(QueryError, match=said) as caught:
        resolve(store, text)
    assert one_line(caught)


def test_a_time_whose_state_was_removed_is_refused_and_never_another_state(history):
    store, numbers = history
    made = {each.number: each.made_at for each in snapshots(store.lake)}
    remove(store, [numbers[1], numbers[2]])
    for gone in (numbers[1], numbers[2]):
        for as_of in (gone, made[gone]):
            with pytest.raises(QueryError, match=rf"removed.*{numbers[0]} \(.*{numbers[3]} \("):
                number_at(store.lake, as_of)
            with pytest.raises(QueryError) as caught:
                store.read("samples", as_of=as_of)
            assert one_line(caught)
        with pytest.raises(QueryError, match="removed"):
            store.table("FROM micrograph_catalog", as_of=made[gone])
    for left in (numbers[0], numbers[3], numbers[4]):
        wanted = numbers.index(left) + 1
        assert store.read("samples", as_of=left).num_rows == wanted
    assert store.read("samples", as_of=made[numbers[3]]).num_rows == 4
    assert number_at(store.lake, datetime.now(UTC)) == numbers[4]


def test_a_table_that_was_not_there_yet_had_no_rows(store):
    rows = store.read("samples", as_of=0)
    assert rows.num_rows == 0
    assert "sample_id" in rows.column_names
    assert store.lake.read("tags", columns=("tag",), as_of=0).column_names == ["tag"]


def test_a_home_without_a_table_gets_it_when_it_is_written(store):
    connection = attach(store.location, read_only=False)
    connection.execute("DROP TABLE lake.tags")
    connection.close()
    assert store.read("tags").num_rows == 0
    set_tag(store, "x", store.snapshot(), author="me")
    assert store.read("tags")["tag"].to_pylist() == ["x"]


def test_tags_are_given_once_and_taken_away(history):
    store, numbers = history
    set_tag(store, "x", numbers[0], author="me", note="why")
    set_tag(store, "x", numbers[0], author="me")
    with pytest.raises(QueryError, match=f"names snapshot {numbers[0]}: remove it first") as caught:
        set_tag(store, "x", numbers[1], author="me")
    assert one_line(caught)
    assert needs(store) == {numbers[0]: ["tag x"]}
    delete_tag(store, "x", author="me")
    assert needs(store) == {}
    with pytest.raises(QueryError, match="there is no tag 'x'; tags: none"):
        delete_tag(store, "x", author="me")


@pytest.mark.parametrize("name", ["", "1st", "a b", "x'y", "a" * 65, "2026-11-26", "é"])
def test_a_name_that_could_be_something_else_is_no_tag(store, name):
    with pytest.raises(QueryError, match="cannot be a tag") as caught:
        set_tag(store, name, 1, author="me")
    assert one_line(caught)


def test_a_snapshot_that_is_not_there_gets_no_tag(history):
    store, numbers = history
    remove(store, [numbers[1]])
    for number in (numbers[1], 10_000):
        with pytest.raises(QueryError, match="snapshot"):
            set_tag(store, "x", number, author="me")
    assert store.read("tags").num_rows == 0


def test_what_is_young_or_was_current_lately_stays(history):
    store, numbers = history
    never = Retention(timedelta(0), 1, timedelta(0))
    assert retained(store, never) == {numbers[-1]: ["newest"]}
    assert set(retained(store, Retention(timedelta(0), 3, timedelta(0)))) == set(numbers[-3:])
    everything = {each.number for each in snapshots(store.lake)}
    assert set(retained(store, Retention())) == everything
    # the first one was current within the last hour although it may be older
    assert set(retained(store, Retention(timedelta(0), 1, timedelta(hours=1)))) == everything
    set_tag(store, "x", numbers[1], author="me")
    newest = store.snapshot()
    assert retained(store, never) == {numbers[1]: ["tag x"], newest: ["newest"]}


def test_the_state_before_the_grace_period_stays_with_those_in_it():
    now = datetime.now(UTC)
    ages = [timedelta(days=9), timedelta(days=3), timedelta(minutes=50), timedelta(minutes=5)]
    made = [Snapshot(n, now - age, None, None, frozenset()) for n, age in enumerate(ages)]
    rules = Retention(timedelta(0), 1, timedelta(hours=1))
    assert {number for number, _ in by_age(made, rules)} == {1, 2, 3}


def test_states_of_a_table_are_read_once_each():
    changes = {1: {"x"}, 2: {"y"}, 3: {"x"}, 4: set(), 6: set(), 7: set(), 9: {"x"}}
    made = [Snapshot(n, datetime.now(UTC), None, None, frozenset(t)) for n, t in changes.items()]
    assert states(made, "x", [1, 2, 3, 4, 6, 7, 9]) == [1, 3, 6, 9]  # 5 was removed: unknown
    assert states(made, "x", [2, 4, 7]) == [2, 4, 7]
    assert states(made, "y", [2, 3, 4]) == [2]
    assert states(made, "x", []) == []


def test_spans_are_told_in_words():
    spans = [timedelta(days=1), timedelta(days=30), timedelta(hours=1), timedelta(minutes=90)]
    assert [told(span) for span in spans] == ["1 day", "30 days", "1 hour", "1.5 hours"]
    assert told(timedelta(minutes=5)) == "5 minutes"
