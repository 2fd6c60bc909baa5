"""Pictures of the Dagster UI for the documentation: `python -m docs.screenshots`.

Makes the demo in a temporary home, starts the UI on it and looks at it in headless Chromium.
Out of scope: testing what is seen (`tests/browser`).
"""

import io
import re
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page

from orchestration.cli.demo_collections import SEM
from orchestration.cli.demo_models import CATHODE, GRAIN, write_models
from orchestration.run import run_models
from tests.browser.dagster_ui import (
    find_chromium,
    make_home,
    new_page,
    open_browser,
    serve,
)

FOLDER = Path(__file__).parent / "images"
IMAGES = 48
_WIDTH_PX = 1440
_SIZE = (_WIDTH_PX, 760)
_GRAPH = "/asset-groups?expanded=" + "%2C".join(
    f"global%40global%3A{group}" for group in ("catalogue", "embeddings", "particles", "models")
)
"""The graph with the group of quality closed, which would not leave room for the others."""
_SETTLED_MS = 2_500  # animations of the graph and of dialogs


def asset_graph(page: Page) -> None:
    """Every asset in its group, large enough to show states, checks and kinds."""
    page.goto(_GRAPH)
    page.get_by_text("micrograph_vectors", exact=True).last.wait_for()
    page.get_by_text("Hide navigation").click()
    page.get_by_role("button", name="panel_show_right").click()
    page.wait_for_timeout(_SETTLED_MS)
    page.mouse.dblclick(100, 130)  # fits the graph into the page
    page.wait_for_timeout(_SETTLED_MS)
    page.get_by_text("PyTorch", exact=True).first.wait_for()


def micrographs_asset(page: Page) -> None:
    """A materialisation of micrographs, its preview open."""
    page.goto("/assets/micrographs?view=events")
    page.get_by_text("[Show Markdown]").first.click()
    page.get_by_role("img", name="preview").wait_for()


def micrographs_columns(page: Page) -> None:
    """What micrographs are: columns with types, rules, meanings and units."""
    page.goto("/assets/micrographs")
    page.get_by_placeholder("Filter columns").fill("pixel")
    page.get_by_text("Edge length of one pixel").wait_for()


def checks(page: Page) -> None:
    """The checks of micrographs, one of them open."""
    page.goto("/assets/micrographs?view=checks")
    page.get_by_text("nothing_lost", exact=True).first.click()
    page.get_by_text("Passed", exact=True).wait_for()


def particles_asset(page: Page) -> None:
    """A materialisation of statistics with its figure open."""
    page.goto("/assets/electrode_statistics?view=events")
    page.get_by_text("[Show Markdown]").first.click()
    page.get_by_role("img", name="preview").wait_for()


def model_asset(page: Page) -> None:
    """A trained model: what it was fed, how well it does, and its diagnostic plot."""
    page.goto(f"/assets/trained_models?view=events&partition={GRAIN}")
    page.get_by_role("row", name=re.compile("^result")).get_by_text("[Show Markdown]").click()
    page.get_by_role("img", name="preview").first.wait_for()


PICTURES = (
    ("asset-graph", asset_graph, (2300, 2000)),  # smaller, the graph does not fit into it
    ("micrographs-asset", micrographs_asset, _SIZE),
    ("particles-asset", particles_asset, _SIZE),
    ("model-asset", model_asset, _SIZE),
    ("micrographs-columns", micrographs_columns, _SIZE),
    ("checks", checks, _SIZE),
)


def take(browser: Browser, url: str, folder: Path) -> None:
    """Write every picture."""
    for name, show, (width, height) in PICTURES:
        page = new_page(browser, url)
        page.set_viewport_size({"width": width, "height": height})
        show(page)
        page.mouse.move(width - 10, height - 10)
        page.wait_for_timeout(_SETTLED_MS)
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        page.close()
        picture.thumbnail((_WIDTH_PX, height), Image.Resampling.LANCZOS)
        picture.save(folder / f"{name}.png", optimize=True)


def main() -> None:
    """Take all pictures."""
    executable = find_chromium()
    if executable is None:
        sys.exit("error: no Chromium is installed")
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch) / SEM
        store, _ = make_home(home, IMAGES)
        run_models(store, [name for name in write_models(store) if name != CATHODE])
        with (
            open_browser(executable) as browser,
            serve(home, Path(scratch) / "ui.log") as url,
        ):
            take(browser, url, FOLDER)


if __name__ == "__main__":
    main()
