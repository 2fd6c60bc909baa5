"""DuckDB's extensions, loaded from the Python packages that carry them: no download, no install.

Out of scope: what the extensions are used for.
"""

import importlib.util
from functools import cache
from pathlib import Path

import duckdb

from graindex.errors import HomeError

EXTENSIONS = ("sqlite_scanner", "ducklake", "lance", "httpfs", "postgres_scanner")


@cache
def extension_file(name: str) -> Path:
    """The packaged binary of an extension for the running DuckDB.

    Raises:
        HomeError: its package is not installed, or is for another DuckDB.
    """
    package = f"duckdb_extension_{name}"
    spec = importlib.util.find_spec(package)
    folders = [] if spec is None else list(spec.submodule_search_locations or [])
    for folder in folders:
        found = Path(folder) / "extensions" / f"v{duckdb.__version__}"
        for file in found.glob("*.duckdb_extension"):
            return file
    distribution = package.replace("_", "-")
    message = (
        f"DuckDB extension {name!r} is missing; "
        f"run: pip install {distribution}=={duckdb.__version__}"
    )
    raise HomeError(message)


def connect() -> duckdb.DuckDBPyConnection:
    """A fresh in-memory DuckDB that loads packaged extensions without hashing them.

    Checking the signature of the Lance extension takes a second each time; pip has installed the
    file already, with its hash where the user asked for that.
    """
    return duckdb.connect(
        config={
            "allow_unsigned_extensions": True,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )


def load(connection: duckdb.DuckDBPyConnection, *names: str) -> None:
    """Load extensions into a connection.

    Raises:
        HomeError: one is not installed.
    """
    for name in names:
        path = str(extension_file(name)).replace("'", "''")
        connection.execute(f"LOAD '{path}'")
