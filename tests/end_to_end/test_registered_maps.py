"""The command `correlate` on files: a planted correlation, and one clear line for the rest."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy.ndimage import gaussian_filter

from orchestration.cli.main import main

Y, X = np.mgrid[:96, :112]
THICKNESS = 8 * np.sqrt(np.clip(1 - ((Y - 48) / 44) ** 2 - ((X - 56) / 50) ** 2, 0, None))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Projections of a ball: density and oxidation state, 0.7 correlated, and the thickness."""
    folder = tmp_path_factory.mktemp("maps")
    rng = np.random.default_rng(1)
    fields = gaussian_filter(rng.standard_normal((2, 216, 216)), (0, 3, 3))[:, 60:156, 60:172]
    one, other = fields * 6 * np.sqrt(np.pi)
    density = (1.3 + 0.05 * one) * THICKNESS
    state = 3.5 + 0.1 * (0.7 * one + np.sqrt(1 - 0.49) * other)
    tifffile.imwrite(folder / "density.tif", density.astype(np.float32))
    np.save(folder / "state.npy", state)
    tifffile.imwrite(folder / "thickness.tif", THICKNESS.astype(np.float32))
    Image.fromarray(((THICKNESS > 4) * 255).astype(np.uint8)).save(folder / "mask.png")
    np.save(folder / "constant.npy", np.full(Y.shape, 2.0))
    np.save(folder / "empty.npy", np.zeros(Y.shape))
    np.save(folder / "small.npy", state[1:])
    np.save(folder / "words.npy", np.array([["a", "b"]]))
    (folder / "torn.npy").write_bytes((folder / "state.npy").read_bytes()[:200])
    return folder


def run(capsys, folder, *words):
    files = [str(folder / word) if "." in word else word for word in words]
    capsys.readouterr()
    code = main(["correlate", *files])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_a_planted_correlation_is_found_within_its_interval(folder, tmp_path, capsys):
    figure = tmp_path / "figure.png"
    words = ["density.tif", "state.npy", "--thickness-a", "thickness.tif", "--format", "json"]
    code, out, _ = run(capsys, folder, *words, "-o", str(figure))
    assert code == 0
    (row,) = json.loads(out)
    assert row["pearson_lower"] < 0.7 < row["pearson_upper"]
    assert row["pearson_upper"] - row["pearson_lower"] > 0.05  # not that of 6900 pixels
    assert row["pixels"] == (THICKNESS > 0).sum()
    assert row["independent_pairs"] < row["pixels"] / 20
    picture = Image.open(figure)
    assert picture.format == "PNG" and picture.width > 1000


def test_thickness_hides_it_where_it_is_not_taken_out(folder, capsys):
    _, out, _ = run(capsys, folder, "density.tif", "state.npy", "--format", "json")
    assert abs(json.loads(out)[0]["pearson"]) < 0.4


def test_a_mask_leaves_pixels_out_and_both_may_be_divided(folder, capsys):
    words = ["density.tif", "density.tif", "--thickness", "thickness.tif", "--mask", "mask.png"]
    code, out, _ = run(capsys, folder, *words, "--format", "json")
    (row,) = json.loads(out)
    assert code == 0 and row["pixels"] == (THICKNESS > 4).sum()
    assert row["pearson"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["density.tif", "small.npy"], "the second map is 95 × 112 pixels, the first map 96 × 112"),
        (["density.tif", "constant.npy"], "the second map is 2 in all 10752 pixels"),
        (["density.tif", "state.npy", "--mask", "empty.npy"], "0 pixels are known in both maps"),
        (["density.tif", "state.npy", "--thickness", "empty.npy"], "0 pixels are known"),
        (["density.tif", "state.npy", "--thickness", "small.npy"], "thickness is 95 × 112"),
        (["density.tif", "gone.npy"], "gone.npy cannot be read: No such file"),
        (["density.tif", "gone.tif"], "gone.tif"),
        (["density.tif", "torn.npy"], "torn.npy is no NPY file of numbers"),
        (["density.tif", "words.npy"], "words.npy holds <U1"),
        (["density.tif", "state.npy", "-o", "figure.pdf"], "is no PNG"),
        (["density.tif", "state.npy", "-o", "gone/figure.png"], "figure.png cannot be written"),
        (["density.tif", "state.npy", "-o", "state.npy/a.png"], "a.png cannot be written"),
        (["a.tif", "b.tif", "--thickness", "c.tif", "--thickness-a", "d.tif"], "one thickness"),
    ],
)
def test_what_says_nothing_is_one_clear_line(folder, capsys, words, told):
    code, out, err = run(capsys, folder, *words)
    assert (code, out) == (2, "")
    assert told in err
    assert err.startswith("error: ") and len(err.splitlines()) == 1
