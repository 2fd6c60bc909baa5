"""Commands about the home itself: init, doctor, ui.

Out of scope: collections and queries.
"""

import os
import subprocess
import sys
from typing import Annotated

import typer

from orchestration.cli.output import Format, FormatOption, HomeOption, emit, notes


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(init)
    app.command()(doctor)
    app.command()(ui)


def init(
    home: Annotated[
        str | None, typer.Argument(help="Folder or server address [default: ./data].")
    ] = None,
    option: HomeOption = None,
) -> None:
    """Make a home; an existing one keeps its rows and gains today's tables."""
    from graindex.store import init_store
    from orchestration.instance import open_instance

    store = init_store(home or option)
    open_instance(store.location).dispose()
    notes.print(f"home {store.location.home} is ready (snapshot {store.snapshot()})")
    notes.print("next: graindex add PATH --dataset NAME")


def doctor(how: FormatOption = Format.TABLE, home: HomeOption = None) -> int:
    """Check versions, extensions, devices, encoder, text recognition and the home."""
    from orchestration.doctor import examine_installation

    findings = examine_installation(home)
    emit(
        [{"what": f.what, "ok": "yes" if f.ok else "no", "detail": f.detail} for f in findings],
        how,
        ("what", "ok", "detail"),
    )
    return 0 if all(f.ok for f in findings) else 1


def ui(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 3000,
    home: HomeOption = None,
) -> int:
    """Open the Dagster UI of a home: web server and daemon, until interrupted."""
    import importlib.util

    from assets.resources import DATASETS
    from graindex.errors import HomeError
    from graindex.location import HOME_VARIABLE
    from graindex.store import open_store
    from orchestration.instance import instance_folder, open_instance

    if importlib.util.find_spec("dagster_webserver") is None:
        message = "the Dagster UI is not installed; run: pip install 'graindex[ui]'"
        raise HomeError(message)
    store = open_store(home)
    with open_instance(store.location) as instance:
        instance.add_dynamic_partitions(str(DATASETS.name), store.datasets())
    settings = {
        "DAGSTER_HOME": str(instance_folder(store.location)),
        HOME_VARIABLE: str(store.location.folder or store.location.home),
    }
    command = [sys.executable, "-m", "dagster", "dev", "-m", "orchestration.definitions"]
    notes.print(f"Dagster UI of {store.location.home}: http://{host}:{port} (Ctrl+C ends it)")
    try:
        return subprocess.call(
            [*command, "--host", host, "--port", str(port), "--log-level", "warning"],
            env=os.environ | settings,
        )
    except KeyboardInterrupt:
        return 0
