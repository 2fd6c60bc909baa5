"""Wrong commands: one line on standard error that says what, where and what to do; exit code 2.

Out of scope: wrong files (`test_bad_input`).
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from graindex.store import init_store
from orchestration.cli.main import main
from tests.end_to_end.commands import SELECTED, Answer, graindex, phantom


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    phantom(folder / "one.png", 1, databar=False)
    (folder / "notes.txt").write_text("not an image")
    (folder / "two.csv").write_text("colour,size\nred,1\n")
    return folder


@pytest.fixture(scope="module")
def home(new_home: Callable[[], Path], images: Path) -> Path:
    """A home with one collection, materialised."""
    home = new_home()
    assert main(["add", str(images), "--dataset", "ours", "--home", str(home)]) == 0
    assert main(["materialize", *SELECTED, "--home", str(home)]) == 0
    return home


def said(arguments: str, images: Path) -> list[str]:
    """Arguments as a shell would split them; `+` stands for a blank."""
    return [word.replace("+", " ").format(images=images) for word in arguments.split()]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ("materialize --dataset theirs", ("theirs", "not registered", "ours")),
        ("status --dataset theirs", ("theirs", "not registered", "ours")),
        ("check --dataset theirs", ("theirs", "not registered", "ours")),
        ("materialize --select key:nothing", ("key:nothing", "micrographs")),
        ("materialize --select )(", (")(",)),
        ("materialize --format xml", ("xml", "csv")),
        ("materialise", ("materialise",)),
        ("sql", ("Missing argument", "query")),
        ("sql --nonsense 1", ("--nonsense",)),
        ("add {images}/gone --dataset new", ("gone", "not there")),
        ("add {images}/notes.txt --dataset new", ("notes.txt", "no image")),
        ("add {images}/empty --dataset new", ("empty", "no image")),
        ("add {images} --dataset a/b", ("dataset",)),
        ("add {images}", ("--dataset",)),
        ("add {images} --dataset new --label-pattern (?P<x>", ("label_pattern", "(?P<x>")),
        ("add {images} --dataset new --label-pattern [a-z]+", ("label_pattern", "(?P<name>")),
        ("add {images} --dataset new --label-pattern (?P<n>QQQ)", ("fits none", "one.png")),
        ("add {images} --dataset new --pixel-size-um 0", ("declared_pixel_size_um", "0")),
        ("add {images} --dataset new --pixel-size-um=-1", ("declared_pixel_size_um", "0")),
        ("add {images} --dataset new --pixel-size-um nan", ("declared_pixel_size_um", "finite")),
        ("add {images} --dataset new --pixel-size-um inf", ("declared_pixel_size_um", "finite")),
        ("add {images} --dataset new --pixel-size-um big", ("--pixel-size-um", "number")),
        ("add {images} --dataset new --samples {images}/gone.csv", ("gone.csv", "not there")),
        ("add {images} --dataset new --samples {images}/two.csv", ("two.csv", "sample")),
        ("add {images} --dataset new --samples {images}/one.png", ("one.png", "text")),
        ("add {images} --dataset new --modality XRD", ("modality", "SEM")),
        ("add {images}/.. --dataset ours", ("ours", "--force")),
        ("sql SELEC", ("SELEC",)),
        ("sql SELECT+nothing+FROM+micrographs", ("nothing",)),
        ("sql DROP+TABLE+micrographs", ("read-only",)),
        ("sql SELECT+1;SELECT+2", ("one query",)),
        ("sql FROM+'/etc/passwd'", ("/etc/passwd",)),
        ("sql SELECT+1 -o out.xlsx", ("out.xlsx", ".parquet")),
        ("sql SELECT+1 -o {images}/gone/out.csv", ("out.csv", "No such file")),
        ("similar {images}/notes.txt", ("notes.txt", "text")),
        ("similar {images}/gone.png", ("gone.png", "neither")),
        ("similar {images}", ("images", "directory")),
        ("similar 0123456789abcdef", ("0123456789abcdef", "neither")),
        ("similar {images}/one.png --k 0", ("k is 0",)),
        ("similar {images}/one.png --where nothing=1", ("nothing",)),
        ("similar {images}/one.png --where 1=1)", (")",)),
    ],
)
def test_a_wrong_command_is_one_line(
    home: Path,
    images: Path,
    arguments: str,
    parts: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GRAINDEX_HOME", str(home))
    (images / "empty").mkdir(exist_ok=True)
    code = main(said(arguments, images))
    error = Answer(code, *capfd.readouterr()).error
    for part in parts:
        assert part in error, error


@pytest.mark.parametrize(
    "arguments",
    ["status", "materialize", "check", "sql SELECT+1", "similar x.png", "add {images} --dataset a"],
)
def test_a_missing_home_says_how_to_make_one(
    images: Path,
    tmp_path: Path,
    arguments: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GRAINDEX_HOME", str(tmp_path / "no home"))
    error = Answer(main(said(arguments, images)), *capfd.readouterr()).error
    assert f"graindex init {tmp_path}/no home" in error
    assert not (tmp_path / "no home").exists()


def test_the_default_home_is_a_folder_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GRAINDEX_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert "graindex init data" in Answer(main(["status"]), *capfd.readouterr()).error
    assert main(["init"]) == 0
    assert main(["status"]) == 0
    assert (tmp_path / "data" / "catalog.sqlite").is_file()


@pytest.mark.parametrize("arguments", ["init", "status", "sql SELECT+1"])
def test_a_home_that_is_a_file(
    tmp_path: Path,
    images: Path,
    arguments: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    home = tmp_path / "file"
    home.write_text("no home")
    monkeypatch.setenv("GRAINDEX_HOME", str(home))
    error = Answer(main(said(arguments, images)), *capfd.readouterr()).error
    assert str(home) in error
    assert home.read_text() == "no home"


def test_a_catalog_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").write_text("not a database" * 100)
    assert "cannot be opened" in graindex("sql", "SELECT 1", home=tmp_path).error


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ("encoder: {colour: red}", "encoder.colour"),
        ("encoder: {precision: float8}", "encoder.precision"),
        ("readers: {max_megapixels: 0}", "readers.max_megapixels"),
        ("encoder: [", "not YAML"),
    ],
)
def test_settings_that_are_wrong(
    tmp_path: Path,
    images: Path,
    settings: str,
    part: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    init_store(tmp_path)
    (tmp_path / "graindex.yaml").write_text(settings)
    monkeypatch.setenv("GRAINDEX_HOME", str(tmp_path))
    code = main(["similar", str(images / "one.png")])
    assert part in Answer(code, *capfd.readouterr()).error


def test_a_backbone_that_does_not_exist(
    home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "home"
    shutil.copytree(home, other)
    (other / "graindex.yaml").write_text("encoder: {backbone: resnet999}")
    code = main(["materialize", "--select", "key:micrograph_vectors", "--home", str(other)])
    out, err = capfd.readouterr()
    assert code == 1
    assert "Traceback" not in out + err
    assert "resnet999" in err


def test_a_process_ends_as_the_function_does(home: Path, images: Path) -> None:
    assert "theirs" in graindex("materialize", "--dataset", "theirs", home=home).error
    assert "notes.txt" in graindex("similar", images / "notes.txt", home=home).error
    assert "Missing argument" in graindex("sql", home=home).error


@pytest.fixture
def read_only(home: Path, tmp_path: Path) -> Path:
    """A copy of the home in which nothing may be written."""
    copy = tmp_path / "read-only"
    shutil.copytree(home, copy)
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return copy


@pytest.mark.parametrize("arguments", ["init", "materialize", "add {images} --dataset new"])
def test_a_read_only_home_cannot_be_written(read_only: Path, images: Path, arguments: str) -> None:
    error = graindex(*said(arguments, images), home=read_only, bound=True).error
    assert str(read_only) in error


def test_a_read_only_home_can_be_read(read_only: Path) -> None:
    query = "SELECT path FROM micrographs"
    answer = graindex("sql", query, "--format", "json", home=read_only, bound=True)
    assert answer.code == 0, answer
    assert answer.rows == [{"path": "one.png"}]
