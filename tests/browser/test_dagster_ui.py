"""The Dagster UI as a person sees it: started for real, looked at in Chromium."""

import re

import pytest
from playwright.sync_api import Page, expect

from assets.processes import PROCESS_TAG
from orchestration.cli.demo_collections import ELECTRODES, SEM, write_sem
from schemas.tables import TABLES
from tests.browser.conftest import IMAGES
from tests.browser.dagster_ui import EXPANDED, Ui, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
RUN_SECONDS = 180

FOUND = ("image_faults", "near_duplicates", "label_issues", "confounders", "drift")
"""What may well be nothing, as in these phantoms, and then has no picture."""
DETACHMENT = ("phase_peaks", "conduction_maps", "detachment_groups")
GROUPS = {
    "datasets": "catalogue",
    "samples": "catalogue",
    "micrographs": "catalogue",
    "image_quality": "quality",
    "micrograph_vectors": "embeddings",
    "particle_masks_2d": "particles",
    "particles_2d": "particles",
    "particle_annotations": "particles",
    "segmentation_scores": "particles",
    "volumes": "catalogue",
    "particle_labels_3d": "particles",
    "particles_3d": "particles",
    "contacts": "particles",
    "electrode_statistics": "particles",
    **dict.fromkeys(DETACHMENT, "particles"),
    **dict.fromkeys(FOUND, "quality"),
}
OF_MODELS = {"training_sets", "trained_models"}
OF_ANNOTATED = {"particle_annotations", "segmentation_scores"}
"""Empty where nothing is annotated, as here."""
OF_VOLUMES = {"volumes", "particle_labels_3d", "particles_3d", "contacts", *DETACHMENT}
RUNS = """{ runsOrError(limit: 100) { ... on Runs { results {
    runId status tags { key value } } } } }"""


def runs(ui: Ui) -> dict[str, tuple[str, str]]:
    """Collection and status of each run."""
    found = ui.graphql(RUNS)["runsOrError"]["results"]
    tags = {run["runId"]: {t["key"]: t["value"] for t in run["tags"]} for run in found}
    return {
        run["runId"]: (tags[run["runId"]].get("dagster/partition", ""), run["status"])
        for run in found
    }


def wait_for_new_run(ui: Ui, before: dict[str, tuple[str, str]], collections: set[str]) -> str:
    """Wait until one more run of each collection has succeeded; returns that of the images."""

    def finished() -> bool:
        fresh = [told for run, told in runs(ui).items() if run not in before]
        assert "FAILURE" not in {status for _, status in fresh}, fresh
        return {name for name, status in fresh if status == "SUCCESS"} == collections

    wait_for(finished, RUN_SECONDS, "runs to succeed")
    (run,) = (run for run, (name, _) in runs(ui).items() if run not in before and name == SEM)
    return run


def computed(ui: Ui, run: str) -> dict[str, tuple[int, int]]:
    """Rows computed and rows kept by a run, by asset."""
    query = """query Made($id: ID!) { runOrError(runId: $id) { ... on Run {
        assetMaterializations { assetKey { path } metadataEntries {
            label ... on IntMetadataEntry { intValue } } } } } }"""
    made = {}
    for event in ui.graphql(query, id=run)["runOrError"]["assetMaterializations"]:
        values = {entry["label"]: entry.get("intValue") for entry in event["metadataEntries"]}
        made["/".join(event["assetKey"]["path"])] = (values["rows computed"], values["rows kept"])
    return made


KINDS = {
    "micrographs": ("DuckDB", "Parquet", "opencv"),
    "micrograph_vectors": ("lancedb", "PyTorch", "openvino"),
}
"""Storage and libraries as the UI names them."""


def test_the_graph_shows_every_asset_in_its_group(page: Page, ui: Ui) -> None:
    page.goto("/asset-groups")
    for group in {*GROUPS.values(), "models"}:
        # The page also measures each name in an element that is hidden.
        expect(page.get_by_text(group, exact=True).filter(visible=True).first).to_be_visible()
    page.set_viewport_size({"width": 1600, "height": 2400})  # the list draws what fits
    page.goto("/assets")
    for name in GROUPS:
        expect(page.get_by_text(name, exact=True).filter(visible=True).first).to_be_visible()
    nodes = ui.graphql("{ assetNodes { assetKey { path } groupName } }")["assetNodes"]
    found = {node["assetKey"]["path"][0]: node["groupName"] for node in nodes}
    assert found == {**GROUPS, **dict.fromkeys(OF_MODELS, "models")}


@pytest.mark.parametrize("asset", KINDS)
def test_an_asset_tells_where_it_is_kept_and_what_makes_it(page: Page, asset: str) -> None:
    page.goto(f"/assets/{asset}")
    for kind in KINDS[asset]:
        expect(page.get_by_text(kind, exact=True).filter(visible=True).first).to_be_visible()


def test_an_asset_tells_its_columns_with_units_owners_and_counts(page: Page) -> None:
    page.goto("/assets/micrographs")
    expect(page.get_by_text("Edge length of one pixel", exact=False)).to_contain_text("[µm]")
    expect(page.get_by_text("lake.micrographs", exact=True).first).to_be_visible()
    body = page.locator("body")
    expect(body).to_contain_text(re.compile(rf"Row count\s*{IMAGES}"))
    for column in TABLES["micrographs"].columns:
        expect(page.get_by_role("cell", name=column, exact=True).first).to_be_attached()
    expect(page.get_by_text("catalog_micrographs", exact=True).first).to_be_visible()
    expect(page.get_by_text("new_files", exact=True).first).to_be_visible()


@pytest.mark.parametrize(
    "asset", sorted(GROUPS.keys() - {"datasets", "samples", *OF_ANNOTATED, *FOUND})
)
def test_a_materialisation_shows_counts_snapshot_and_a_picture(page: Page, asset: str) -> None:
    page.goto(f"/assets/{asset}?view=events")
    collection = ELECTRODES if asset in OF_VOLUMES | {"electrode_statistics"} else SEM
    expect(page.get_by_text(f"Partition {collection} materialized")).to_be_visible()
    table = page.locator("table").first
    expect(table).to_contain_text(re.compile(r"dagster/row_count\s*\d+"))
    which = "vector version" if TABLES[asset].in_lance else "lake snapshot"
    expect(table).to_contain_text(re.compile(rf"{which}\s*\d+"))
    page.get_by_text("[Show Markdown]").first.click()
    picture = page.get_by_role("img", name="preview").first
    expect(picture).to_be_visible()
    page.wait_for_function("e => e.complete", arg=picture.element_handle())
    size = picture.evaluate("e => [e.naturalWidth, e.naturalHeight]")
    assert min(size) > 50


def test_the_checks_of_an_asset_are_listed_and_passed(page: Page) -> None:
    page.goto("/assets/micrographs?view=checks")
    for name in ("dictionary", "nothing_lost", "sources_agree", "no_quarantine"):
        link = page.get_by_text(name, exact=True).first
        expect(link).to_be_visible()
        link.click()
        expect(page.get_by_text("Passed", exact=True)).to_be_visible()
        blocking = page.get_by_text("This is a blocking asset check.")
        expect(blocking).to_have_count(1 if name in {"dictionary", "nothing_lost"} else 0)


def test_partitions_are_the_collections(page: Page, ui: Ui) -> None:
    page.goto("/assets/micrographs?view=partitions")
    expect(page.get_by_text(SEM, exact=True).first).to_be_visible()
    keys = """{ assetNodes { assetKey { path } partitionKeys } }"""
    found = {
        node["assetKey"]["path"][0]: set(node["partitionKeys"])
        for node in ui.graphql(keys)["assetNodes"]
    }
    assert found == {
        **{asset: {SEM, ELECTRODES} for asset in GROUPS},
        **{asset: set() for asset in OF_MODELS},
    }


def test_column_lineage_is_part_of_the_materialisation(ui: Ui) -> None:
    query = """{ assetNodes { assetKey { path } assetMaterializations(limit: 1) { metadataEntries {
        ... on TableColumnLineageMetadataEntry { lineage {
            columnName columnDeps { assetKey { path } columnName } } } } } } }"""
    found = {}
    for node in ui.graphql(query)["assetNodes"]:
        if node["assetKey"]["path"][0] in OF_MODELS:
            continue  # no model was trained here
        entries = node["assetMaterializations"][0]["metadataEntries"]
        (lineage,) = (entry["lineage"] for entry in entries if "lineage" in entry)
        found[node["assetKey"]["path"][0]] = {
            column["columnName"]: {
                f"{dep['assetKey']['path'][0]}.{dep['columnName']}" for dep in column["columnDeps"]
            }
            for column in lineage
        }
    declared = {name: TABLES[name].lineage.items() for name in GROUPS}
    assert found == {
        name: {column: set(sources) for column, sources in items}
        for name, items in declared.items()
    }


def test_the_job_and_the_sensor_are_listed(page: Page) -> None:
    page.goto("/jobs")
    for job in ("catalog_micrographs", "catalog_volumes"):
        expect(page.get_by_text(job, exact=True).first).to_be_visible()
    page.goto("/automation")
    expect(page.get_by_text("new_files", exact=True).first).to_be_visible()


@pytest.mark.slow  # other tests launch the same job from a command and from the sensor
def test_a_new_image_is_computed_by_a_run_launched_on_the_page(page: Page, ui: Ui) -> None:
    write_sem(ui.folder, IMAGES + 1)
    before = runs(ui)
    page.goto(EXPANDED)
    page.get_by_text("Materialize all").first.click()
    page.get_by_text("All", exact=True).click()
    page.get_by_role("button", name=re.compile("^Launch")).click()
    run = wait_for_new_run(ui, before, {SEM, ELECTRODES})
    made = computed(ui, run)
    assert made["micrographs"] == (1, IMAGES)
    assert made["image_quality"] == (1, IMAGES)
    assert made["micrograph_vectors"] == (1, IMAGES)
    assert ui.store.read("micrographs", SEM).num_rows == IMAGES + 1
    query = "query Tags($id: ID!) { runOrError(runId: $id) { ... on Run { tags { key } } } }"
    tags = ui.graphql(query, id=run)
    assert PROCESS_TAG in {tag["key"] for tag in tags["runOrError"]["tags"]}


@pytest.mark.slow  # tests/orchestration/test_sensors.py asks the sensor without its daemon
def test_the_sensor_requests_a_run_by_itself(ui: Ui) -> None:
    rows = ui.store.read("micrographs", SEM).num_rows
    write_sem(ui.folder, rows + 1)
    before = runs(ui)
    start = """mutation Start($sensor: SensorSelector!) { startSensor(sensorSelector: $sensor) {
        ... on Sensor { id } ... on PythonError { message } } }"""
    where = """{ repositoriesOrError { ... on RepositoryConnection { nodes {
        name location { name } } } } }"""
    (repository,) = ui.graphql(where)["repositoriesOrError"]["nodes"]
    selector = {
        "repositoryName": repository["name"],
        "repositoryLocationName": repository["location"]["name"],
        "sensorName": "new_files",
    }
    sensor = ui.graphql(start, sensor=selector)["startSensor"]["id"]
    try:
        made = computed(ui, wait_for_new_run(ui, before, {SEM, ELECTRODES}))
    finally:
        stop = """mutation Stop($id: String!) { stopSensor(id: $id) { __typename } }"""
        ui.graphql(stop, id=sensor)
    assert made["micrographs"] == made["micrograph_vectors"] == (1, rows)
