"""A home with phantoms, the Dagster UI on it as real processes, and headless Chromium.

Out of scope: what is looked at (`test_dagster_ui`, `docs/screenshots.py`).
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil
from playwright.sync_api import Browser, Page, sync_playwright

from graindex.store import Store, init_store
from orchestration.cli.demo_collections import (
    ELECTRODES,
    SEM,
    register_electrodes,
    register_sem,
    write_electrodes,
    write_sem,
)
from orchestration.run import run_catalog

# Generous: the machine may be doing other things.
START_SECONDS = 180
STOP_SECONDS = 60
PAGE_MS = 60_000
EXPANDED = "/asset-groups?expanded=" + "%2C".join(
    f"global%40global%3A{group}" for group in ("catalogue", "quality", "embeddings", "particles")
)
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@dataclass(frozen=True)
class Ui:
    """A running UI, and the store that it shows."""

    url: str
    store: Store
    folder: Path

    def graphql(self, query: str, **variables: object) -> dict[str, Any]:
        """What the UI's backend answers; raises where it answers with an error."""
        request = urllib.request.Request(
            f"{self.url}/graphql",
            json.dumps({"query": query, "variables": variables}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer["errors"]
        return dict(answer["data"])


def find_chromium() -> str | None:
    """The browser that is installed, if any."""
    return next(filter(None, map(shutil.which, _CHROMIUM)), None)


@contextmanager
def open_browser(executable: str) -> Iterator[Browser]:
    """Headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def new_page(browser: Browser, url: str, height: int = 900) -> Page:
    """A fresh page without history or stored settings, 1440 px wide."""
    page = browser.new_page(
        base_url=url, viewport={"width": 1440, "height": height}, timezone_id="UTC"
    )
    page.set_default_timeout(PAGE_MS)
    return page


def make_home(
    home: Path, images: int, stages: Sequence[Literal[10, 50]] = (10, 50)
) -> tuple[Store, Path]:
    """A home with images and electrodes of the demo, materialised; its store and SEM folder."""
    folder, electrodes = home / "demo" / SEM, home / "demo" / ELECTRODES
    write_sem(folder, images)
    write_electrodes(electrodes, stages)
    store = init_store(home)
    register_sem(store, folder)
    register_electrodes(store, electrodes)
    report = run_catalog(store, [SEM, ELECTRODES])
    assert not report.blocked, report
    return store, folder


@contextmanager
def serve(home: Path, log: Path) -> Iterator[str]:
    """`graindex ui` of a home; yields its address and ends every process of it for sure."""
    port = _free_port()
    command = [str(Path(sys.executable).with_name("graindex")), "ui", "--home", str(home)]
    variables = {k: v for k, v in os.environ.items() if k not in {"DAGSTER_HOME", "GRAINDEX_HOME"}}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            env=variables,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_up(process, url, log)
            yield url
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_SECONDS)
            wait_for(lambda: not _session(process.pid), STOP_SECONDS, "every process to end")
        finally:
            for left in _session(process.pid):
                with suppress(psutil.NoSuchProcess):
                    left.kill()
            process.wait()


def wait_for(done: Callable[[], object], seconds: float, what: str) -> None:
    """Wait until `done()` is true."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.5)


def _wait_until_up(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    def up() -> bool:
        assert process.poll() is None, log.read_text(errors="replace")
        try:
            with urllib.request.urlopen(f"{url}/server_info", timeout=10) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    wait_for(up, START_SECONDS, f"{url}/server_info")


def _session(leader: int) -> list[psutil.Process]:
    """Processes that descend from `leader`, orphans included; zombies are not counted."""
    members = []
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            zombie = process.status() == psutil.STATUS_ZOMBIE
            if os.getsid(process.pid) == leader and not zombie:
                members.append(process)
    return members


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
