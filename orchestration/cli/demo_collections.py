"""The phantoms of the demo, made where missing, and registered.

Out of scope: showing what can be asked of them (`orchestration.cli.demo`).
"""

import hashlib
import io
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from graindex.progress import report
from graindex.registration import Registered, register_collection

if TYPE_CHECKING:
    import numpy.typing as npt

    from graindex.store import Store
    from models.phantoms.cathode_collection import CathodeFile
    from models.phantoms.cathode_config import CathodePhantom
    from models.phantoms.collection import PhantomFile
    from models.phantoms.sem import SemPhantom

SEM = "phantom_sem"
ELECTROLYTES = "phantom_electrolytes"
CATHODES = "phantom_cathodes"
ELECTRODES = "phantom_electrodes"

_CYCLES: tuple[Literal[10, 50], ...] = (10, 50)
_ELECTRODE_PATTERN = r"after_(?P<cycles>\d+)_cycles"
_SEED = 1
_UNSEEN = 56  # place of a fifth field of a specimen in the endless list of images


def register_sem(store: "Store", folder: Path) -> Registered:
    """Register the SEM phantoms in `folder`.

    Grains touch along dark lines, so that the watershed starts from their bright middles.
    """
    from models.phantoms.collection import DEMO_LABEL_PATTERN

    return register_collection(
        store,
        str(folder),
        dataset=SEM,
        label_pattern=DEMO_LABEL_PATTERN,
        samples_uri=str(folder / "samples.csv"),
        description="Synthetic sintered ceramics with known grain size, roughness and brightness.",
        source="graindex demo",
        licence="Apache-2.0",
        segmentation={
            "markers": "intensity",
            "polarity": "bright",
            "threshold": 45,
            "min_diameter_px": 8,
        },
    )


def register_electrolytes(store: "Store", folder: Path) -> Registered:
    """Register the phantom electrolytes in `folder`."""
    from models.phantoms.conductivity_collection import CONDUCTIVITY_LABEL_PATTERN

    return register_collection(
        store,
        str(folder),
        dataset=ELECTROLYTES,
        label_pattern=CONDUCTIVITY_LABEL_PATTERN,
        samples_uri=str(folder / "samples.csv"),
        description="Synthetic garnets and NASICONs whose structure decides their conductivity.",
        source="graindex demo",
        licence="Apache-2.0",
    )


def register_cathodes(store: "Store", folder: Path, *, optical: bool = False) -> Registered:
    """Register the phantom cathodes in `folder`, of an optical microscope if so."""
    from models.phantoms.cathode_collection import CATHODE_LABEL_PATTERN
    from models.phantoms.cathode_config import CathodePhantom

    size_um = CathodePhantom().pixel_size_um if optical else None

    return register_collection(
        store,
        str(folder),
        dataset=CATHODES,
        label_pattern=CATHODE_LABEL_PATTERN,
        modality="optical" if optical else "SEM",
        declared_pixel_size_um=size_um,
        samples_uri=str(folder / "samples.csv"),
        description="Synthetic NCM cathodes: four compositions, pristine, formed and cycled.",
        source="graindex demo",
        licence="Apache-2.0",
    )


def register_electrodes(store: "Store", folder: Path) -> Registered:
    """Register the phantom electrodes in `folder`."""
    from models.phantoms.electrode_config import cycled_electrode

    return register_collection(
        store,
        str(folder),
        dataset=ELECTRODES,
        kind="volumes",
        modality="X-ray",
        label_pattern=_ELECTRODE_PATTERN,
        samples_uri=str(folder / "samples.csv"),
        description="Two synthetic electrodes with planted cracks, after 10 and 50 cycles.",
        source="graindex demo",
        licence="Apache-2.0",
        segmentation={
            "phase_values": (1,),
            "polarity": "bright",
            "min_diameter_px": 10,
            "neck": 0.8,
            "closing_px": 1.5,
        },
        measurement={"electrode_extent_um": cycled_electrode(10, _SEED).electrode_extent_um},
    )


def write_sem(folder: Path, count: int = 48) -> int:
    """Render `count` images of the demo where they are missing; returns how many were made."""
    from models.phantoms.collection import demo_collection, demo_samples_csv

    _write_samples(folder, demo_samples_csv())
    return _write_images(folder, demo_collection(count), "phantom images")


def write_electrolytes(folder: Path, count: int = 48, seed: int = 0, specimens: int = 48) -> int:
    """Render `count` images of as many specimens in turn, where missing; says how many."""
    from models.phantoms.conductivity_collection import (
        conductivity_collection,
        conductivity_samples_csv,
    )

    _write_samples(folder, conductivity_samples_csv(specimens, seed))
    files = conductivity_collection(count, seed, specimens)
    return _write_images(folder, files, "phantom electrolytes")


def write_cathodes(folder: Path, count: int = 48, seed: int = 0, *, optical: bool = False) -> int:
    """Render `count` cathodes where they are missing, of all specimens in turn; says how many.

    By SEM these are 48 specimens of twelve classes, by an optical microscope 12 of three.
    """
    from models.phantoms.cathode_collection import (
        cathode_collection,
        cathode_samples_csv,
        optical_collection,
    )

    _write_samples(folder, cathode_samples_csv())
    files = optical_collection(count, seed) if optical else cathode_collection(count, seed)
    return _write_images(folder, files, "phantom cathodes")


def _write_images(folder: Path, files: "Iterable[PhantomFile | CathodeFile]", what: str) -> int:
    """Render images where they are missing; returns how many were made."""
    from graindex.parallel import in_threads

    missing = [file for file in files if not (folder / file.relative_path).exists()]

    def make(file: "PhantomFile | CathodeFile") -> None:
        _write_image(folder / file.relative_path, file.config)

    report(what, 0, len(missing))
    for done, _ in enumerate(in_threads(make, missing, expected=()), start=1):
        report(what, done, len(missing))
    return len(missing)


def write_unseen(folder: Path) -> Path:
    """Render one image more, of a specimen with grains of 4 µm, beside the collections."""
    from models.phantoms.collection import demo_collection

    phantom = list(demo_collection(_UNSEEN))[-1]
    target = folder / f"unseen_{phantom.config.grain_diameter_um:.0f}um.png"
    if not target.exists():
        _write_image(target, phantom.config)
    return target


def _write_image(target: Path, config: "SemPhantom | CathodePhantom") -> None:
    """Render an image, with the instrument's text file beside it; optical ones have none."""
    from PIL import Image

    from models.phantoms.cathode import render_cathode
    from models.phantoms.sem import SemPhantom, render
    from models.phantoms.sidecar import sidecar_text

    target.parent.mkdir(parents=True, exist_ok=True)
    if config.databar:
        text = sidecar_text(config, target.name)
        target.with_name(f"{target.name}.txt").write_bytes(text.encode())
    made = render(config) if isinstance(config, SemPhantom) else render_cathode(config)
    buffer = io.BytesIO()
    Image.fromarray(made.image).save(buffer, "PNG")
    _put(target, buffer.getvalue())


def write_electrodes(folder: Path, stages: Sequence[Literal[10, 50]] = _CYCLES) -> int:
    """Render the electrodes of some stages where they are missing; returns how many were made.

    Each is a tomogram and its phases, two OME-TIFFs that state the voxel size.
    """
    from models.phantoms.electrode import plan, render
    from models.phantoms.electrode_config import cycled_electrode
    from models.phantoms.tomography import as_uint16, tomogram

    names = {cycles: f"after_{cycles}_cycles" for cycles in stages}
    missing = [
        cycles
        for cycles, name in names.items()
        if not all((folder / f"{name}_{part}.tif").exists() for part in ("grey", "phases"))
    ]
    if not missing:
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    table = ["path,damage_planted"]
    report("phantom electrodes", 0, len(names))
    for done, (cycles, name) in enumerate(names.items(), start=1):
        config = cycled_electrode(cycles, _SEED)
        made = plan(config)
        table.append(f"{name}_grey.tif,{made.truth['damage'].mean():.4f}")
        if cycles in missing:
            voxels = render(made)
            grey = tomogram(voxels.labels, voxels.phases, density_by_label=made.density_by_label)
            _put(folder / f"{name}_phases.tif", _ome_tiff(voxels.phases, config.voxel_size_um))
            _put(folder / f"{name}_grey.tif", _ome_tiff(as_uint16(grey), config.voxel_size_um))
        report("phantom electrodes", done, len(names))
    _write_samples(folder, "\n".join((*table, "")))
    return len(missing)


def _ome_tiff(volume: "npt.NDArray[Any]", spacing_um: tuple[float, float, float]) -> bytes:
    import tifffile

    # the same file for the same voxels: another UUID each time would be another volume each time
    name = str(uuid.uuid5(uuid.NAMESPACE_OID, hashlib.sha256(volume.tobytes()).hexdigest()))
    told: dict[str, Any] = {"axes": "ZYX", "UUID": f"urn:uuid:{name}"}
    for axis, step in zip("ZYX", spacing_um, strict=True):
        told |= {f"PhysicalSize{axis}": step, f"PhysicalSize{axis}Unit": "µm"}
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, volume, ome=True, metadata=told, compression="zlib")
    return buffer.getvalue()


def _write_samples(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    samples = folder / "samples.csv"
    if not samples.exists():
        samples.write_text(text, encoding="utf-8")


def _put(target: Path, data: bytes) -> None:
    """Write a file that appears whole or not at all."""
    aside = target.with_name(f".{target.name}.part")
    aside.write_bytes(data)
    aside.replace(target)
