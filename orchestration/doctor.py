"""What an installation and a home need, each tried for real.

Out of scope: mending it.
"""

import importlib.metadata
import os
import platform
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import fsspec

from graindex.errors import GraindexError
from graindex.extensions import extension_file
from graindex.location import Location
from graindex.store import open_store
from models.processors import processors

_PACKAGES = (
    "graindex", "dagster", "duckdb", "lancedb", "pyarrow", "torch", "timm", "openvino",
    "great_expectations", "rapidocr", "tifffile", "rosettasciio", "zarr", "numba", "scikit-image",
)  # fmt: skip
_EXTENSIONS = ("sqlite_scanner", "ducklake", "lance")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that was tried."""

    what: str
    ok: bool
    detail: str


def examine_installation(home: str | None) -> list[Diagnosis]:
    """Try everything that the commands rely on."""
    tries: list[tuple[str, Callable[[], str]]] = [
        ("python", lambda: f"{platform.python_version()} on {platform.platform()}"),
        ("processors", lambda: f"{processors()} usable of {os.cpu_count()}"),
        *((package, lambda p=package: importlib.metadata.version(p)) for package in _PACKAGES),
        *(
            (f"DuckDB extension {name}", lambda n=name: str(extension_file(n).name))
            for name in _EXTENSIONS
        ),
        ("devices", _devices),
        ("text recognition", _text_recognition),
        ("encoder", lambda: _encoder(home)),
        ("home", lambda: _home(home)),
        ("home can be written", lambda: _writable(home)),
    ]
    return [_try(what, attempt) for what, attempt in tries]


def _try(what: str, attempt: Callable[[], str]) -> Diagnosis:
    try:
        return Diagnosis(what, True, attempt())
    except (GraindexError, ImportError, OSError, RuntimeError, ValueError) as error:
        return Diagnosis(what, False, " ".join(str(error).split()) or type(error).__name__)


def _devices() -> str:
    import torch  # noqa: PLC0415

    from models.encode.openvino_runtime import core  # noqa: PLC0415

    cuda = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no CUDA device"
    return f"OpenVINO {', '.join(core().available_devices)}; {cuda}"


def _text_recognition() -> str:
    from models.calibrate.ocr import read_text  # noqa: PLC0415
    from models.phantoms.sem import SemPhantom, render  # noqa: PLC0415

    rendered = render(SemPhantom())
    texts = read_text(rendered.image[rendered.content_rows :])
    return f"reads {len(texts)} texts in a phantom databar"


def _encoder(home: str | None) -> str:
    from graindex.encoders import Encoders  # noqa: PLC0415
    from graindex.settings import load_settings  # noqa: PLC0415

    location = Location.parse(home)
    with tempfile.TemporaryDirectory() as scratch:
        cache = (
            location if location.folder and location.folder.is_dir() else Location.parse(scratch)
        )
        encoders = Encoders(load_settings(location), cache)
        return ", ".join(encoder.encoder_id for encoder in encoders.values())


def _home(home: str | None) -> str:
    store = open_store(home)
    return (
        f"{store.location.data}: {len(store.datasets())} collections, snapshot {store.snapshot()}"
    )


def _writable(home: str | None) -> str:
    location = open_store(home).location
    fs, path = fsspec.core.url_to_fs(location.under(f".write-{uuid.uuid4().hex}"))
    fs.pipe_file(path, b"x")
    fs.rm(path)
    free = "" if location.folder is None else f", {_free_gb(location.folder):.0f} GB free"
    return f"yes{free}"


def _free_gb(folder: Path) -> float:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize / 1e9
