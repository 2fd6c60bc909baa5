"""`graindex segment` and `graindex measure` on files, without a store."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
import tifffile
from PIL import Image

from graindex.segmenting import write_labels
from models.phantoms.electrode import plan, render
from models.phantoms.electrode_config import ElectrodePhantom
from models.phantoms.scattered import ScatteredPhantom, scatter
from models.phantoms.solids import ball
from orchestration.cli.main import main
from schemas.arrow import arrow_schema
from schemas.measured import MEASURED
from tests.end_to_end.commands import Answer
from tests.end_to_end.commands import graindex as run

SPACING = (0.5, 0.4, 0.4)

Command = Callable[..., Answer]


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in this process."""

    def call(*arguments: object) -> Answer:
        code = main([str(argument) for argument in arguments])
        return Answer(code, *capfd.readouterr())

    return call


@pytest.fixture(scope="module")
def electrode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels, phases and grey of a small electrode, with its truth as JSON."""
    folder = tmp_path_factory.mktemp("electrode")
    made = plan(ElectrodePhantom(seed=3, shape_voxels=(64, 72, 80), voxel_size_um=(0.35,) * 3))
    block = render(made)
    labels = block.labels.astype(np.int32)
    write_labels(labels, folder / "labels.tif", spacing_um=(0.35, 0.35, 0.35))
    tifffile.imwrite(folder / "phases.tif", block.phases, metadata={"axes": "ZYX"})
    grey = np.where(labels > 0, 40 + labels % 5, 10).astype(np.float32)
    grey[labels == 0] = np.nan
    tifffile.imwrite(folder / "grey.tif", grey, metadata={"axes": "ZYX"})
    truth = {name: np.asarray(values).tolist() for name, values in made.truth.items()}
    (folder / "truth.json").write_text(json.dumps(truth))
    return folder


def ball_file(path: Path, **options: object) -> float:
    """Labels of one ball of radius 6 µm; returns its volume in µm³."""
    body, truth = ball((30, 36, 36), spacing_um=SPACING, radius_um=6.0)
    tifffile.imwrite(path, body.astype(np.uint16), metadata={"axes": "ZYX"}, **options)
    return float(truth.volume_um3)


def test_a_volume_becomes_rows_that_agree_with_its_truth(electrode: Path, tmp_path: Path) -> None:
    table, pairs = tmp_path / "particles.parquet", tmp_path / "contacts.csv"
    answer = run(
        "measure", electrode / "labels.tif", "--grey", electrode / "grey.tif",
        "--phases", electrode / "phases.tif", "-o", table, "--contacts", pairs,
        "--statistics", tmp_path / "statistics.json", home=None,
    )  # fmt: skip
    assert answer.code == 0, answer
    assert answer.out == ""
    rows = pq.read_table(table)
    assert rows.schema.equals(arrow_schema(MEASURED["particles_3d"]))
    assert rows.schema.field("volume_um3").metadata[b"unit"].decode() == "µm³"
    made = json.loads(rows.schema.metadata[b"graindex"])
    assert made["spacing_um"] == pytest.approx([0.35] * 3)
    truth = json.loads((electrode / "truth.json").read_text())
    known = dict(zip(truth["label"], range(len(truth["label"])), strict=True))
    whole = [row for row in rows.to_pylist() if not row["touches_border"]]
    assert len(whole) > 5
    for row in whole:
        at = known[row["label"]]
        assert row["volume_um3"] == pytest.approx(truth["volume_um3"][at], rel=0.02)
        assert row["damage"] == pytest.approx(truth["damage"][at], abs=0.01)
        assert row["detachment"] == pytest.approx(truth["detachment"][at], abs=0.05)
        assert row["electron_density_mean_body"] == pytest.approx(40 + row["label"] % 5)
    contacts = pa_csv.read_csv(pairs)
    assert contacts.column_names == ["label_a", "label_b", "contact_area_um2"]
    assert set(contacts["label_a"].to_pylist()) <= set(rows["label"].to_pylist())
    statistics = json.loads((tmp_path / "statistics.json").read_text())
    found = {row["statistic"]: row["value"] for row in statistics if row["bin_lower"] is None}
    phases = tifffile.imread(electrode / "phases.tif")
    assert found["porosity"] == pytest.approx((phases == 0).mean())
    shares = [value for name, value in found.items() if name.startswith("phase_fraction_")]
    assert sum(shares) == pytest.approx(1)
    assert found["particle_count"] == rows.num_rows
    assert found["damage_mean"] == pytest.approx(np.mean([row["damage"] for row in whole]))


def test_the_spacing_of_the_command_line_goes_before_the_files(
    command: Command, tmp_path: Path
) -> None:
    volume = ball_file(tmp_path / "ball.tif")
    for text, factor in (("0.5,0.4,0.4", 1.0), ("1.0 0.8 0.8", 8.0)):
        answer = command(
            "measure", tmp_path / "ball.tif", "--spacing-um", text, "-o", tmp_path / "t.json"
        )
        assert answer.code == 0, answer
        (row,) = json.loads((tmp_path / "t.json").read_text())
        assert row["volume_um3"] == pytest.approx(factor * volume, rel=0.01)
        assert row["sphericity"] == pytest.approx(1, abs=0.03)
        assert row["damage"] < 0.01
        assert row["detachment"] is None and row["electron_density_mean"] is None


def test_labels_without_a_header_and_an_empty_volume(command: Command, tmp_path: Path) -> None:
    body = np.zeros((4, 5, 6), "<u2")
    body.tofile(tmp_path / "empty.raw")
    options = ("--shape", 4, 5, 6, "--dtype", "uint16", "--spacing-um", 1)
    answer = command(
        "measure", tmp_path / "empty.raw", *options, "-o", tmp_path / "t.parquet",
        "--contacts", tmp_path / "c.parquet",
    )  # fmt: skip
    assert answer.code == 0, answer
    rows = pq.read_table(tmp_path / "t.parquet")
    assert rows.num_rows == 0
    assert rows.schema.equals(arrow_schema(MEASURED["particles_3d"]))
    assert pq.read_table(tmp_path / "c.parquet").num_rows == 0
    body[1, 2, 3] = 65535
    body.tofile(tmp_path / "one.raw")
    answer = command("measure", tmp_path / "one.raw", *options, "-o", tmp_path / "t.parquet")
    assert answer.code == 0, answer
    (row,) = pq.read_table(tmp_path / "t.parquet").to_pylist()
    assert (row["label"], row["voxels"], row["body_volume_um3"]) == (65535, 1, 1.0)
    assert (row["neighbours"], row["distance_nearest_um"]) == (0, None)


def test_an_image_without_a_pixel_size_is_measured_in_pixels_alone(
    command: Command, tmp_path: Path
) -> None:
    y, x = np.mgrid[:100, :100]
    disc = ((y - 50.3) ** 2 + (x - 48.6) ** 2 < 20**2).astype(np.uint16) * 700
    Image.fromarray(disc).save(tmp_path / "disc.png")
    answer = command("measure", tmp_path / "disc.png", "-o", tmp_path / "t.parquet")
    assert answer.code == 0, answer
    rows = pq.read_table(tmp_path / "t.parquet")
    assert rows.schema.equals(arrow_schema(MEASURED["particles_2d"]))
    (row,) = rows.to_pylist()
    assert (row["label"], row["area_um2"], row["perimeter_um"]) == (700, None, None)
    assert row["equivalent_diameter_px"] == pytest.approx(40, rel=0.01)
    answer = command(
        "measure", tmp_path / "disc.png", "--spacing-um", 0.1, "-o", tmp_path / "t.parquet"
    )
    assert answer.code == 0, answer
    (row,) = pq.read_table(tmp_path / "t.parquet").to_pylist()
    assert row["area_um2"] == pytest.approx(np.pi * 2.0**2, rel=0.01)
    assert row["circularity"] == pytest.approx(1, abs=0.03)


def wrong_files(folder: Path) -> None:
    ball_file(folder / "ball.tif")
    cube = np.zeros((5, 6, 7))
    tifffile.imwrite(folder / "floats.tif", cube.astype("f4"), metadata={"axes": "ZYX"})
    tifffile.imwrite(folder / "other.tif", cube.astype("u1"), metadata={"axes": "ZYX"})
    tifffile.imwrite(folder / "negative.tif", cube.astype("i2") - 1, metadata={"axes": "ZYX"})
    whole = (folder / "ball.tif").read_bytes()
    (folder / "cut.tif").write_bytes(whole[: len(whole) // 2])
    (folder / "text.tif").write_text("no image")
    Image.new("RGB", (32, 32), (1, 2, 3)).save(folder / "colour.png")
    slices = folder / "slices"
    slices.mkdir()
    for number in (1, 2, 4):
        tifffile.imwrite(slices / f"s{number:03}.tif", cube[0].astype("u1"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("measure ball.tif", "--spacing-um"),
        ("measure ball.tif --spacing-um 0", "above zero"),
        ("measure ball.tif --spacing-um=-1,1,1", "above zero"),
        ("measure ball.tif --spacing-um nan", "above zero"),
        ("measure ball.tif --spacing-um 1,1,1,1", "Z,Y,X"),
        ("measure floats.tif --spacing-um 1", "integers"),
        ("measure negative.tif --spacing-um 1", "negative"),
        ("measure ball.tif --spacing-um 1 --grey other.tif", "shape"),
        ("measure ball.tif --spacing-um 1 --phases other.tif", "shape"),
        ("measure cut.tif --spacing-um 1", "cut.tif"),
        ("measure text.tif --spacing-um 1", "text.tif"),
        ("measure slices --spacing-um 1", "slice 3 is missing"),
        ("measure gone.tif --spacing-um 1", "gone.tif"),
        ("measure colour.png", "colour"),
        ("segment text.tif", "text.tif"),
        ("segment gone.png", "gone.png"),
        ("segment ball.tif --min-diameter-px 0", "min_diameter_px"),
        ("segment ball.tif --threshold bright", "--threshold"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, told: str
) -> None:
    wrong_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    output = "out.tif" if words.startswith("segment") else "out.parquet"
    answer = command(*words.split(), "-o", output)
    assert told in answer.error
    assert not (tmp_path / output).exists()


def test_libraries_add_nothing_to_that_line(tmp_path: Path) -> None:
    # A process of its own: pytest takes what libraries log.
    whole, cut = tmp_path / "whole.tif", tmp_path / "cut.tif"
    noise = np.random.default_rng(0).integers(0, 255, (8, 64, 64), dtype=np.uint8)
    with tifffile.TiffWriter(whole) as writer:
        for plane in noise:
            writer.write(plane, contiguous=False)
    cut.write_bytes(whole.read_bytes()[:20_000])
    answer = run("segment", cut, "-o", tmp_path / "labels.tif", home=None)
    assert "cut.tif" in answer.error


def test_an_output_of_an_unknown_kind_or_in_no_folder_is_refused(
    command: Command, tmp_path: Path
) -> None:
    ball_file(tmp_path / "ball.tif")
    measure = ("measure", tmp_path / "ball.tif", "--spacing-um", 1, "-o")
    assert ".parquet" in command(*measure, tmp_path / "t.xlsx").error
    assert "cannot be written" in command(*measure, tmp_path / "none" / "t.parquet").error
    segment = ("segment", tmp_path / "ball.tif", "-o")
    assert "TIFF" in command(*segment, tmp_path / "labels.png").error
    assert "cannot be written" in command(*segment, tmp_path / "none" / "l.tif").error


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.json", "labels.tif"])
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    target.write_bytes(b"older")
    script = f"""
import resource, sys
import numpy as np, pyarrow as pa
from pathlib import Path
from graindex.errors import GraindexError
from graindex.segmenting import write_labels
from orchestration.cli.output import write_table

rows = pa.table({{"value": np.random.default_rng(0).random(5000)}})
labels = np.random.default_rng(0).integers(0, 9000, (4, 99, 99)).astype(np.int32)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
target = Path({str(target)!r})
try:
    if target.suffix == ".tif":
        write_labels(labels, target, spacing_um=None)
    else:
        write_table(rows, target)
except GraindexError as error:
    sys.exit(f"told: {{error}}")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 1, done
    assert done.stderr.startswith("told: ") and "cannot be written" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert target.read_bytes() == b"older"


def test_a_micrograph_is_segmented_and_its_particles_measured(
    command: Command, tmp_path: Path
) -> None:
    made = scatter(ScatteredPhantom(seed=5))
    Image.fromarray(made.image).save(tmp_path / "sem.png")
    answer = command(
        "segment", tmp_path / "sem.png", "-o", tmp_path / "labels.tif",
        "--overlay", tmp_path / "overlay.png",
    )  # fmt: skip
    assert answer.code == 0, answer
    with Image.open(tmp_path / "overlay.png") as overlay:
        assert (overlay.mode, overlay.size) == ("RGB", made.image.shape[::-1])
    labels = tifffile.imread(tmp_path / "labels.tif")
    assert labels.shape == made.image.shape and labels.dtype == np.uint16
    truth, found = int(made.labels.max()), int(labels.max())
    # Particles that overlap are where a watershed fails: it may find too few, not too many.
    assert truth / 2 < found < 1.2 * truth
    overlap = ((labels > 0) & (made.labels > 0)).sum() / ((labels > 0) | (made.labels > 0)).sum()
    assert overlap > 0.8
    answer = command("measure", tmp_path / "labels.tif", "-o", tmp_path / "t.csv")
    assert answer.code == 0, answer
    assert pa_csv.read_csv(tmp_path / "t.csv").num_rows == found


def test_phases_are_segmented_as_they_are_and_their_spacing_goes_along(
    command: Command, electrode: Path, tmp_path: Path
) -> None:
    answer = command(
        "segment", electrode / "phases.tif", "--phase", 1, "--spacing-um", "0.35",
        "-o", tmp_path / "labels.tif",
    )  # fmt: skip
    assert answer.code == 0, answer
    labels = tifffile.imread(tmp_path / "labels.tif")
    phases = tifffile.imread(electrode / "phases.tif")
    assert (phases[labels > 0] == 1).all()
    assert (labels > 0).sum() > 0.9 * (phases == 1).sum()
    answer = command("measure", tmp_path / "labels.tif", "-o", tmp_path / "t.parquet")
    assert answer.code == 0, answer
    rows = pq.read_table(tmp_path / "t.parquet")
    assert rows.num_rows == labels.max()
    assert sum(rows["voxels"].to_pylist()) == (labels > 0).sum()
    volume = np.array(rows["body_volume_um3"].to_pylist())
    assert volume == pytest.approx(np.array(rows["voxels"].to_pylist()) * 0.35**3)


def test_a_large_volume_is_segmented_block_by_block_alike(
    command: Command, electrode: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("segment", electrode / "phases.tif", "--phase", 1, "--spacing-um", 0.35, "-o")
    assert command(*words, tmp_path / "whole.tif").code == 0
    monkeypatch.setattr("graindex.volume_segmentation.WHOLE_VOXELS", 0)
    monkeypatch.setattr("graindex.arrays.IN_MEMORY_BYTES", 0)
    assert command(*words, tmp_path / "blocks.tif").code == 0
    whole, blocks = (tifffile.imread(tmp_path / f"{name}.tif") for name in ("whole", "blocks"))
    assert (whole == blocks).all()


@pytest.mark.real_data
def test_the_databar_of_a_real_micrograph_holds_no_particle(
    command: Command, real_data: Path, tmp_path: Path
) -> None:
    for folder, pattern, bar in (
        ("ncm622_cycled_sem", "*.jpg", 60),
        ("llzto_llto_sem", "**/*.tif", 60),
    ):
        image = sorted((real_data / folder).glob(pattern))[0]
        answer = command("segment", image, "-o", tmp_path / "labels.tif")
        assert answer.code == 0, answer
        labels = tifffile.imread(tmp_path / "labels.tif")
        assert labels.max() > 10
        assert not labels[-bar:].any()
