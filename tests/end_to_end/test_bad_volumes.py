"""Bad volumes beside good ones: each is named with its reason, nothing is lost, the rest goes on.

Out of scope: single readers (`tests/graindex/readers`).
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
import zarr

import graindex
from graindex.store import Store
from orchestration.cli.main import main

GOOD = "good_grey.tif"
SIDE = 40


def ball(radius: float = 12.0) -> npt.NDArray[np.bool_]:
    z, y, x = np.indices((SIDE,) * 3) - (SIDE - 1) / 2
    inside: npt.NDArray[np.bool_] = z**2 + y**2 + x**2 <= radius**2
    return inside


def grey() -> npt.NDArray[np.uint16]:
    noise = np.random.default_rng(0).normal(0, 300, (SIDE,) * 3)
    return np.asarray(np.where(ball(), 30000, 8000) + noise, dtype=np.uint16)


def write(path: Path, volume: npt.NDArray[Any], spacing_um: float | None = 0.5) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    told: dict[str, Any] = {"axes": "ZYX"}
    if spacing_um is not None:
        for axis in "ZYX":
            told |= {f"PhysicalSize{axis}": spacing_um, f"PhysicalSize{axis}Unit": "µm"}
    tifffile.imwrite(path, volume, ome=spacing_um is not None, metadata=told)
    return path


def write_slices(folder: Path) -> None:
    folder.mkdir(parents=True)
    for number, plane in enumerate(grey()):
        tifffile.imwrite(folder / f"slice_{number:03d}.tif", plane)


def write_zarr_with_a_damaged_chunk(path: Path) -> None:
    group = zarr.create_group(path)
    scale = [{"type": "scale", "scale": [0.5, 0.5, 0.5]}]
    image = {
        "axes": [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"],
        "datasets": [{"path": "0", "coordinateTransformations": scale}],
    }
    group.attrs["ome"] = {"version": "0.5", "multiscales": [image]}
    array = group.create_array("0", shape=(SIDE,) * 3, chunks=(20,) * 3, dtype="uint16")
    array[:] = grey()
    chunk = path / "0" / "c" / "1" / "0" / "1"
    chunk.write_bytes(chunk.read_bytes()[:100])


def write_bad(folder: Path) -> dict[str, str]:
    """Volumes that cannot be used, and what must be said of them, by path."""
    small = ball()[:30].astype(np.uint8)
    write(folder / "shapes_grey.tif", grey())
    write(folder / "shapes_labels.tif", small)
    write(folder / "float_labels.tif", ball().astype(np.float32))
    write(folder / "negative_labels.tif", -ball().astype(np.int16))
    write(folder / "unscaled.tif", grey(), spacing_um=None)
    (folder / "empty.tif").write_bytes(b"")
    whole = write(folder / "cut.tif", grey()).read_bytes()
    (folder / "cut.tif").write_bytes(whole[: len(whole) // 2])
    write_slices(folder / "gap")
    (folder / "gap" / "slice_017.tif").unlink()
    write_slices(folder / "sizes")
    tifffile.imwrite(folder / "sizes" / "slice_020.tif", np.zeros((SIDE, SIDE + 1), np.uint16))
    write_zarr_with_a_damaged_chunk(folder / "damaged.ome.zarr")
    return {
        "shapes_labels.tif": "30",
        "shapes_grey.tif": "shapes_labels.tif",
        "float_labels.tif": "float32",
        "negative_labels.tif": "below 0",
        "unscaled.tif": "--voxel-size-um",
        "empty.tif": "empty",
        "cut.tif": "",
        "gap": "17",
        "sizes": "slice_020",
        "damaged.ome.zarr": "chunk",
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("volumes")
    write(made / GOOD, grey())
    return made


@pytest.fixture(scope="module")
def refused(folder: Path, new_home: Callable[[], Path]) -> tuple[Store, dict[str, str]]:
    """A store that was given the good volume and all the bad ones, and what must be said."""
    home = new_home()
    expected = write_bad(folder)
    words = ["add", str(folder), "--dataset", "lab", "--kind", "volumes", "--home", str(home)]
    assert main(words) == 0
    assert main(["materialize", "--home", str(home)]) == 0
    return graindex.open(home), expected


def test_every_bad_volume_is_in_quarantine_with_its_reason(
    refused: tuple[Store, dict[str, str]],
) -> None:
    store, expected = refused
    rows = {row["path"]: row["reason"] for row in store.read("quarantine").to_pylist()}
    assert set(rows) == set(expected)
    for path, words in expected.items():
        assert words in rows[path], (path, rows[path])
        assert "\n" not in rows[path]


def test_the_good_volume_is_measured_beside_them(refused: tuple[Store, dict[str, str]]) -> None:
    store, _ = refused
    assert store.read("volumes")["path"].to_pylist() == [GOOD]
    (particle,) = store.read("particles_3d").to_pylist()
    volume = 4 / 3 * np.pi * 6.0**3
    assert particle["volume_um3"] == pytest.approx(volume, rel=0.05)


def test_strict_and_checks_tell_that_inputs_were_refused(
    refused: tuple[Store, dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    store, expected = refused
    capsys.readouterr()
    words = ["materialize", "--strict", "--format", "json", "--home", store.location.home]
    assert main(words) == 1
    out, err = capsys.readouterr()
    assert {row["asset"]: row["computed"] for row in json.loads(out)}["volumes"] == 0
    assert all(f"quarantined lab/{path}: " in err for path in expected)
    assert f"{len(expected)} rows" in err  # of the check that warns


@pytest.mark.slow  # tests/graindex/test_volumes.py repairs files as well
def test_a_mended_volume_comes_in_and_a_removed_one_goes(
    folder: Path, new_home: Callable[[], Path], tmp_path: Path
) -> None:
    home, ours = new_home(), tmp_path / "volumes"
    ours.mkdir()
    write(ours / "float_labels.tif", ball().astype(np.float32))
    shutil.copy(folder / GOOD, ours)
    words = ["add", str(ours), "--dataset", "lab", "--kind", "volumes", "--home", str(home)]
    assert main(words) == 0
    assert main(["materialize", "--home", str(home)]) == 0
    store = graindex.open(home)
    assert store.read("quarantine")["path"].to_pylist() == ["float_labels.tif"]
    write(ours / "float_labels.tif", ball().astype(np.uint8))
    (ours / GOOD).unlink()
    assert main(["materialize", "--strict", "--home", str(home)]) == 0
    assert store.read("quarantine").num_rows == 0
    (volume,) = store.read("volumes").to_pylist()
    assert (volume["path"], volume["grey_hash"]) == ("float_labels.tif", None)
    (particle,) = store.read("particles_3d").to_pylist()
    assert particle["voxels"] == ball().sum()
    assert particle["electron_density_mean"] is None


@pytest.mark.parametrize("size", ["0", "-1", "0.1,0.1", "nan", "x", "0.1,0.1,0"])
def test_voxel_sizes_that_are_none_are_refused_at_once(
    folder: Path, new_home: Callable[[], Path], size: str, capsys: pytest.CaptureFixture[str]
) -> None:
    home = new_home()
    words = ["add", str(folder), "--dataset", "lab", "--kind", "volumes", "--home", str(home)]
    assert main([*words, "--voxel-size-um", size]) == 2
    assert "--voxel-size-um" in capsys.readouterr().err


def test_a_folder_without_volumes_and_phases_without_a_value_are_refused(
    tmp_path: Path, new_home: Callable[[], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    home = new_home()
    (tmp_path / "notes.txt").write_text("nothing here")
    words = ["add", str(tmp_path), "--dataset", "lab", "--kind", "volumes", "--home", str(home)]
    assert main(words) == 2
    assert "no volume" in capsys.readouterr().err
    assert main([*words, "--content", "phases"]) == 2
    assert "--phase" in capsys.readouterr().err


def test_grey_values_that_are_not_finite_are_counted_and_never_particle(
    tmp_path: Path, new_home: Callable[[], Path]
) -> None:
    volume = grey().astype(np.float32)
    volume[:, :5] = np.nan
    volume[0, 20, 20] = np.inf
    write(tmp_path / "masked.tif", volume)
    home = new_home()
    words = ["add", str(tmp_path), "--dataset", "lab", "--kind", "volumes", "--home", str(home)]
    assert main(words) == 0
    assert main(["materialize", "--strict", "--home", str(home)]) == 0
    store = graindex.open(home)
    (row,) = store.read("volumes").to_pylist()
    assert row["nonfinite_voxels"] == np.count_nonzero(~np.isfinite(volume))
    assert np.isfinite([row["grey_min"], row["grey_max"]]).all()
    (particle,) = store.read("particles_3d").to_pylist()
    assert particle["volume_um3"] == pytest.approx(4 / 3 * np.pi * 6.0**3, rel=0.05)
