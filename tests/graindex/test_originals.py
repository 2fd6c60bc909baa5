"""Pixels of catalogued images: those that the reader sees, of the file that was read."""

import io

import numpy as np
import pytest
from PIL import Image

from graindex.errors import OriginalError
from graindex.originals import content_hash, load_content
from graindex.readers.frame import Limits
from graindex.readers.images import read_frames


def _row(path, data, colour_mode, kind="jpeg", box=(0, 0, 64, 48)):
    edges = dict(zip(("x0", "y0", "x1", "y1"), box, strict=True))
    return {
        "uri": str(path),
        "path": path.name,
        "page": 0,
        "content_hash": content_hash(data),
        "file_format": kind,
        "colour_mode": colour_mode,
        **{f"content_{name}_px": value for name, value in edges.items()},
    }


@pytest.fixture
def colours():
    rng = np.random.default_rng(5)
    return Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))


@pytest.mark.parametrize("options", [{"quality": 80}, {"quality": 100, "subsampling": 0}])
@pytest.mark.parametrize("grey", [False, True])
def test_the_fast_path_gives_the_readers_pixels(tmp_path, colours, options, grey):
    buffer = io.BytesIO()
    (colours.convert("L").convert("RGB") if grey else colours).save(buffer, "JPEG", **options)
    path = tmp_path / "a.jpg"
    path.write_bytes(buffer.getvalue())
    frame = read_frames(buffer.getvalue(), path.name)[0]
    assert frame.colour_mode == ("rgb_grey" if grey else "rgb")
    row = _row(path, buffer.getvalue(), frame.colour_mode)
    assert (load_content(row, Limits()) == frame.pixels).all()


def test_only_the_content_box_is_loaded(tmp_path, colours):
    path = tmp_path / "a.png"
    colours.convert("L").save(path)
    row = _row(path, path.read_bytes(), "grey", "png", (3, 5, 60, 40))
    whole = np.asarray(colours.convert("L"))
    assert (load_content(row, Limits()) == whole[5:40, 3:60]).all()


def test_a_changed_or_vanished_file_is_an_error(tmp_path, colours):
    path = tmp_path / "a.png"
    colours.convert("L").save(path)
    row = _row(path, path.read_bytes(), "grey", "png")
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(OriginalError, match="changed since it was catalogued"):
        load_content(row, Limits())
    path.unlink()
    with pytest.raises(OriginalError, match=r"a\.png cannot be read: No such file"):
        load_content(row, Limits())


@pytest.mark.real_data
def test_real_jpegs_load_as_they_read(real_data):
    for path in sorted((real_data / "ncm622_cycled_sem").glob("*.jpg"))[::10]:
        data = path.read_bytes()
        frame = read_frames(data, path.name)[0]
        row = _row(path, data, frame.colour_mode, box=(0, 0, *frame.pixels.shape[::-1]))
        assert (load_content(row, Limits()) == frame.pixels).all()
