import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import fsspec
import pytest

from graindex.errors import CollectionError
from graindex.scan import list_collection

REPOSITORY = Path(__file__).parents[2]
NAMES = [
    "plain.tif",
    "UPPER.TIF",
    "with  two blanks.jpg",
    "한글 시료.jpg",
    'o\'clock "x".png',
    "100 % [a] #1?.bmp",
    "a\nnewline.tif",
    "back\\slash.tif",
    "-dash;$(x).tif",
    "sub/deep er/이미지.dm3",
]


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    return folder


def put(folder: Path, *names: str, data: bytes = b"data") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def paths(listing):
    return [original.path for original in listing.images]


def test_every_name_a_file_can_have(folder):
    put(folder, *NAMES, "plain.tif.txt", "notes.csv", "no_suffix")
    listing = list_collection(str(folder))
    assert paths(listing) == sorted(NAMES)
    assert set(listing.others) == {"plain.tif.txt", "notes.csv", "no_suffix"}
    assert listing.refusals == ()
    for original in listing.images:
        assert Path(original.uri) == folder / original.path
        with fsspec.open(original.uri, "rb") as handle:
            assert handle.read() == b"data"


def test_size_and_time_are_those_of_the_file(folder):
    put(folder, "a.tif", data=b"12345")
    os.utime(folder / "a.tif", ns=(0, 1_600_000_000_123_456_789))
    (entry,) = list_collection(str(folder)).images
    assert entry.size_bytes == 5
    assert entry.modified_at == datetime(2020, 9, 13, 12, 26, 40, 123456, UTC)


def test_hidden_files_and_folders_are_passed_over(folder):
    put(folder, "a.tif", ".hidden.tif", "._a.tif", ".thumbnails/b.tif", "sub/.c.tif")
    assert paths(list_collection(str(folder))) == ["a.tif"]


@pytest.mark.skipif(sys.platform != "linux", reason="this system forbids such names")
def test_a_name_that_is_not_utf8_is_refused_and_printable(folder):
    put(folder, "a.tif")
    (Path(os.fsencode(folder).decode()) / os.fsdecode(b"b\xff\xfe.tif")).write_bytes(b"x")
    listing = list_collection(str(folder))
    assert paths(listing) == ["a.tif"]
    (refusal,) = listing.refusals
    assert refusal.path == "b\\xff\\xfe.tif"
    assert "not valid UTF-8" in refusal.reason
    (refusal.path + refusal.uri).encode()


def test_links_are_followed_and_loops_refused(folder, tmp_path):
    put(folder, "a.tif", "sub/b.tif")
    put(tmp_path, "elsewhere/c.tif", "d.tif")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "d.tif").symlink_to(tmp_path / "d.tif")
    (folder / "sub" / "up").symlink_to(folder)
    (folder / "itself").symlink_to(folder / "itself")
    (folder / "gone.tif").symlink_to(tmp_path / "nothing")
    listing = list_collection(str(folder))
    assert paths(listing) == ["a.tif", "d.tif", "linked/c.tif", "sub/b.tif"]
    reasons = {refusal.path: refusal.reason for refusal in listing.refusals}
    assert set(reasons) == {"sub/up", "itself", "gone.tif"}
    assert "back to a folder above" in reasons["sub/up"]


def test_two_folders_that_link_to_each_other(folder):
    put(folder, "a/1.tif", "b/2.tif")
    (folder / "a" / "b").symlink_to(folder / "b")
    (folder / "b" / "a").symlink_to(folder / "a")
    assert set(paths(list_collection(str(folder)))) >= {"a/1.tif", "b/2.tif", "a/b/2.tif"}


def test_a_time_beyond_the_calendar_refuses_one_file_only():
    if not Path("/dev/shm").is_dir():
        pytest.skip("only a memory file system keeps such times, and there is none")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        folder = Path(name)
        put(folder, "a.tif", "b.tif")
        os.utime(folder / "b.tif", (0, 2**40))
        listing = list_collection(name)
    assert paths(listing) == ["a.tif"]
    assert [refusal.path for refusal in listing.refusals] == ["b.tif"]
    assert "no date" in listing.refusals[0].reason


LIST_AS_NOBODY = """
import json, os, sys
from graindex.scan import list_collection
os.chdir(sys.argv[1])
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
listing = list_collection("images")
json.dump([[o.path for o in listing.images], [[r.path, r.reason] for r in listing.refusals]],
          sys.stdout)
"""


def test_a_folder_that_may_not_be_read_is_refused_and_the_rest_listed(tmp_path):
    folder = tmp_path / "images"
    put(folder, "a.tif", "closed/b.tif", "blind/c.tif", "open/d.tif")
    for name in (".", "open"):
        (folder / name).chmod(0o755)
    (folder / "closed").chmod(0o000)
    (folder / "blind").chmod(0o644)  # may be listed, but nothing in it may be looked at
    tmp_path.chmod(0o755)
    try:
        done = subprocess.run(
            [sys.executable, "-c", LIST_AS_NOBODY, str(tmp_path)],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )
    finally:
        for name in ("closed", "blind"):
            (folder / name).chmod(0o755)
    listed, refusals = json.loads(done.stdout)
    assert listed == ["a.tif", "open/d.tif"]
    assert dict(refusals) == {
        "closed": "folder cannot be listed: Permission denied",
        "blind/c.tif": "cannot be opened: Permission denied",
    }


def test_the_listing_does_not_depend_on_the_order_of_the_folder(tmp_path):
    names = [f"{n % 7}/{n}.tif" for n in range(60)]
    for place, order in (("one", names), ("two", names[::-1])):
        put(tmp_path / place, *order)
        for name in names:
            os.utime(tmp_path / place / name, (0, 0))
    one, two = (list_collection(str(tmp_path / place)) for place in ("one", "two"))
    assert paths(one) == paths(two) == sorted(names)
    assert one.signature() == two.signature()


def test_the_signature_changes_exactly_when_a_file_does(folder):
    put(folder, "a.tif", "a.tif.txt")
    os.utime(folder / "a.tif", (0, 1000))

    def signature(*more):
        return list_collection(str(folder)).signature(*more)

    seen = [signature()]
    assert signature() == seen[0]

    def changed():
        seen.append(signature())
        return len(set(seen)) == len(seen)

    put(folder, "b.tif")
    assert changed()
    (folder / "b.tif").rename(folder / "c.tif")
    assert changed()
    (folder / "c.tif").unlink()
    assert signature() == seen[0]
    os.utime(folder / "a.tif", (0, 1001))
    assert changed()
    put(folder, "a.tif", data=b"longer")
    os.utime(folder / "a.tif", (0, 1000))
    assert changed()
    put(folder, "a.tif")
    os.utime(folder / "a.tif", (0, 1000))
    assert signature() == seen[0]
    put(folder, "a.tif.txt", data=b"another sidecar")
    assert changed()
    assert signature("recipe") not in seen
    put(folder, ".hidden")
    os.utime(folder / "a.tif", (5000, 1000))  # read, not modified
    assert signature() == seen[-1]


def test_what_is_not_there_is_one_line(tmp_path):
    for place in (str(tmp_path / "x"), f"file://{tmp_path / 'x'}", "memory://nothing"):
        with pytest.raises(CollectionError, match="is not there"):
            list_collection(place)
    os.mkfifo(tmp_path / "pipe.tif")
    with pytest.raises(CollectionError, match="neither a folder nor a file"):
        list_collection(str(tmp_path / "pipe.tif"))


@pytest.mark.parametrize("scheme", ["", "file://", "memory://"])
def test_one_file_is_a_listing_of_it(tmp_path, scheme):
    for name, image in (("a b.tif", True), ("notes.txt", False)):
        place = f"{scheme}{tmp_path}/images/{name}"
        with fsspec.open(place, "wb", auto_mkdir=True) as handle:
            handle.write(b"12345")
        listing = list_collection(place)
        entries = [*listing.images, *listing.others.values()]
        assert [(entry.path, entry.size_bytes) for entry in entries] == [(name, 5)]
        assert bool(listing.images) is image
        with fsspec.open(entries[0].uri, "rb") as handle:
            assert handle.read() == b"12345"


@pytest.mark.parametrize("scheme", ["", "memory://"])
def test_hidden_metadata_of_zarr_are_listed(tmp_path, scheme):
    place = f"{scheme}{tmp_path}/images"
    names = {"v.zarr/.zgroup", "v.zarr/0/.zarray", "v.zarr/.zattrs", "v.zarr/0/0.0.0"}
    for name in (*names, ".zarrays", ".git/.zarray", "v.zarr/.hidden"):
        with fsspec.open(f"{place}/{name}", "wb", auto_mkdir=True) as handle:
            handle.write(b"x")
    assert set(list_collection(place).others) == names


def test_an_unknown_kind_of_place_is_one_line():
    with pytest.raises(CollectionError, match="nowhere://x cannot be opened"):
        list_collection("nowhere://x")


def test_an_empty_folder_has_nothing(folder):
    listing = list_collection(str(folder))
    assert (listing.images, listing.others, listing.refusals) == ((), {}, ())


@pytest.mark.parametrize("scheme", ["memory", "file"])
def test_places_behind_a_url(scheme, tmp_path):
    base = f"{scheme}://{tmp_path}/bucket"
    names = ["b.tif", "a b.TIF", "sub/한글.jpg", "notes.txt", ".hidden.tif", ".git/x.tif"]
    for name in names:
        with fsspec.open(f"{base}/{name}", "wb", auto_mkdir=True) as handle:
            handle.write(b"data")
    listing = list_collection(base)
    assert paths(listing) == ["a b.TIF", "b.tif", "sub/한글.jpg"]
    assert set(listing.others) == {"notes.txt"}
    for original in listing.images:
        assert original.size_bytes == 4
        assert abs(datetime.now(UTC) - original.modified_at).total_seconds() < 3600
        with fsspec.open(original.uri, "rb") as handle:
            assert handle.read() == b"data"
    assert list_collection(base + "/").signature() == listing.signature()
