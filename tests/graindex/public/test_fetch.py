"""Fetching from a server of the same shapes: cuts, kills, wrong and missing files, archives."""

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from graindex.errors import CollectionError, GraindexError, HomeError
from graindex.public import fetch as fetching
from graindex.public.fetch import collection_folder, fetch
from graindex.public.offer import offer_of
from graindex.public.recipe import PublicRecipe
from graindex.public.web import Web
from tests.graindex.public.public_server import PublicServer, serving

COMMIT = "0123456789abcdef0123456789abcdef01234567"
RAW = f"github.com/lab/sem/raw/{COMMIT}/"
SIZE = 300_000


def noise(seed: int, size: int = SIZE) -> bytes:
    return np.random.default_rng(seed).bytes(size)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def web(server: PublicServer, **more) -> Web:
    return Web(mirror=server.url, attempts=3, first_wait_s=0.01, timeout_s=(2, 2), **more)


def recipe(**more) -> PublicRecipe:
    fields = {
        "name": "noise", "title": "Noise", "description": "Noise.", "citation": "Nobody",
        "source": "https://example.org", "licence": {"spdx": "MIT"}, **more,
    }  # fmt: skip
    return PublicRecipe.model_validate(fields)


def on_github(files: dict[str, bytes], *, checksums: bool = True) -> PublicRecipe:
    rows = [
        {"path": path, "size_bytes": len(data), "sha256": sha256(data)}
        if checksums
        else {"path": path}
        for path, data in files.items()
    ]
    return recipe(repository="lab/sem", commit=COMMIT, files=rows)


def of_archive(name: str) -> PublicRecipe:
    url = f"https://github.com/lab/sem/archive/{name}"
    return recipe(files=[{"path": name, "url": url, "unpack": True}], collection="*/*/images")


def put(server: PublicServer, files: dict[str, bytes]) -> None:
    server.content.update({RAW + path: data for path, data in files.items()})


def bring(server: PublicServer, wanted: PublicRecipe, folder: Path, **more) -> fetching.Fetched:
    return fetch(offer_of(wanted, web(server, **more)), folder, web(server, **more))


def lying(folder: Path) -> dict[str, bytes]:
    """Visible files below a folder."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    paths = {path.relative_to(folder).as_posix(): path for path in found}
    return {p: path.read_bytes() for p, path in paths.items() if not p.startswith(".fetch/")}


@pytest.fixture
def server() -> Iterator[PublicServer]:
    with serving() as running:
        yield running


def test_a_second_fetch_asks_for_nothing_and_a_damaged_file_is_brought_in_anew(server, tmp_path):
    files = {"a b__1.jpg": noise(1), "deep/µ (2).tif": noise(2), "empty.txt": b""}
    put(server, files)
    assert bring(server, on_github(files), tmp_path).downloaded == 3
    assert lying(tmp_path) == files
    asked = len(server.asked)
    again = bring(server, on_github(files), tmp_path)
    assert (again.downloaded, again.kept, len(server.asked)) == (0, 3, asked)
    (tmp_path / "a b__1.jpg").write_bytes(noise(3))
    assert bring(server, on_github(files), tmp_path).downloaded == 1
    assert lying(tmp_path) == files
    assert (tmp_path / ".fetch/wrong/a b__1.jpg").read_bytes() == noise(3)
    assert list((tmp_path / ".fetch").glob("*.part")) == []


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_connection_is_gone_on_with(server, tmp_path, ranges):
    files = {"a.tif": noise(1)}
    put(server, files)
    server.ranges, server.cuts = ranges, [100_000, 50_000]
    bring(server, on_github(files), tmp_path)
    assert lying(tmp_path) == files
    starts = server.starts(RAW + "a.tif")
    lost = 1 << 14  # of each part that is written at once, a cut costs at most one
    assert len(starts) == 3
    assert starts[0] == 0
    assert 100_000 - lost < starts[1] <= 100_000
    if ranges:
        assert starts[1] + 50_000 - lost < starts[2] <= starts[1] + 50_000
        assert server.sent <= SIZE + 2 * lost
    else:
        assert 50_000 - lost < starts[2] <= 50_000


def test_bytes_of_another_version_are_thrown_away_once(server, tmp_path):
    files = {"a.tif": noise(1)}
    wanted = on_github(files)
    put(server, {"a.tif": noise(9)})
    server.cuts = [100_000] + [0] * 9
    with pytest.raises(CollectionError, match="cannot be reached"):
        bring(server, wanted, tmp_path)
    put(server, files)
    server.cuts = []
    bring(server, wanted, tmp_path)
    assert lying(tmp_path) == files
    assert server.starts(RAW + "a.tif")[-1] == 0


def test_a_wrong_file_is_set_aside(server, tmp_path):
    files = {"a.tif": noise(1)}
    put(server, {"a.tif": noise(2)})
    with pytest.raises(
        CollectionError, match=r"not the expected file: sha256 .* set aside"
    ) as told:
        bring(server, on_github(files), tmp_path)
    assert "\n" not in str(told.value)
    assert lying(tmp_path) == {}
    assert (tmp_path / ".fetch/wrong/a.tif").read_bytes() == noise(2)


def test_what_passes_is_tried_again_and_what_does_not_ends_it(server, tmp_path):
    files = {"a.tif": noise(1)}
    put(server, files)
    server.refusals = [503, 429]
    bring(server, on_github(files), tmp_path / "there")
    assert lying(tmp_path / "there") == files
    del server.content[RAW + "a.tif"]
    asked = len(server.asked)
    with pytest.raises(CollectionError, match="answers 404 Not Found; the recipe may be out"):
        bring(server, on_github(files), tmp_path / "gone")
    assert len(server.asked) == asked + 1
    silent = Web(mirror="http://127.0.0.1:9", attempts=2, first_wait_s=0.01)
    with pytest.raises(CollectionError, match="cannot be reached"):
        fetch(offer_of(on_github(files), silent), tmp_path / "silent", silent)


def test_a_server_that_stops_sending_is_given_up(server, tmp_path):
    files = {"a.tif": noise(1)}
    put(server, files)
    server.pause_s = 5
    slow = Web(mirror=server.url, attempts=1, first_wait_s=0.01, timeout_s=(1, 0.2))
    with pytest.raises(CollectionError, match="cannot be reached"):
        fetch(offer_of(on_github(files), slow), tmp_path, slow)
    assert [part.stat().st_size for part in (tmp_path / ".fetch").glob("*.part")] == [1 << 16]


def test_files_without_checksum_are_held_to_the_first_fetch(server, tmp_path):
    files = {"a.tif": noise(1)}
    put(server, files)
    wanted = on_github(files, checksums=False)
    bring(server, wanted, tmp_path)
    notes = json.loads((tmp_path / ".fetch/lock.json").read_text())
    assert notes["files"]["a.tif"]["sha256"] == sha256(noise(1))
    assert notes["origin"]["licence"] == "MIT"
    put(server, {"a.tif": noise(2)})
    assert bring(server, wanted, tmp_path).kept == 1
    (tmp_path / "a.tif").unlink()
    with pytest.raises(CollectionError, match="not the expected file"):
        bring(server, wanted, tmp_path)


def test_files_of_no_known_path_are_found_by_their_git_hash(server, tmp_path):
    data = noise(1)
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    row = {"path": "a.jpg", "sha256": sha256(data), "git_blob": blob}
    wanted = recipe(repository="lab/sem", files=[row])
    tree = [{"type": "blob", "path": "Data set/x #1.jpg", "sha": blob}]
    server.says("api.github.com/repos/lab/sem/git/trees/HEAD", {"tree": tree})
    server.content["github.com/lab/sem/raw/HEAD/Data set/x #1.jpg"] = data
    bring(server, wanted, tmp_path)
    assert lying(tmp_path) == {"a.jpg": data}
    server.says("api.github.com/repos/lab/sem/git/trees/HEAD", {"tree": []})
    with pytest.raises(CollectionError, match="no longer holds"):
        offer_of(wanted, web(server))


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def figshare(server: PublicServer, files: dict[str, bytes], article="77/versions/2") -> str:
    listed = [
        {"id": n, "name": name, "size": len(data), "computed_md5": md5(data),
         "download_url": f"https://ndownloader.figshare.com/files/{n}"}
        for n, (name, data) in enumerate(files.items())
    ]  # fmt: skip
    licence = {"value": 1, "name": "CC BY 4.0", "url": "https://creativecommons.org/by/4.0/"}
    address = f"api.figshare.com/v2/articles/{article}"
    server.says(address, {"files": listed, "license": licence})
    for n, data in enumerate(files.values()):
        server.content[f"ndownloader.figshare.com/files/{n}"] = data
    return "10.6084/m9.figshare.77.v2"


def zenodo(server: PublicServer, files: dict[str, bytes], record="88") -> str:
    address = f"https://zenodo.org/api/records/{record}/files/{{}}/content"
    listed = [
        {"key": name, "size": len(data), "checksum": f"md5:{md5(data)}",
         "links": {"self": address.format(name)}}
        for name, data in files.items()
    ]  # fmt: skip
    said = {"id": int(record), "files": listed, "metadata": {"license": {"id": "cc-by-4.0"}}}
    server.says(f"zenodo.org/api/records/{record}", said)
    for name, data in files.items():
        server.content[address.format(name).removeprefix("https://")] = data
    return "10.5281/zenodo.88"


@pytest.mark.parametrize("archive", [figshare, zenodo])
def test_an_archive_with_a_doi_says_its_files_and_its_licence(server, tmp_path, archive):
    files = {"table.csv": b"path,x\n", "images.zip": zipped({"sem/a.tif": noise(1)})}
    wanted = recipe(doi=archive(server, files), licence={})
    offer = offer_of(wanted, web(server))
    assert offer.licence.text().upper().replace("-", " ").startswith("CC BY 4.0")
    assert offer.size_bytes == sum(len(data) for data in files.values())
    assert server.sent == len(next(d for p, d in server.content.items() if "api" in p))
    fetch(offer, tmp_path, web(server))
    assert lying(tmp_path) == {"table.csv": b"path,x\n", "images/sem/a.tif": noise(1)}
    asked = len(server.asked)
    assert bring(server, wanted, tmp_path).kept == 2
    assert len(server.asked) == asked + 1  # the list of files
    (tmp_path / "images/sem/a.tif").unlink()
    assert bring(server, wanted, tmp_path).downloaded == 1
    assert lying(tmp_path)["images/sem/a.tif"] == noise(1)


def test_answers_that_are_not_understood_are_one_line(server):
    server.content["zenodo.org/api/records/1"] = b"<html>"
    server.says("zenodo.org/api/records/2", {"message": "moved"})
    climbing = [{"key": "../x", "size": 1, "checksum": "md5:0", "links": {"self": "https://z/x"}}]
    server.says("zenodo.org/api/records/3", {"files": climbing})
    for number, words in enumerate(["not JSON", "not understood", "not understood"], start=1):
        with pytest.raises(CollectionError, match=words):
            offer_of(recipe(doi=f"10.5281/zenodo.{number}"), web(server))
    with pytest.raises(CollectionError, match="neither of Figshare nor of Zenodo"):
        offer_of(recipe(doi="10.1234/dryad.5"), web(server))


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    return buffer.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path, data in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


@pytest.mark.parametrize(("name", "packed"), [("sem.zip", zipped), ("sem.tar.gz", tarred)])
def test_archives_become_folders_and_climb_out_of_none(server, tmp_path, name, packed):
    path = f"github.com/lab/sem/archive/{name}"
    server.content[path] = packed({f"sem-{COMMIT}/images/a.tif": noise(1)})
    wanted = of_archive(name)
    bring(server, wanted, tmp_path / "ok")
    assert lying(tmp_path / "ok") == {f"sem/sem-{COMMIT}/images/a.tif": noise(1)}
    offer = offer_of(wanted, web(server))
    there = collection_folder(offer, tmp_path / "ok")
    assert there == tmp_path / f"ok/sem/sem-{COMMIT}/images"
    with pytest.raises(CollectionError, match="has 0 folders"):
        collection_folder(offer, tmp_path)
    server.content[path] = packed({"../../out.tif": b"x"})
    with pytest.raises(GraindexError, match="no path inside"):
        bring(server, wanted, tmp_path / "bad")
    assert lying(tmp_path / "bad") == {}
    assert not (tmp_path / "out.tif").exists()


def test_two_fetches_of_one_folder_and_another_collection_in_it_are_refused(server, tmp_path):
    files = {"a.tif": noise(1)}
    put(server, files)
    bring(server, on_github(files), tmp_path)
    with (
        FileLock(tmp_path / ".fetch/busy.lock"),
        pytest.raises(CollectionError, match="another process"),
    ):
        bring(server, on_github(files), tmp_path)
    other = on_github(files).model_copy(update={"name": "other"})
    with pytest.raises(CollectionError, match="holds the collection 'noise'"):
        bring(server, other, tmp_path)


def test_a_disk_without_room_is_one_line(server, tmp_path):
    row = {"path": "a.tif", "size_bytes": 1 << 60, "sha256": "0" * 64}
    with pytest.raises(HomeError, match="MB to come"):
        bring(server, recipe(repository="lab/sem", commit=COMMIT, files=[row]), tmp_path)
    assert server.asked == []
    # A device that is always full, in the place of the unfinished file.
    files = {"a.tif": noise(1)}
    put(server, files)
    offer = offer_of(on_github(files, checksums=False), web(server))
    staging = tmp_path / ".fetch"
    fetching.part_of(offer.files[0], staging).symlink_to("/dev/full")
    with pytest.raises(HomeError, match="No space left on device; make room and run again"):
        fetch(offer, tmp_path, web(server))


_FETCH = """
import sys
from pathlib import Path
from graindex.public.fetch import fetch
from graindex.public.offer import offer_of
from graindex.public.recipe import public_recipe
from graindex.public.web import Web
web = Web(mirror=sys.argv[2], threads=1)
fetch(offer_of(public_recipe(sys.argv[1]), web), Path(sys.argv[3]), web)
"""


def test_a_killed_fetch_goes_on_within_a_file(server, tmp_path):
    files = {"a.tif": noise(1), "b.tif": noise(2, 1_500_000)}
    put(server, files)
    own = tmp_path / "noise.yaml"
    own.write_text(on_github(files).model_dump_json())
    folder = tmp_path / "there"
    server.pause_s = 0.1
    command = [sys.executable, "-c", _FETCH, str(own), server.url, str(folder)]
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 60
    while not any(asked.sent > 500_000 for asked in list(server.asked)):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    server.pause_s = 0
    before = len(server.asked)
    assert bring(server, on_github(files), folder).downloaded == 1
    assert lying(folder) == files
    (resumed,) = server.asked[before:]
    assert resumed.start >= 300_000
    assert resumed.sent == 1_500_000 - resumed.start


@pytest.mark.parametrize(
    "path", ["/etc/x", "../x", "a/../../x", "a\\b", ".fetch/lock.json", "a//b"]
)
def test_recipes_name_no_file_outside_of_their_folder(path):
    with pytest.raises(ValueError, match="no path inside"):
        recipe(files=[{"path": path, "url": "https://example.org/x"}])
