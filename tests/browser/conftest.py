"""One UI and one browser for all tests of a file: its processes end before other tests go on."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.dagster_ui import (
    PAGE_MS,
    Ui,
    find_chromium,
    make_home,
    new_page,
    open_browser,
    serve,
)

IMAGES = 4


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium; under CI its absence is a failure, not a skip."""
    executable = find_chromium()
    if executable is None:
        message = "no Chromium is installed"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    expect.set_options(timeout=PAGE_MS)
    with open_browser(executable) as opened:
        yield opened


@pytest.fixture(scope="module")
def ui(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    """The UI of a home with a few phantoms."""
    home = tmp_path_factory.mktemp("home")
    store, folder = make_home(home, IMAGES, [10])
    with serve(home, home.with_name("ui.log")) as url:
        yield Ui(url, store, folder)


@pytest.fixture
def page(browser: Browser, ui: Ui) -> Iterator[Page]:
    """A fresh page; what the browser complains about fails the test."""
    opened = new_page(browser, ui.url)
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on(
        "console",
        lambda message: complaints.append(message.text) if message.type == "error" else None,
    )
    yield opened
    opened.close()
    assert complaints == []
