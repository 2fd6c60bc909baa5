"""The command `fetch`, and the shipped recipes against a server that holds the real files."""

import io
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import graindex
from graindex.public.offer import offer_of
from graindex.public.recipe import PublicRecipe, public_names, public_recipe
from graindex.public.web import Web
from graindex.recipes import make_recipe
from graindex.registration import register_collection
from orchestration.cli.main import main
from tests.graindex.public.public_server import PublicServer, serving
from tests.graindex.public.test_fetch import SIZE, figshare, noise, on_github, put, zenodo, zipped

# Where the real copy of a collection lies, and what its repository calls a single file.
REAL = {
    "emps": "emps",
    "llzto_llto_sem": "llzto_llto_sem",
    "ncm622_cycled_sem": "ncm622_cycled_sem",
    "uhcs": "uhcs",
    "nrel_nmc": "nmc_tomography/nrel_nmc-1-cal_generatedCBD_bridge.tif",
    "taufactor_electrode": "nmc_tomography/taufactor_electrode_256.tif",
    "nmc_holotomography_slice": "nmc_tomography/nmc_holotomography_slice_xy.tif",
}


@pytest.fixture
def server() -> Iterator[PublicServer]:
    with serving() as running:
        yield running


@pytest.fixture
def home(empty_home: Path, tmp_path: Path) -> Path:
    shutil.copytree(empty_home, tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def own(server: PublicServer, tmp_path: Path) -> Path:
    """A recipe of one's own with two images."""
    files = {"pristine/a.jpg": noise(1), "cycled/b.jpg": noise(2)}
    put(server, files)
    settings = {"label_pattern": r"(?P<state>\w+)/", "declared_pixel_size_um": 0.5}
    wanted = on_github(files).model_copy(update={"settings": settings})
    path = tmp_path / "noise.yaml"
    path.write_text(wanted.model_dump_json())
    return path


def test_a_fetched_collection_is_registered_as_add_does(server, own, home, tmp_path, capsys):
    words = ["fetch", str(own), "--home", str(home), "--mirror", server.url]
    assert main([*words, "--yes"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    for line in (
        "licence:  MIT",
        "citation: Nobody",
        "size:     2 files, 0.6 MB",
        "2 files fetched",
    ):
        assert line in said.err
    assert said.err.index("licence:") < said.err.index("files fetched")
    assert "noise: 2 images, 0 with sidecars, 2 specimens labelled by state; 0 other" in said.err
    assert said.err.rstrip().endswith("next: graindex materialize --dataset noise")
    recipe = graindex.open(home).recipe("noise")
    assert recipe.location_uri == str(home / "originals/noise")
    expected = ("MIT", "Nobody", "https://example.org", 0.5)
    held = (recipe.licence, recipe.citation, recipe.source, recipe.declared_pixel_size_um)
    assert held == expected
    assert main([*words, "--yes"]) == 0
    assert "0 files fetched, 2 were there already" in capsys.readouterr().err
    assert main([*words, "--yes", "--to", str(tmp_path / "elsewhere")]) == 2
    assert "is registered at" in capsys.readouterr().err
    assert main([*words, "--yes", "--no-add", "--to", str(tmp_path / "elsewhere")]) == 0
    assert (tmp_path / "elsewhere/cycled/b.jpg").read_bytes() == noise(2)


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_nothing_is_asked_for_before_the_user_agrees(server, own, home, capsys, monkeypatch):
    words = ["fetch", str(own), "--home", str(home), "--mirror", server.url]
    assert main(words) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: say --yes to fetch noise under the licence above"
    )
    monkeypatch.setattr(sys, "stdin", _Terminal("n\n"))
    assert main(words) == 130
    assert server.asked == []
    monkeypatch.setattr(sys, "stdin", _Terminal("y\n"))
    assert main(words) == 0
    assert server.sent == 2 * SIZE


def test_an_unstated_licence_wants_words_of_its_own(server, own, home, capsys):
    said = json.loads(own.read_text())
    own.write_text(json.dumps(said | {"licence": {}}))
    words = ["fetch", str(own), "--home", str(home), "--mirror", server.url, "--yes"]
    assert main(words) == 2
    err = capsys.readouterr().err
    assert "licence:  not stated" in err
    assert "--accept-unstated-licence" in err.splitlines()[-1]
    assert server.asked == []
    assert main([*words, "--accept-unstated-licence"]) == 0
    assert graindex.open(home).recipe("noise").licence == "not stated"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "name a recipe"),
        (("nonsense",), "no recipe 'nonsense'; there are emps, "),
        (("missing.yaml", "--no-add"), "missing.yaml cannot be read"),
        (("emps", "--no-add", "--yes", "--mirror", "nonsense"), "no http or https address"),
        (("emps", "--home", "nowhere"), "nowhere"),
    ],
)
def test_wrong_commands_are_one_line(words, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["fetch", *words]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert message in error


def test_the_list_names_every_recipe_with_its_licence(capsys):
    assert main(["fetch", "--list", "--format", "json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert sorted(rows) == public_names()
    assert rows["emps"]["files"] == 324
    assert rows["emps"]["licence"] == "MIT"
    assert rows["uhcs"]["licence"] == "not stated"
    assert rows["murakami_lczsp_sem"]["files"] is None
    assert all(public_recipe(name).name == name for name in rows)


@pytest.mark.parametrize(
    ("name", "archive", "number"),
    [
        ("murakami_lczsp_sem", figshare, "28944998"),
        ("li_particle_network", zenodo, "5888945"),
    ],
)
def test_collections_of_archives_are_registered_whole(name, archive, number, server, home, capsys):
    archive(server, {"a.zip": zipped({"sem/1.tif": noise(1)}), "b.tif": noise(2)}, number)
    assert main(["fetch", name, "--home", str(home), "--mirror", server.url, "--yes"]) == 0
    err = capsys.readouterr().err
    assert f"{name}: 2 images, 0 with sidecars, 1 specimens; 0 other files ignored" in err
    licence = graindex.open(home).recipe(name).licence
    assert licence.lower().replace(" ", "-").startswith("cc-by-4.0")


def serve_real(server: PublicServer, recipe: PublicRecipe, real: Path) -> None:
    """Put the real files where the servers of a recipe have them."""
    if any(file.git_blob for file in recipe.files):
        blobs = [file for file in recipe.files if file.git_blob]
        tree = [{"type": "blob", "sha": f.git_blob, "path": f"data/{f.path}"} for f in blobs]
        said = {"tree": [{"type": "tree", "sha": "0", "path": "data"}, *tree]}
        server.says(f"api.github.com/repos/{recipe.repository}/git/trees/HEAD", said)
    for file in recipe.files:
        commit, path = file.commit or recipe.commit, recipe.root + (file.remote or file.path)
        if commit is None:
            commit, path = "HEAD", f"data/{file.path}"
        address = f"github.com/{recipe.repository}/raw/{commit}/{path}"
        server.content[address] = real if real.is_file() else real / file.path


@pytest.mark.real_data
@pytest.mark.parametrize("name", REAL)
def test_a_real_collection_counts_as_it_does_when_added(name, real_data, server, home):
    recipe, real = public_recipe(name), real_data / REAL[name]
    serve_real(server, recipe, real)
    words = ["fetch", name, "--home", str(home), "--mirror", server.url, "--yes"]
    assert main([*words, "--accept-unstated-licence"]) == 0
    store = graindex.open(home)
    fetched = store.recipe(name)
    given = recipe.settings | {"dataset": f"{name}_added"}
    if recipe.samples:
        given["samples_uri"] = str(real / recipe.samples)
    added = register_collection(store, str(real / recipe.collection), **given)
    again = register_collection(
        store,
        fetched.location_uri,
        samples_uri=fetched.samples_uri,
        **recipe.settings,
        dataset=name,
    )
    counts = ("images", "sidecars", "volumes", "contents", "samples", "labels", "unjoined")
    assert {c: getattr(again, c) for c in counts} == {c: getattr(added, c) for c in counts}
    assert again.images + again.volumes > 0
    sent = sum(
        (real / file.path if real.is_dir() else real).stat().st_size for file in recipe.files
    )
    assert sum(a.sent for a in server.asked if not a.path.startswith("api.")) == sent
    assert make_recipe(**fetched.model_dump()) == fetched
    if recipe.size_bytes is not None:
        assert offer_of(recipe, Web(mirror=server.url)).size_bytes == sent
