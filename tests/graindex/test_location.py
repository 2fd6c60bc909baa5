from pathlib import Path

import pytest

from graindex.errors import HomeError
from graindex.location import Location


def test_a_folder(tmp_path):
    location = Location.parse(tmp_path / "a b" / "o'한글")
    assert location.folder == tmp_path / "a b" / "o'한글"
    assert location.catalog == f"sqlite:{location.folder / 'catalog.sqlite'}"
    assert not location.is_remote
    assert location.under("lake", "x") == f"{location.folder}/lake/x"


def test_relative_and_own_folders_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert Location.parse("data").folder == tmp_path / "data"
    assert Location.parse("~/x").folder == tmp_path / "me" / "x"
    location = Location.parse("data")
    monkeypatch.chdir("/")
    assert location.folder == tmp_path / "data"


def test_without_a_home_the_environment_decides(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GRAINDEX_HOME", raising=False)
    assert Location.parse().folder == tmp_path / "data"
    monkeypatch.setenv("GRAINDEX_HOME", "elsewhere")
    assert Location.parse().folder == tmp_path / "elsewhere"
    assert Location.parse("given").folder == tmp_path / "given"


def test_a_server_with_a_bucket():
    location = Location.parse("postgresql://me@host:5433/db?sslmode=require&data=s3://b/p/")
    assert location.catalog == "postgres:postgresql://me@host:5433/db?sslmode=require"
    assert (location.data, location.is_remote, location.folder) == ("s3://b/p", True, None)
    assert location.under("vectors") == "s3://b/p/vectors"


def test_a_server_with_a_shared_folder(tmp_path):
    location = Location.parse(f"postgres://me@host/db?data={tmp_path}")
    assert location.catalog == "postgres:postgresql://me@host/db"
    assert location.folder == Path(tmp_path)


def test_other_settings_of_a_server_keep_their_escapes():
    address = "postgresql://me:p%40ss@host/db?options=-c%20search_path%3Da%26b&data=s3://b"
    catalog = Location.parse(address).catalog
    assert catalog == "postgres:postgresql://me:p%40ss@host/db?options=-c%20search_path%3Da%26b"


@pytest.mark.parametrize(
    ("home", "says"),
    [
        ("s3://bucket/prefix", "unknown kind 's3'"),
        ("file:///x", "unknown kind 'file'"),
        ("postgresql://me@host/db", "add \\?data="),
    ],
)
def test_wrong_homes_are_one_line(home, says):
    with pytest.raises(HomeError, match=says) as caught:
        Location.parse(home)
    assert "\n" not in str(caught.value)
