"""Homes, collections and commands as users have them: real folders, files and processes.

Out of scope: what is asserted about them.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from graindex.store import Store
from models.phantoms.sem import SemPhantom, render
from models.phantoms.sidecar import sidecar_text
from orchestration.cli import output
from orchestration.cli.main import main

COMMAND = str(Path(sys.executable).with_name("graindex"))
# Images, their quality and their vectors, which take a third of the time of everything.
SELECTED = ("--select", "+key:micrograph_vectors or key:image_quality")
# Root may read everything; without these capabilities it is bound by file modes as others are.
_BOUND_BY_MODES = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")


@dataclass(frozen=True)
class Answer:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(self.out)
        return rows

    @property
    def error(self) -> str:
        """The one line that a wrong command leaves on standard error, and nothing else."""
        assert self.code == 2, self
        assert self.out == "", self
        lines = self.err.splitlines()
        assert len(lines) == 1, self
        assert lines[0].startswith("error: "), self
        return lines[0].removeprefix("error: ")


def run_here(*words: object, home: Path) -> Answer:
    """Run a command in this process, which saves the seconds of starting one."""
    out, err = io.StringIO(), io.StringIO()
    output.notes.file = err
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([*map(str, words), "--home", str(home)])
    finally:
        output.notes.file = None
    return Answer(code, out.getvalue(), err.getvalue())


def environment(home: Path | None) -> dict[str, str]:
    """The caller's environment, with nothing of Graindex or Dagster in it but `home`."""
    ours = ("GRAINDEX_", "DAGSTER_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    return kept if home is None else kept | {"GRAINDEX_HOME": str(home)}


def command(*arguments: object) -> list[str]:
    """Command line of `graindex` with these arguments."""
    return [COMMAND, *(str(argument) for argument in arguments)]


def graindex(
    *arguments: object, home: Path | None, bound: bool = False, cwd: Path | None = None
) -> Answer:
    """Run one command in a process of its own.

    Args:
        arguments: without the program's name.
        home: the store; None leaves it to the command.
        bound: bind the process by file modes even where the tests run as root.
        cwd: working directory.
    """
    prefix: Sequence[str] = _BOUND_BY_MODES if bound and os.getuid() == 0 else ()
    done = subprocess.run(
        [*prefix, *command(*arguments)],
        capture_output=True,
        text=True,
        env=environment(home),
        cwd=cwd,
        timeout=240,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def start(*arguments: object, home: Path) -> subprocess.Popen[str]:
    """Start a command without waiting for it."""
    return subprocess.Popen(
        command(*arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(home),
    )


def finish(process: subprocess.Popen[str], timeout: float = 600) -> Answer:
    """Wait for a command that was started."""
    out, err = process.communicate(timeout=timeout)
    return Answer(process.returncode, out, err)


def by_asset(rows: Sequence[Mapping[str, Any]], dataset: str) -> dict[str, dict[str, Any]]:
    """The summary of one collection's materialisation, by asset."""
    return {row["asset"]: dict(row) for row in rows if row["dataset"] == dataset}


def phantom(
    path: Path, seed: int, *, databar: bool = True, sidecar: bool = False, kv: float = 15.0
) -> SemPhantom:
    """Render a small micrograph to `path`, with an instrument's sidecar where asked."""
    shape = (192, 768 if databar else 192)
    config = SemPhantom(seed=seed, shape_px=shape, databar=databar, kv=kv)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(render(config).image).save(path)
    if sidecar:
        write_sidecar(path, config)
    return config


def write_sidecar(image: Path, config: SemPhantom) -> None:
    """The instrument's text file beside an image."""
    beside = image.with_name(f"{image.name}.txt")
    beside.write_bytes(sidecar_text(config, image.name).encode())


def one_vector_each(store: Store) -> None:
    """Assert that images, their quality figures and their vectors are one to one."""
    catalogued = {
        (row["dataset"], row["micrograph_id"]): row["path"]
        for row in store.read("micrographs").to_pylist()
    }
    assert len(catalogued) == store.read("micrographs").num_rows
    vectors = "SELECT dataset, micrograph_id FROM vectors.main.micrographs"
    quality = "SELECT dataset, micrograph_id FROM image_quality"
    for query in (vectors, quality):
        found = store.sql(query).fetchall()
        assert sorted(found) == sorted(catalogued)
