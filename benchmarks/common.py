"""What every benchmark prints and writes: the machine, a table, a JSON file in `results/`.

Out of scope: what is measured.
"""

import json
import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from graindex.store import Store

REPOSITORY = Path(__file__).parent.parent
RESULTS = REPOSITORY / "results"
Record = dict[str, Any]


def real_data() -> Path:
    """Folder of the real micrographs; ends the script where there is none."""
    default = REPOSITORY.parent / "shared" / "data"
    folder = Path(os.environ.get("GRAINDEX_REAL_DATA", default))
    if not (folder / "uhcs").is_dir():
        sys.exit(f"no real micrographs at {folder}: set GRAINDEX_REAL_DATA")
    return folder


COLLECTIONS: dict[str, dict[str, str]] = {
    "ncm622_cycled_sem": {},
    "llzto_llto_sem": {
        "label_pattern": r"(?P<material>LLZTO|LLTO)/(?P<conductivity_class>\w+)/"
        r"(?P<conductivity_s_per_cm>[\d.]+e-\d+)"
    },
    "uhcs": {"samples_uri": "metadata.csv"},
}
"""The real collections and how each is registered."""


def register_real(store: "Store", folder: Path) -> None:
    """Register the real collections in a store."""
    from graindex.registration import register_collection

    for dataset, options in COLLECTIONS.items():
        location = folder / dataset
        fields = dict(options)
        if "samples_uri" in fields:
            fields["samples_uri"] = str(location / fields["samples_uri"])
        register_collection(store, str(location), dataset=dataset, **fields)


def machine() -> Record:
    """The machine and the versions that figures were taken with."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].split(":", 1)[1].strip() if names else model
    packages = ("graindex", "duckdb", "lancedb", "openvino", "torch", "timm")
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
        **{name: version(name) for name in packages},
    }


def publish(name: str, title: str, rows: list[Record], more: Record | None = None) -> None:
    """Print rows as a table and write them, with the machine, to `results/NAME.json`."""
    table = Table(title=title, title_justify="left")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    Console(width=160).print(table)
    RESULTS.mkdir(exist_ok=True)
    target = RESULTS / f"{name}.json"
    report = {
        "benchmark": name,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        **(more or {}),
        "rows": rows,
    }
    target.write_text(json.dumps(report, indent=1, ensure_ascii=False, default=str))
    print(f"written to {target.relative_to(REPOSITORY)}")


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.5g}" if isinstance(value, float) else str(value)
