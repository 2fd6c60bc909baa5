"""The command `demo`: a phantom collection from nothing to counts, queries and a search.

Out of scope: how phantoms are made (`models.phantoms`).
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from orchestration.cli.output import Format, HomeOption, answer, emit, notes, progress_bars

if TYPE_CHECKING:
    from graindex.registration import Registered
    from graindex.store import Store

DATASET = "phantom_sem"

QUERIES = (
    (
        "Grain size drives sharpness: means by sintering temperature and roughness",
        """
        SELECT sintering_temperature_c, grain_diameter_um, roughness, count(*) AS images,
               avg(sharpness_tenengrad) AS sharpness_tenengrad,
               avg(brightness_mean) AS brightness_mean,
               avg(pixel_size_um) AS pixel_size_um
        FROM micrograph_catalog WHERE dataset = 'phantom_sem'
        GROUP BY ALL ORDER BY 1, 3
        """,
    ),
    (
        "Where pixel sizes come from, and how well the sources agree",
        """
        SELECT quantity, reading_source, count(*) AS images, min(value_number) AS smallest,
               max(value_number) AS largest, min(confidence) AS least_confidence,
               count(*) FILTER (used) AS used
        FROM acquisition_readings
        WHERE dataset = 'phantom_sem' AND value_number IS NOT NULL
        GROUP BY ALL ORDER BY 1, 2
        """,
    ),
)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(demo)


def demo(home: HomeOption = None) -> int:
    """Make a phantom SEM collection, materialise it, and show what can be asked.

    A second run finds everything in place and computes nothing.
    """
    from graindex.errors import HomeError
    from graindex.store import init_store
    from orchestration.cli.collections import materialize

    started = time.perf_counter()
    store = init_store(home)
    if store.location.folder is None:
        message = "the demo writes its images into the home: give a folder as --home"
        raise HomeError(message)
    folder = store.location.folder / "demo" / DATASET
    with progress_bars():
        made = write_phantoms(folder)
    notes.print(f"{made} phantom micrographs made in {folder}")
    registered = register_demo(store, folder)
    for line in registered.lines():
        notes.print(line)
    code = materialize([DATASET], None, False, Format.TABLE, home)
    for title, query in QUERIES:
        rows = store.table(query)
        emit(rows.to_pylist(), Format.TABLE, rows.column_names, title)
    first = store.table(f"SELECT min(path) AS path FROM micrographs WHERE dataset = '{DATASET}'")
    path = first["path"][0].as_py()
    image = folder / path
    hits = store.similar(image, 6)
    shown = ("id", "distance", "sample", "path", "pixel_size_um")
    emit(hits.to_pylist(), Format.TABLE, shown, f"Micrographs like {path}")
    where = f" --home {home}" if home else ""
    answer().print(
        f"\nThe demo took {time.perf_counter() - started:.0f} s. Look further:\n"
        f"  graindex ui{where}                       the asset graph, runs, checks and previews\n"
        f'  graindex sql "SHOW ALL TABLES"{where}    what can be queried\n'
        f"  graindex similar {image}{where}\n"
        f"  graindex status{where}"
    )
    return code


def register_demo(store: "Store", folder: Path) -> "Registered":
    """Register the phantoms in `folder` as the demo's collection."""
    from graindex.registration import register_collection
    from models.phantoms.collection import DEMO_LABEL_PATTERN

    return register_collection(
        store,
        str(folder),
        dataset=DATASET,
        label_pattern=DEMO_LABEL_PATTERN,
        samples_uri=str(folder / "samples.csv"),
        description="Synthetic sintered ceramics with known grain size, roughness and brightness.",
        source="graindex demo",
        licence="Apache-2.0",
    )


def write_phantoms(folder: Path, count: int = 48) -> int:
    """Render `count` images of the demo where they are missing; returns how many were made."""
    import io

    from PIL import Image

    from graindex.parallel import in_threads
    from graindex.progress import report
    from models.phantoms.collection import PhantomFile, demo_collection, demo_samples_csv
    from models.phantoms.sem import render
    from models.phantoms.sidecar import sidecar_text

    missing = [p for p in demo_collection(count) if not (folder / p.relative_path).exists()]
    folder.mkdir(parents=True, exist_ok=True)
    samples = folder / "samples.csv"
    if not samples.exists():
        samples.write_text(demo_samples_csv(), encoding="utf-8")

    def make(phantom: PhantomFile) -> None:
        target = folder / phantom.relative_path
        target.parent.mkdir(parents=True, exist_ok=True)
        text = sidecar_text(phantom.config, target.name)
        target.with_name(f"{target.name}.txt").write_bytes(text.encode())
        buffer = io.BytesIO()
        Image.fromarray(render(phantom.config).image).save(buffer, "PNG")
        aside = target.with_name(f".{target.name}.part")
        aside.write_bytes(buffer.getvalue())
        aside.replace(target)

    report("phantoms", 0, len(missing))
    for done, _ in enumerate(in_threads(make, missing, expected=()), start=1):
        report("phantoms", done, len(missing))
    return len(missing)
