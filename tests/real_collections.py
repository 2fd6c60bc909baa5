"""The three real collections as the commands leave them, catalogued once for many tests.

Out of scope: what is asserted about them; particles of real images.
"""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from graindex.store import init_store
from tests.end_to_end.commands import SELECTED, Answer, finish, start
from tests.end_to_end.commands import graindex as run

NCM, LLZTO, UHCS = "ncm622_cycled_sem", "llzto_llto_sem", "uhcs"
LLZTO_PATTERN = (
    r"(?P<material>LLZTO|LLTO)/(?P<conductivity_class>\w+)"
    r"/(?P<conductivity_s_per_cm>[\d.]+e-?\d+)"
)
_ANSWERS = "answers.json"


@dataclass(frozen=True)
class RealCollections:
    """A home with the collections, and what the commands said."""

    home: Path
    added: dict[str, Answer]
    materialized: dict[str, Answer]


def catalogue(real_data: Path, folder: Path, converted_encoder: Path) -> RealCollections:
    """Register and materialise the collections in `folder`, unless that was done before."""
    home = folder / "home"
    if not (folder / _ANSWERS).exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        init_store(home)
        shutil.copytree(converted_encoder, home / "cache")
        options: dict[str, tuple[object, ...]] = {
            NCM: (),
            LLZTO: ("--label-pattern", LLZTO_PATTERN),
            UHCS: ("--samples", real_data / UHCS / "metadata.csv"),
        }
        added, running = {}, {}
        for name, more in options.items():
            added[name] = run("add", real_data / name, "--dataset", name, *more, home=home)
            assert added[name].code == 0, added[name]
            words = ("materialize", *SELECTED, "--dataset", name, "--strict", "--format", "json")
            running[name] = start(*words, home=home)
        done = {name: finish(process) for name, process in running.items()}
        told = {
            "added": {name: asdict(answer) for name, answer in added.items()},
            "materialized": {name: asdict(answer) for name, answer in done.items()},
        }
        (folder / _ANSWERS).write_text(json.dumps(told), encoding="utf-8")
    told = json.loads((folder / _ANSWERS).read_text(encoding="utf-8"))
    added = {name: Answer(**answer) for name, answer in told["added"].items()}
    materialized = {name: Answer(**answer) for name, answer in told["materialized"].items()}
    return RealCollections(home, added, materialized)
