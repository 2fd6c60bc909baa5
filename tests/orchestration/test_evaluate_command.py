"""`graindex evaluate` on files and folders, and what it refuses in one line."""

import csv
import io
import json

import cv2
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from orchestration.cli.main import main

SIDE = 60


def discs(radii, side=SIDE):
    """Discs in a row of cells as wide as the image is high."""
    labels = np.zeros((side, side * len(radii)), np.uint16)
    y, x = np.indices((side, side)) - side // 2
    for number, radius in enumerate(radii):
        cell = labels[:, number * side : (number + 1) * side]
        cell[y**2 + x**2 < radius**2] = number + 1
    return labels


SCENES = {
    # truth and prediction: alike; one of two missed; everything missed; bare foil, found bare
    "a": (discs([20, 12]), discs([20, 12])),
    "b": (discs([20, 12]), discs([20, 0])),
    "c": (discs([20, 12]), discs([0, 0])),
    "d": (discs([0, 0]), discs([0, 0])),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folders of truths as TIFF, predictions as PNG, and images."""
    base = tmp_path_factory.mktemp("evaluate")
    for folder in ("truth", "found", "images"):
        (base / folder).mkdir()
    (base / "truth" / "sources.csv").write_text("image,paper\n")  # no label file: passed over
    for name, (truth, found) in SCENES.items():
        tifffile.imwrite(base / "truth" / f"{name}.tif", truth)
        cv2.imwrite(str(base / "found" / f"{name}.png"), found)
        cv2.imwrite(str(base / "images" / f"{name}.png"), (truth > 0) * np.uint8(150) + 40)
    return base


def run(capsys, *words, code=0):
    assert main(["evaluate", *map(str, words)]) == code
    told = capsys.readouterr()
    if code:
        assert told.out == ""
        assert told.err.count("\n") == 1
        return told.err
    return told.out


def test_folders_are_pooled_and_listed_by_image(folders, capsys):
    words = (folders / "found", folders / "truth", "--per-image", "--format", "json")
    whole, *images = json.loads(run(capsys, *words))
    assert (whole["image"], whole["images"]) == ("all", 4)
    assert (whole["true_particles"], whole["predicted_particles"]) == (6, 3)
    assert whole["true_positives_50"] == 3
    assert whole["precision_50"] == 1
    assert whole["recall_50"] == pytest.approx(0.5)
    assert whole["f1_75"] == pytest.approx(2 / 3)
    assert whole["d50_abs_error_median"] is None  # no image has ten particles
    assert [row["image"] for row in images] == list("abcd")
    assert [row["f1_50"] for row in images] == pytest.approx([1, 2 / 3, 0, 1])
    assert images[2]["d50_error"] == -1
    assert images[3]["mean_matched_iou_50"] is None
    sensitivity = [1, images[1]["pixel_sensitivity"], 0, 1]
    assert whole["pixel_sensitivity"] == pytest.approx(np.mean(sensitivity))
    assert whole["pixel_sensitivity_std"] == pytest.approx(np.std(sensitivity, ddof=1))


def test_without_per_image_there_is_one_row_and_csv_holds_the_same(folders, capsys):
    words = (folders / "found", folders / "truth", "--format")
    (row,) = json.loads(run(capsys, *words, "json"))
    (line,) = csv.DictReader(io.StringIO(run(capsys, *words, "csv")))
    assert list(line) == list(row)
    assert float(line["f1_50"]) == row["f1_50"]


def test_the_table_for_people_shows_particles_pixels_and_sizes(folders, tmp_path, capsys):
    out = run(capsys, folders / "found", folders / "truth")
    for words in ("f1_50", "matthews", "sd over images"):
        assert words in out
    assert "by area or volume" not in out, "no image holds particles enough for a median"
    tifffile.imwrite(tmp_path / "many.tif", discs([10] * 12, 30))
    out = run(capsys, tmp_path / "many.tif", tmp_path / "many.tif")
    assert "by area or volume" in out
    assert "nan" not in out


def test_a_truncated_label_image_is_one_line(folders, tmp_path, capsys):
    data = (folders / "found" / "a.png").read_bytes()
    cut = tmp_path / "cut.png"
    cut.write_bytes(data[: len(data) // 2])
    told = run(capsys, cut, folders / "truth" / "a.tif", code=2)
    assert "cut.png: truncated PNG" in told


def test_two_files_may_have_different_names_and_formats(folders, tmp_path, capsys):
    stored = zarr.open_array(tmp_path / "x.zarr", mode="w", shape=(1, SIDE, 2 * SIDE), dtype="u2")
    stored[0] = SCENES["b"][1]
    words = (tmp_path / "x.zarr", folders / "truth" / "b.tif", "--format", "json")
    (row,) = json.loads(run(capsys, *words))
    assert (row["images"], row["true_positives_50"], row["false_negatives_50"]) == (1, 1, 1)


def test_volumes_as_stack_and_as_folder_of_slices(tmp_path, capsys):
    z, y, x = np.indices((20, 40, 40)) - np.array([10, 20, 20])[:, None, None, None]
    ball = (z**2 + y**2 + x**2 < 81).astype(np.uint16)
    tifffile.imwrite(tmp_path / "stack.tif", ball)
    (tmp_path / "slices").mkdir()
    for number, plane in enumerate(np.roll(ball, 1, axis=1)):
        tifffile.imwrite(tmp_path / "slices" / f"s{number:02}.tif", plane)
    words = (tmp_path / "slices", tmp_path / "stack.tif", "--volumes", "--format", "json")
    (row,) = json.loads(run(capsys, *words, "-o", tmp_path / "report"))
    assert row["true_particles"] == row["true_positives_75"] == 1
    assert 0.8 < row["mean_matched_iou_50"] < 1
    assert Image.open(tmp_path / "report" / "best.png").size == (40, 40)
    error = run(capsys, tmp_path / "slices", tmp_path / "stack.tif", code=2)
    assert "give two files or two folders" in error


def test_a_report_holds_numbers_files_and_three_pictures(folders, tmp_path, capsys):
    out = tmp_path / "report"
    words = (folders / "found", folders / "truth", "--image", folders / "images", "-o", out)
    run(capsys, *words)
    told = json.loads((out / "evaluation.json").read_text())
    assert told["shown"] == {"best": "a", "median": "b", "worst": "c"}
    assert len(told["by_threshold"]) == 10
    assert told["pooled"]["f1_50"] == pytest.approx(2 / 3)
    assert [len(image["truth_sha256"]) for image in told["images"]] == [64] * 4
    rows = list(csv.DictReader((out / "evaluation.csv").open()))
    assert [row["image"] for row in rows] == list("abcd")
    worst = np.asarray(Image.open(out / "worst.png"))
    assert worst.shape == (SIDE, 2 * SIDE, 3)
    assert tuple(worst[SIDE // 2, SIDE // 2]) == (190, 190, 190)  # inside of a particle: the image
    assert len({tuple(pixel) for pixel in worst.reshape(-1, 3)}) == 3  # missed: one colour of line


def damaged(folders, tmp_path, **files):
    """A copy of the predictions in which some files are others, or none."""
    copy = tmp_path / "copy"
    copy.mkdir()
    for name, (_, found) in SCENES.items():
        content = files.get(name, found)
        if content is not None:
            tifffile.imwrite(copy / f"{name}.tif", content)
    return copy


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"b": None, "d": None}, ("no counterpart of b, d:",)),
        ({"b": discs([20])}, ("b.tif against", "shape (60, 60) but truth (60, 120)")),
        ({"b": np.zeros((60, 120), np.float32)}, ("b.tif", "float32")),
        ({"b": np.zeros((60, 120, 3), np.uint8)}, ("b.tif",)),
        ({"b": np.full((60, 120), -1, np.int16)}, ("b.tif", "below 0")),
    ],
)
def test_wrong_predictions_are_named_in_one_line(folders, tmp_path, capsys, files, words):
    error = run(capsys, damaged(folders, tmp_path, **files), folders / "truth", code=2)
    assert all(word in error for word in words), error


def test_predictions_without_truth_and_images_without_counterpart(folders, tmp_path, capsys):
    found = damaged(folders, tmp_path)
    tifffile.imwrite(found / "extra.tif", SCENES["a"][1])
    error = run(capsys, found, folders / "truth", code=2)
    assert f"{folders / 'truth'} has no counterpart of extra:" in error
    (tmp_path / "few").mkdir()
    cv2.imwrite(str(tmp_path / "few" / "a.png"), np.zeros((60, 120), np.uint8))
    pictured = ("--image", tmp_path / "few", "-o", tmp_path / "out")
    error = run(capsys, folders / "found", folders / "truth", *pictured, code=2)
    assert "no counterpart of b, c, d:" in error
    assert not (tmp_path / "out").exists()


def test_other_wrong_commands(folders, tmp_path, capsys):
    pair = (folders / "found" / "a.png", folders / "truth" / "a.tif")
    assert "-o FOLDER" in run(capsys, *pair, "--image", folders / "images", code=2)
    assert "is not there" in run(capsys, tmp_path / "gone.tif", pair[1], code=2)
    (tmp_path / "none").mkdir()
    assert "holds no label files" in run(capsys, tmp_path / "none", folders / "truth", code=2)
    small = tmp_path / "small.png"
    cv2.imwrite(str(small), np.eye(50, 120, dtype=np.uint8) * 200)
    error = run(capsys, *pair, "--image", small, "-o", tmp_path / "report", code=2)
    assert "give the image that was segmented" in error
    twice = damaged(folders, tmp_path)
    cv2.imwrite(str(twice / "a.png"), SCENES["a"][0])
    assert "have one name" in run(capsys, twice, folders / "truth", code=2)
