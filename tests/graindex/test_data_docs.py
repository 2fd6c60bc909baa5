"""Data docs tell how every check ended, lead everywhere, and fetch nothing."""

import html
import re
import shutil
from urllib.parse import unquote

import pytest

from graindex.check_list import IMAGE_CHECKS
from graindex.check_results import record_results, run_checks
from graindex.checking import Check, Problem
from graindex.data_docs import build_data_docs, validation_of
from graindex.errors import InputError
from graindex.generated_checks import generated_checks
from graindex.recipes import make_recipe, save_recipe
from graindex.rows_in_sql import SqlRows, in_memory
from graindex.store import open_store
from schemas.arrow import from_records
from schemas.tables import TABLES
from tests.graindex.rows import key, micrograph, samples

EVIL = "<script>alert('x')</script>"
WRONG = "<svg onload=alert(1)>"
LOADS = re.compile(
    r"<(?:script|img|iframe)\b[^>]*\bsrc=|<link\b[^>]*\bhref=|url\(['\"]?https?:|@import", re.I
)


@pytest.fixture(scope="module")
def site(empty_home, tmp_path_factory):
    """Pages about a collection with a bad image, and about one without any row."""
    home = tmp_path_factory.mktemp("docs") / "home"
    shutil.copytree(empty_home, home)
    store = open_store(home)
    for name in ("full", "empty"):
        save_recipe(store.location, make_recipe(dataset=name, location_uri="/x"))
    images = [micrograph("full", n, sample_id=key("s")) for n in range(3)]
    images[1] |= {"modality": WRONG, "path": EVIL}
    tables = {
        "samples": samples("full", "s"),
        "micrographs": from_records(TABLES["micrographs"], images),
    }
    store.lake.replace(tables, "full", author="t", message="t")
    science = Check(
        "micrographs",
        "science",
        lambda *_: [Problem("focus", 1, ((key(2), EVIL),))],
        "Sharp.",
        "Focus.",
    )
    of = {("full", "samples"): (), ("full", "micrographs"): (science,), ("empty", "datasets"): ()}
    for (dataset, asset), more in of.items():
        checks = [*generated_checks(asset), *more]
        results = run_checks(store, checks, dataset)
        record_results(store, results, [one.name for one in checks], author="t")
    folder = tmp_path_factory.mktemp("site") / "new" / "docs"
    front = build_data_docs(store, ["full", "empty"], folder)
    assert front == folder / "index.html"
    return folder


def page(site, address):
    return (site / address).read_text(encoding="utf-8")


def test_the_front_page_tells_how_each_check_ended_and_what_to_do(site):
    front = page(site, "index.html")
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", front))
    assert re.search(r"micrographs dictionary failed 3 \d+ 20\d\d-", text)
    assert "modality: column values to be in set" in text
    assert "Correct the value where it comes from" in text
    assert re.search(r"micrographs science warned 3 1 ", text)
    assert "Focus." in text
    assert key(2) in text
    assert re.search(r"samples up_to_date passed 1 0 ", text)
    assert '<h2 id="empty">' in front


def test_what_fails_comes_first(site):
    ended = re.findall(r'<td class="(failed|warned|passed)">', page(site, "index.html"))
    full = ended[: ended.index("passed")]
    assert full == sorted(full)
    assert set(full) == {"failed", "warned"}


def test_great_expectations_tells_which_values_break_which_rule(site):
    told = page(site, "validations/full/micrographs.html")
    assert html.escape(WRONG) in told
    assert "Failed" in told
    assert "Succeeded" in page(site, "validations/full/samples.html")
    assert "content_hash" in page(site, "expectations/micrographs.html")


def test_every_link_leads_to_a_page_of_the_folder(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 8
    for one in pages:
        for address in re.findall(r'href="([^"#]+)', one.read_text(encoding="utf-8")):
            if not address.startswith("http"):
                assert (one.parent / unquote(address)).is_file(), (one, address)


def test_no_page_fetches_anything_or_runs_what_is_in_the_data(site):
    for one in site.rglob("*.html"):
        text = one.read_text(encoding="utf-8")
        assert not LOADS.search(text), one
        assert "<script" not in text
        assert "default-src 'none'" in text.partition("<title>")[0]
        assert WRONG not in text


def test_many_rows_are_told_of_as_few_are():
    images = [micrograph("a", n, page=-(n % 2)) for n in range(6)]
    few = in_memory(from_records(TABLES["micrographs"], images))
    many = SqlRows(f"(FROM {few.relation})", few.columns, few.ask)
    assert few.in_memory and not many.in_memory

    def told(rows):
        outcome = validation_of(rows, TABLES["micrographs"], "a")
        found = {
            (one.expectation_config.type, str(one.expectation_config.kwargs.get("column"))): (
                one.success,
                one.result.get("element_count"),
                one.result.get("unexpected_count"),
            )
            for one in outcome.results
        }
        return outcome.success, outcome.statistics, found

    assert told(many) == told(few)
    assert told(few)[2]["expect_column_values_to_be_between", "page"] == (False, 6, 3)


def test_a_folder_that_cannot_be_written_is_one_line(store, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be written: .*; name another folder for --docs"):
        build_data_docs(store, [], tmp_path / "file")


def test_checks_of_images_have_advice():
    assert all(one.advice.endswith(".") for one in IMAGE_CHECKS)
