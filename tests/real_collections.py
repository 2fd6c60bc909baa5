"""The three real collections as the commands leave them, catalogued once for many tests.

Reading the text of a databar takes most of the time, so the ordinary run has some of the images
that have one: half of the collection that one session made, a third of the one of many specimens.

Out of scope: what is asserted about them; particles of real images.
"""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from graindex.store import init_store
from tests.end_to_end.commands import SELECTED, Answer, run_here

NCM, LLZTO, UHCS = "ncm622_cycled_sem", "llzto_llto_sem", "uhcs"
LLZTO_PATTERN = (
    r"(?P<material>LLZTO|LLTO)/(?P<conductivity_class>\w+)"
    r"/(?P<conductivity_s_per_cm>[\d.]+e-?\d+)"
)
COUNTS = {NCM: 51, LLZTO: 67, UHCS: 97}
FEW = {NCM: 24, LLZTO: 25, UHCS: 97}
_ANSWERS = "answers.json"


@dataclass(frozen=True)
class RealCollections:
    """A home with the collections, and what the commands said."""

    home: Path
    counts: dict[str, int]
    added: dict[str, Answer]
    materialized: dict[str, Answer]


def some_images(real_data: Path, folder: Path) -> Path:
    """Folder of links to some of the images, with what lies beside them."""
    ncm = sorted((real_data / NCM).glob("*.jpg"))[: FEW[NCM]]
    sidecars = [image.with_name(f"{image.name}.txt") for image in ncm]
    llzto = sorted(path for path in (real_data / LLZTO).glob("LL*/*/*") if path.is_file())
    twins = [path for path in llzto if " (2)" in path.name]
    pairs = [*twins, *(path.with_name(path.name.replace(" (2)", "")) for path in twins)]
    for path in {*ncm, *sidecars, *llzto[::3], *pairs}:
        link = folder / path.relative_to(real_data)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    (folder / UHCS).symlink_to(real_data / UHCS)  # none has a databar
    return folder


def catalogue(
    real_data: Path, folder: Path, converted_encoder: Path, *, every_image: bool
) -> RealCollections:
    """Register and materialise the collections in `folder`, unless that was done before."""
    home = folder / "home"
    if not (folder / _ANSWERS).exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        init_store(home)
        shutil.copytree(converted_encoder, home / "cache")
        images = real_data if every_image else some_images(real_data, folder / "images")
        options: dict[str, tuple[object, ...]] = {
            NCM: (),
            LLZTO: ("--label-pattern", LLZTO_PATTERN),
            UHCS: ("--samples", real_data / UHCS / "metadata.csv"),
        }
        added, done = {}, {}
        for name, more in options.items():
            added[name] = run_here("add", images / name, "--dataset", name, *more, home=home)
            assert added[name].code == 0, added[name]
            words = ("materialize", *SELECTED, "--dataset", name, "--strict", "--format", "json")
            done[name] = run_here(*words, home=home)
        told = {
            "added": {name: asdict(answer) for name, answer in added.items()},
            "materialized": {name: asdict(answer) for name, answer in done.items()},
        }
        (folder / _ANSWERS).write_text(json.dumps(told), encoding="utf-8")
    told = json.loads((folder / _ANSWERS).read_text(encoding="utf-8"))
    added = {name: Answer(**answer) for name, answer in told["added"].items()}
    materialized = {name: Answer(**answer) for name, answer in told["materialized"].items()}
    return RealCollections(home, COUNTS if every_image else FEW, added, materialized)
