"""Commands about the home itself: init, doctor, ui.

Out of scope: collections and queries.
"""

import os
import signal
import socket
import sys
from typing import Annotated

import typer

from orchestration.cli.output import Format, FormatOption, HomeOption, emit, notes

_DEFINITIONS = ("-m", "orchestration.definitions")
# `dg dev`, which `dagster dev` recommends, wants a project folder and not an installed module.
_NOT_SUPERSEDED = "ignore:Function `dev_command` is superseded"


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
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 3000,
    home: HomeOption = None,
) -> None:
    """Open the Dagster UI of a home: web server and daemon, until interrupted."""
    import importlib.util

    from assets.resources import DATASETS
    from graindex.errors import HomeError
    from graindex.location import HOME_VARIABLE
    from graindex.recipes import recipe_names
    from graindex.store import open_store
    from orchestration.instance import instance_folder, open_instance

    if importlib.util.find_spec("dagster_webserver") is None:
        message = "the Dagster UI is not installed; run: pip install 'graindex[ui]'"
        raise HomeError(message)
    location = open_store(home).location
    with open_instance(location) as instance:
        instance.add_dynamic_partitions(str(DATASETS.name), recipe_names(location))
    _check_port(host, port)
    folder = instance_folder(location)
    address = location.address if "://" in location.address else str(location.folder)
    options = ("--host", host, "--port", str(port), "--log-level", "warning")
    notes.print(f"Dagster UI of {location.home}: http://{host}:{port} (Ctrl+C ends it)")
    # Dagster puts the working folder first on its path, where a user's own `models` would be ours.
    os.chdir(folder)
    # In the background of a script SIGINT is ignored; Dagster would then ignore SIGTERM as well.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # This process becomes Dagster's: a signal ends web server, daemon and code server with it.
    os.execve(
        sys.executable,
        [sys.executable, "-W", _NOT_SUPERSEDED, "-m", "dagster", "dev", *_DEFINITIONS, *options],
        os.environ | {"DAGSTER_HOME": str(folder), HOME_VARIABLE: address},
    )


def _check_port(host: str, port: int) -> None:
    """Raise BadParameter where nothing can listen on the port."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        message = f"cannot listen on {host}:{port}: {reason}; choose another --port"
        raise typer.BadParameter(message) from error
