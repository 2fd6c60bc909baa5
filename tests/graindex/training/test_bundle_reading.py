"""Bundles from elsewhere: what may be in them, and that nothing gets out of their folder."""

import hashlib
import io
import json
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from graindex.errors import BundleError
from graindex.training.bundle_reading import CHECKSUMS, MANIFEST, opened_bundle
from graindex.training.unpacking import UnpackingLimits, unpack

IMAGE = "images/life/a.png"


def manifest(**more):
    told = {
        "format": 1,
        "graindex": "0.1.0",
        "training_set_id": "ab" * 8,
        "fingerprint": "ab" * 32,
        "lake_snapshot": 3,
        "request": {},
        "feature_sets": [],
        "has_images": True,
        "collections": [{"dataset": "life", "image_count": 1}],
    }
    return json.dumps(told | more).encode()


def files(**more):
    """Files of a small bundle by name, their checksums included."""
    held = {MANIFEST: manifest(), IMAGE: b"pixels", **more}
    lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in held.items()]
    return {**held, CHECKSUMS: "".join(lines).encode()}


def as_folder(path, held):
    for name, data in held.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def as_zip(path, held):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in held.items():
            file.writestr(name, data)
    return path


def as_tar(path, held, mode="w:gz"):
    with tarfile.open(path, mode) as file:
        for name, data in held.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return path


def as_any(kind, tmp_path, held):
    if kind == "folder":
        return as_folder(tmp_path / "bundle", held)
    if kind == "zip":
        return as_zip(tmp_path / "bundle.zip", held)
    return as_tar(tmp_path / "bundle.tar.gz", held)


def refused(path, **more):
    with pytest.raises(BundleError) as caught, opened_bundle(path, **more):
        pytest.fail("the bundle was opened")
    told = str(caught.value)
    assert "\n" not in told
    assert str(path) in told
    return told


KINDS = ("folder", "zip", "tar")


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_bundle_opens_and_leaves_nothing_behind(tmp_path, kind):
    work = tmp_path / "work"
    work.mkdir()
    with opened_bundle(as_any(kind, tmp_path, files()), work=work) as bundle:
        assert bundle.names("images") == ["life/a.png"]
        assert (bundle.folder / IMAGE).read_bytes() == b"pixels"
        assert bundle.manifest.collections[0].licence is None
    assert list(work.iterdir()) == []


def test_an_archive_may_hold_the_bundle_as_its_only_folder(tmp_path):
    held = {f"mine/{name}": data for name, data in files().items()}
    with opened_bundle(as_zip(tmp_path / "b.zip", held)) as bundle:
        assert bundle.names("images") == ["life/a.png"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_byte_an_extra_and_a_missing_file_are_named(tmp_path, kind):
    good = files()
    for place, (held, word) in enumerate(
        (
            ({**good, IMAGE: b"pixelz"}, "not what its checksum says"),
            ({**good, "images/life/b.png": b""}, "not listed"),
            ({name: data for name, data in good.items() if name != IMAGE}, "missing"),
        )
    ):
        folder = tmp_path / str(place)
        folder.mkdir()
        assert word in refused(as_any(kind, folder, held))


@pytest.mark.parametrize("kind", KINDS)
def test_without_manifest_or_checksums_it_is_no_bundle(tmp_path, kind):
    for place, name in enumerate((MANIFEST, CHECKSUMS)):
        folder = tmp_path / str(place)
        folder.mkdir()
        held = {key: data for key, data in files().items() if key != name}
        assert name in refused(as_any(kind, folder, held))


CLIMBING = ("../out.txt", "/tmp/graindex-out.txt", "images/../../out.txt", "a\\..\\out.txt", "C:/x")


@pytest.mark.parametrize("name", CLIMBING)
@pytest.mark.parametrize("make", [as_zip, as_tar])
def test_paths_that_climb_out_are_refused_before_anything_is_written(tmp_path, make, name):
    inside = tmp_path / "inside"
    inside.mkdir()
    ending = "zip" if make is as_zip else "tar.gz"
    archive = make(tmp_path / f"bundle.{ending}", {name: b"out", **files()})
    assert "no path inside the bundle" in refused(archive, work=inside)
    assert not Path("/tmp/graindex-out.txt").exists()
    assert sorted(p.name for p in tmp_path.rglob("*")) == sorted([archive.name, "inside"])


@pytest.mark.parametrize("name", ["../bundle.json", "/etc/passwd"])
def test_a_checksum_of_a_file_outside_is_refused(tmp_path, name):
    held = files()
    held[CHECKSUMS] += f"{'0' * 64}  {name}\n".encode()
    assert "no path inside the bundle" in refused(as_folder(tmp_path / "bundle", held))


@pytest.mark.parametrize("line", ["hello", f"{'0' * 64}  {IMAGE}", f"{'0' * 64}  {CHECKSUMS}"])
def test_a_line_that_is_no_new_checksum_is_refused(tmp_path, line):
    held = files()
    held[CHECKSUMS] += f"{line}\n".encode()
    assert "line 3" in refused(as_folder(tmp_path / "bundle", held))


def test_links_in_a_folder_are_refused(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    for target in (secret, tmp_path):
        folder = as_folder(tmp_path / f"bundle-{target.name}", files())
        (folder / "images" / "link").symlink_to(target)
        assert "'images/link' is a link" in refused(folder)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    path = as_tar(tmp_path / "bundle.tar", files(), mode="w")
    with tarfile.open(path, "a") as file:
        info = tarfile.TarInfo("images/odd")
        info.type, info.linkname = kind, "../../secret"
        file.addfile(info)
    assert "where only files may be" in refused(path)


def test_a_link_in_a_zip_is_refused(tmp_path):
    path = as_zip(tmp_path / "bundle.zip", files())
    with zipfile.ZipFile(path, "a") as file:
        info = zipfile.ZipInfo("images/link")
        info.create_system, info.external_attr = 3, 0o120777 << 16
        file.writestr(info, "/etc/passwd")
    assert "'images/link' is a link" in refused(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("make", [as_zip, as_tar])
def test_a_name_that_stands_twice_is_refused(tmp_path, make):
    path = make(
        tmp_path / ("b.zip" if make is as_zip else "b.tar"), files(), *(["w"] * (make is as_tar))
    )
    with zipfile.ZipFile(path, "a") if make is as_zip else tarfile.open(path, "a") as file:
        if make is as_zip:
            file.writestr(IMAGE, b"other")
        else:
            info = tarfile.TarInfo(IMAGE)
            info.size = 5
            file.addfile(info, io.BytesIO(b"other"))
    assert "twice" in refused(path)


@pytest.mark.parametrize("make", [as_zip, as_tar])
def test_a_bomb_is_refused_by_what_it_declares(tmp_path, make):
    ending = "zip" if make is as_zip else "tar.gz"
    held = files(**{"images/life/zeros.tif": bytes(4 << 20)})
    path = make(tmp_path / f"bomb.{ending}", held)
    work = tmp_path / "work"
    work.mkdir()
    limits = UnpackingLimits(ratio=100, spare_bytes=1 << 16)
    assert path.stat().st_size * 100 + (1 << 16) < 4 << 20
    assert "far more than its own size" in refused(path, work=work, limits=limits)
    assert list(work.iterdir()) == []
    (tmp_path / "many").mkdir()
    with pytest.raises(BundleError, match="far more"):
        unpack(path, tmp_path / "many", UnpackingLimits(entries=1))


def test_a_zip_that_declares_less_than_it_holds_is_refused(tmp_path):
    path = as_zip(tmp_path / "bundle.zip", files(**{"images/life/b.tif": bytes(1 << 16)}))
    data = path.read_bytes()
    lying = data.replace((1 << 16).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert lying != data
    path.write_bytes(lying)
    refused(path)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_cut_or_scrambled_archive_is_damaged_in_one_line(tmp_path, kind):
    path = as_any(kind, tmp_path, files(**{"images/life/b.tif": os.urandom(1 << 14)}))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    refused(path)
    path.write_bytes(b"not an archive at all")
    refused(path)


@pytest.mark.parametrize(
    ("told", "word"),
    [
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "bundle.json"),
        (manifest(format=2), "update it"),
        (manifest(colour="blue"), "colour"),
    ],
)
def test_a_manifest_that_cannot_be_read_says_why(tmp_path, told, word):
    assert word in refused(as_folder(tmp_path / "bundle", files(**{MANIFEST: told})))


def test_what_is_no_bundle_at_all_is_said(tmp_path):
    assert "is not there" in refused(tmp_path / "none.zip")
    (tmp_path / "notes.txt").write_text("hello")
    assert "no bundle" in refused(tmp_path / "notes.txt")
