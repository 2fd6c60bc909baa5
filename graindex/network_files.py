"""Where networks that find particles lie: those that come along, folders, models of a home.

Out of scope: running them (`graindex.segmenters`), training them (`graindex.trained`).
"""

import json
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_cache_path

from graindex.errors import ModelError
from models.segment.cards import CARD_NAME, WEIGHTS_NAME
from models.segment.mask_rcnn import card as mask_rcnn
from models.segment.star_convex import card as star_convex

if TYPE_CHECKING:
    from graindex.store import Store
    from graindex.trained.artefact import Artefact

_FORMATS = {star_convex.KIND: star_convex.FORMAT_VERSION, mask_rcnn.KIND: mask_rcnn.FORMAT_VERSION}
"""Forms of cards by method."""

SHIPPED = Path(__file__).parent.parent / "models" / "segment" / "weights"


def shipped_networks() -> list[str]:
    """Names of the networks that come along, sorted."""
    return sorted(folder.name for folder in SHIPPED.iterdir() if (folder / CARD_NAME).is_file())


def network_cache() -> Path:
    """Folder of this user for what is made of networks; it may be deleted at any time."""
    return user_cache_path("graindex") / "networks"


def stands_alone(name: str) -> bool:
    """Whether a network comes along or is named by its folder, so that no home need know it."""
    return name in shipped_networks() or os.sep in name or Path(name).expanduser().is_dir()


def network_folder(name: str, store: "Store | None" = None) -> Path:
    """Folder with weights and card of a network.

    Args:
        name: of one that comes along; a folder that `graindex export-model` wrote, or with such
            weights and card; or a model of the store as `name` or `name@version`.
        store: whose models may be meant; none when None.

    Raises:
        ModelError: there is none of this name, or it finds no particles.
    """
    if name in shipped_networks():
        return SHIPPED / name
    if not name:
        message = "no network is named: give --model NAME of one that graindex train made"
        raise ModelError(message)
    if stands_alone(name):
        return _of_folder(Path(name).expanduser())
    if store is None:
        message = (
            f"no network is called {name!r}: there is {', '.join(shipped_networks())}; a trained "
            "one is named with its home (--home), or by the folder that graindex export-model wrote"
        )
        raise ModelError(message)
    return _of_store(store, name)


def pinned_network(name: str, store: "Store") -> str:
    """The same name with the version that it stands for now, where it is a model of the store.

    Raises:
        ModelError: there is none of this name.
    """
    if stands_alone(name):
        return name
    run = _run(store, name)
    return f"{run['model']}@{run['model_version']}"


def _of_store(store: "Store", name: str) -> Path:
    from graindex.trained.artefact import stored_artefact  # noqa: PLC0415

    run = _run(store, name)
    cached = network_cache() / "trained" / f"{run['artefact'][:16]}-{run['card'][:16]}"
    if (cached / WEIGHTS_NAME).is_file():
        return cached
    return _unpacked(stored_artefact(store.files, run["artefact"], run["card"]), cached)


def _run(store: "Store", name: str) -> dict[str, str]:
    from graindex.trained.kept import run_of  # noqa: PLC0415

    try:
        return run_of(store, name)
    except ModelError as error:
        message = f"{error}; networks that come along: {', '.join(shipped_networks())}"
        raise ModelError(message) from error


def _of_folder(folder: Path) -> Path:
    """The folder itself, or what a folder that `graindex export-model` wrote comes to."""
    from graindex.trained.artefact import read_folder  # noqa: PLC0415

    if (folder / WEIGHTS_NAME).is_file():
        return folder
    artefact = read_folder(folder)
    digest = artefact.card.weights_sha256
    return _unpacked(artefact, network_cache() / "trained" / f"{digest[:16]}-exported")


def _unpacked(artefact: "Artefact", folder: Path) -> Path:
    """Write weights and card as networks are read; the folder appears whole or not at all.

    Raises:
        ModelError: the model finds no particles, or nothing can be written there.
    """
    card = artefact.card
    if card.network is None:
        message = (
            f"model {card.reference} predicts {card.label.name}, and finds no particles: name one "
            f"of method {' or '.join(_FORMATS)}"
        )
        raise ModelError(message)
    method = card.method.name
    if method not in _FORMATS:
        raise ModelError(f"model {card.reference} is of an unknown method, {method!r}: update")
    own = {"kind": method, "format": _FORMATS[method], **card.network, "title": card.reference}
    aside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    try:
        aside.mkdir(parents=True)
        (aside / WEIGHTS_NAME).write_bytes(artefact.weights)
        (aside / CARD_NAME).write_text(json.dumps(own, indent=1), encoding="utf-8")
        try:
            aside.rename(folder)
        except OSError:  # another process was first
            if not (folder / WEIGHTS_NAME).is_file():
                raise
    except OSError as error:
        message = f"{folder.parent} cannot be written: {error.strerror or error}"
        raise ModelError(message) from error
    return folder
