import hashlib
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import graindex
from graindex.ducklake import CATALOG
from graindex.errors import HomeError
from graindex.files import FileStore, sha256
from graindex.settings import ReaderSettings, Settings, save_settings
from graindex.store import init_store, open_store
from tests.graindex.rows import samples


def test_a_home_that_is_not_there_says_how_to_make_one(tmp_path):
    with pytest.raises(HomeError, match="run: graindex init") as caught:
        open_store(tmp_path / "none")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "none").exists()


def test_a_home_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(HomeError, match="cannot be made") as caught:
        init_store(tmp_path / "file" / "home")
    assert "\n" not in str(caught.value)


def test_making_a_home_again_keeps_its_settings(tmp_path):
    store = init_store(tmp_path / "home")
    wanted = Settings(readers=ReaderSettings(min_side_px=33))
    save_settings(store.location, wanted)
    assert init_store(tmp_path / "home").settings == wanted
    assert open_store(tmp_path / "home").limits.min_side_px == 33


def test_the_door_for_users(store):
    opened = graindex.open(store.location.home)
    assert opened.datasets() == []
    made = store.lake.replace({"samples": samples("a", [1])}, "a", author="t", message="m")
    assert opened.snapshot() == made
    assert opened.read("samples").num_rows == 1
    assert opened.read("samples", as_of=made - 1).num_rows == 0
    assert opened.sql("SELECT sample FROM samples").fetchall() == [("1",)]


def test_a_home_can_be_moved_with_its_rows(tmp_path):
    first = tmp_path / "first"
    init_store(first).lake.replace(
        {"samples": samples("a", range(50))}, "a", author="t", message="m"
    )
    first.rename(tmp_path / "second")
    store = open_store(tmp_path / "second")
    assert store.read("samples").num_rows == 50
    store.lake.replace({"samples": samples("b", range(50))}, "b", author="t", message="m")
    assert store.sql("SELECT count(*) FROM samples").fetchall() == [(100,)]
    assert not first.exists()


def test_a_home_that_cannot_be_written_is_one_line(store):
    def replace():
        store.lake.replace({"samples": samples("a", range(50))}, "a", author="t", message="m")

    drop = f"DROP TABLE {CATALOG}.tags"
    store.lake.commit(lambda cursor: cursor.execute(drop), author="t", message="an older home")
    lake = store.location.folder / "lake"
    shutil.rmtree(lake)
    lake.write_text("a file where the folder was")
    before = store.snapshot()
    for write in (replace, store.lake.create):
        with pytest.raises(HomeError, match="cannot be written") as caught:
            write()
        assert "\n" not in str(caught.value)
    assert store.snapshot() == before


def test_content_is_kept_once_under_its_hash(location):
    files = FileStore(location)
    digest = files.put(b"picture")
    assert digest == hashlib.sha256(b"picture").hexdigest()
    first = Path(files.address(digest)).stat().st_ino
    assert files.put(b"picture") == digest
    assert Path(files.address(digest)).stat().st_ino == first, "the same file, not another one"
    assert files.get(digest) == b"picture"
    assert files.get(files.put(b"")) == b""
    kept = [path for path in (location.folder / "files").rglob("*") if path.is_file()]
    assert len(kept) == 2, "nothing is left aside"
    with pytest.raises(FileNotFoundError):
        files.get("0" * 64)


@given(
    one=st.lists(st.none() | st.binary(max_size=3) | st.sampled_from(["", "-", "1:a"]), max_size=3),
    two=st.lists(st.none() | st.binary(max_size=3) | st.sampled_from(["", "-", "1:a"]), max_size=3),
)
def test_hashes_tell_parts_apart(one, two):
    def plain(parts):
        return [part.encode() if isinstance(part, str) else part for part in parts]

    assert (sha256(*one) == sha256(*two)) == (plain(one) == plain(two))
