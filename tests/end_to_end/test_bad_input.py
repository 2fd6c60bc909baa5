"""Bad files and wrong commands, each made for real: what is kept, what is said, how it ends.

Out of scope: the readers on their own (`tests.graindex.readers`).
"""

import re
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import graindex as package
from graindex.store import Store
from models.phantoms.sem import SemPhantom, render
from tests.end_to_end.commands import SELECTED, Answer, by_asset, graindex, one_vector_each, phantom

ODD_NAMES = (
    "two  blanks.png",
    "it's.png",
    'say "x".png',
    "전극 표면.png",
    "100%25.png",
    "semi;colon--.png",
    "sub folder/{brace}.png",
)
REFUSED = {
    "truncated.jpg": r"truncated JPEG: no end-of-image marker in \d+ bytes",
    "empty.png": r"the file is empty \(0 bytes\)",
    "text.tif": r"not an image that can be read: looks like text: 'no image at all'",
    "bomb.png": r"60000 x 60000 pixels are 3600 megapixels, over the limit of 512",
    "bomb.tif": r"60000 x 60000 pixels are 3600 megapixels, over the limit of 512",
    "one.png": r"1 x 1 pixels: a side is under 16 pixels",
    "black.png": r"constant image, every pixel is 0",
    "locked.png": r"cannot be read: Permission denied",
    "locked folder": r"folder cannot be listed: Permission denied",
    "loop": r"symbolic link back to a folder above it",
    "itself.png": r"cannot be opened: Too many levels of symbolic links",
    "nowhere.png": r"cannot be opened: No such file or directory",
    "zz copy.png": r"same bytes as 'plain.png', which is catalogued",
}
Y, X = 192, 192


def grey(seed: int) -> np.ndarray:
    """(192, 192) uint8, without a databar."""
    return render(SemPhantom(seed=seed, shape_px=(Y, X), databar=False)).image


def bomb_png() -> bytes:
    """A valid one-bit PNG of 60,000 × 60,000 zeros: 450 MB once unpacked, 0.5 MB as it lies."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    side = 60_000
    packer = zlib.compressobj()
    rows = bytes(100 * (1 + side // 8))
    body = b"".join([*(packer.compress(rows) for _ in range(side // 100)), packer.flush()])
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


def bomb_tiff() -> bytes:
    """A TIFF whose header claims 60,000 × 60,000 pixels in one strip of 16 bytes."""
    tags = {
        256: 60_000,
        257: 60_000,
        258: 8,
        259: 1,
        262: 1,
        273: 200,
        277: 1,
        278: 60_000,
        279: 16,
    }
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    return head.ljust(200, b"\0") + bytes(range(16))


def make_good(folder: Path) -> None:
    for seed, name in enumerate(("plain.png", *ODD_NAMES)):
        phantom(folder / name, seed)
    twelve = grey(20).astype(np.uint16) * 16
    tifffile.imwrite(folder / "twelve bits.tif", twelve)
    holes = grey(21).astype(np.float32) / 7
    holes[3:5, 7:10] = np.nan
    holes[100, 0] = np.inf
    tifffile.imwrite(folder / "holes.tif", holes)
    Image.merge("RGBA", [Image.fromarray(grey(22))] * 3 + [Image.new("L", (X, Y), 255)]).save(
        folder / "rgba.png"
    )
    Image.fromarray(grey(23)).convert("RGB").convert("CMYK").save(folder / "cmyk.jpg", quality=95)


def make_bad(folder: Path) -> None:
    whole = folder / "truncated.jpg"
    Image.fromarray(grey(30)).save(whole, quality=95)
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    (folder / "empty.png").touch()
    (folder / "text.tif").write_text("no image at all")
    (folder / "bomb.png").write_bytes(bomb_png())
    (folder / "bomb.tif").write_bytes(bomb_tiff())
    Image.new("L", (1, 1), 7).save(folder / "one.png")
    Image.new("L", (X, Y), 0).save(folder / "black.png")
    phantom(folder / "locked.png", 31)
    (folder / "locked.png").chmod(0)
    phantom(folder / "locked folder" / "inside.png", 32)
    (folder / "locked folder").chmod(0)
    (folder / "loop").symlink_to(folder)
    (folder / "itself.png").symlink_to("itself.png")
    (folder / "nowhere.png").symlink_to("gone.png")
    shutil.copyfile(folder / "plain.png", folder / "zz copy.png")


@dataclass(frozen=True)
class Bad:
    """A folder of good and bad files, added, materialised twice and checked.

    `snapshot` is the state after that; a later test repairs files.
    """

    folder: Path
    home: Path
    added: Answer
    first: Answer
    second: Answer
    checked: Answer
    snapshot: int

    @property
    def store(self) -> Store:
        return package.open(self.home)

    def rows(self, table: str) -> dict[str, dict[str, object]]:
        """Rows of a table by path, before anything was repaired."""
        rows = self.store.read(table, as_of=self.snapshot).to_pylist()
        assert len({row["path"] for row in rows}) == len(rows)
        return {row["path"]: row for row in rows}


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory, new_home: Callable[[], Path]) -> Iterator[Bad]:
    folder = tmp_path_factory.mktemp("bad input")
    make_good(folder)
    make_bad(folder)
    home = new_home()
    added = graindex("add", folder, "--dataset", "bad", home=home, bound=True)
    first = graindex("materialize", *SELECTED, "--format", "json", home=home, bound=True)
    again = ("materialize", *SELECTED, "--strict", "--format", "json")
    second = graindex(*again, home=home, bound=True)
    checked = graindex("check", *SELECTED, "--format", "json", home=home, bound=True)
    yield Bad(folder, home, added, first, second, checked, package.open(home).snapshot())
    (folder / "locked folder").chmod(0o755)


def test_adding_and_materialising_succeed(bad: Bad) -> None:
    assert bad.added.code == 0, bad.added
    assert bad.first.code == 0, bad.first
    assert "Traceback" not in bad.added.err + bad.first.err + bad.second.err
    assert len([line for line in bad.first.err.splitlines() if "quarantined" in line]) == len(
        REFUSED
    )


def test_every_file_is_catalogued_or_refused(bad: Bad) -> None:
    images, refused = bad.rows("micrographs").keys(), bad.rows("quarantine").keys()
    good = {"plain.png", *ODD_NAMES, "twelve bits.tif", "holes.tif", "rgba.png", "cmyk.jpg"}
    assert images == good
    assert refused == REFUSED.keys()
    named = {path.relative_to(bad.folder).as_posix() for path in bad.folder.rglob("*.*")}
    assert named <= images | refused | {"locked folder/inside.png", "loop"}


@pytest.mark.parametrize("path", REFUSED)
def test_a_refusal_says_why_in_one_line(bad: Bad, path: str) -> None:
    row = bad.rows("quarantine")[path]
    assert re.fullmatch(REFUSED[path], str(row["reason"])), row["reason"]
    assert row["uri"] == str(bad.folder / path)


def test_odd_names_read_as_plain_ones(bad: Bad) -> None:
    images = bad.rows("micrographs")
    for name in ("plain.png", *ODD_NAMES):
        row = images[name]
        assert row["pixel_size_um"] == pytest.approx(SemPhantom().pixel_size_um, rel=0.02), name
        assert (row["content_y1_px"], row["height_px"]) == (Y, Y + 64), name
        assert row["accelerating_voltage_kv"] == 15, name


@pytest.mark.parametrize(
    ("path", "facts"),
    [
        ("twelve bits.tif", ("tiff", "grey", 16, 12, 0)),
        ("holes.tif", ("tiff", "grey", 32, 32, 7)),
        ("rgba.png", ("png", "rgba", 8, 8, 0)),
        ("cmyk.jpg", ("jpeg", "cmyk", 8, 8, 0)),
    ],
)
def test_uncommon_pixels_are_read_right(bad: Bad, path: str, facts: tuple[object, ...]) -> None:
    names = ("file_format", "colour_mode", "bit_depth", "bits_used", "nonfinite_pixels")
    row = bad.rows("micrographs")[path]
    assert tuple(row[name] for name in names) == facts
    assert (row["width_px"], row["height_px"]) == (X, Y)


@pytest.mark.parametrize(
    ("path", "seed", "scale", "within"),
    [("twelve bits.tif", 20, 16 / 4095 * 255, 0.5), ("rgba.png", 22, 1, 0), ("cmyk.jpg", 23, 1, 1)],
)
def test_grey_levels_are_those_that_were_written(
    bad: Bad, path: str, seed: int, scale: float, within: float
) -> None:
    query = f"SELECT brightness_mean FROM micrograph_catalog WHERE path = '{path}'"
    ((mean,),) = bad.store.sql(query).fetchall()
    assert mean == pytest.approx(grey(seed).mean() * scale, abs=within + 1e-6)


def test_good_images_have_quality_and_vectors(bad: Bad) -> None:
    one_vector_each(bad.store)


def test_second_run_computes_nothing_and_strict_fails(bad: Bad) -> None:
    assert bad.second.code == 1, bad.second
    first, second = by_asset(bad.first.rows, "bad"), by_asset(bad.second.rows, "bad")
    for asset, row in second.items():
        assert row["computed"] == row["dropped"] == 0, row
        assert row["rows"] == first[asset]["rows"]
    assert second["micrographs"]["refused"] == len(REFUSED)
    # Neither the second run nor the check, whose results were known, made a snapshot.
    made = {row["snapshot"] for asset, row in second.items() if asset != "micrograph_vectors"}
    assert made == {bad.snapshot}
    assert second["micrograph_vectors"]["snapshot"] == first["micrograph_vectors"]["snapshot"]


def test_check_lists_what_was_refused(bad: Bad) -> None:
    assert bad.checked.code == 0, bad.checked
    rows = bad.checked.rows
    refused = [row for row in rows if row["check"] == "no_quarantine"]
    assert {row["id"]: row["found"] for row in refused} == {
        path: row["reason"] for path, row in bad.rows("quarantine").items()
    }
    assert {row["level"] for row in rows} == {"warning"}
    passed, ran = map(int, re.findall(r"(\d+) of (\d+) checks passed", bad.checked.err)[0])
    assert passed == ran - len({(row["asset"], row["check"]) for row in rows})
    assert "Repair or replace the file" in bad.checked.err


def test_repaired_files_are_picked_up(bad: Bad) -> None:
    kept = bad.rows("micrographs").keys()
    Image.fromarray(grey(30)).save(bad.folder / "truncated.jpg", quality=95)
    (bad.folder / "locked.png").chmod(0o644)
    answer = graindex("materialize", *SELECTED, "--format", "json", home=bad.home, bound=True)
    assert answer.code == 0, answer
    for asset in ("micrographs", "image_quality", "micrograph_vectors"):
        row = by_asset(answer.rows, "bad")[asset]
        assert (row["computed"], row["kept"], row["dropped"]) == (2, len(kept), 0)
    refused = set(bad.store.read("quarantine")["path"].to_pylist())
    assert refused == REFUSED.keys() - {"truncated.jpg", "locked.png"}
    one_vector_each(bad.store)


@pytest.mark.slow
def test_every_asset_goes_on_beside_bad_files(bad: Bad) -> None:
    whole = graindex("materialize", "--format", "json", home=bad.home, bound=True)
    assert whole.code == 0, whole
    assert by_asset(whole.rows, "bad")["particles_2d"]["rows"] > 0
