"""Events of real runs, to a real server and into a file."""

import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from graindex.registration import register_collection
from graindex.settings import OpenLineageSettings
from graindex.store import init_store, open_store
from orchestration.openlineage import RunEvents
from orchestration.run import run_catalog

RUN = "0123abcd-0000-4000-8000-00000000000f"


@pytest.fixture
def server():
    """A server that keeps what it is told."""
    told = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers["Content-Length"])
            told.append((self.path, json.loads(self.rfile.read(length))))
            self.send_response(201)
            self.end_headers()

        def log_message(self, *_):
            pass

    one = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=one.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{one.server_port}", told
    one.shutdown()


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Events that two runs wrote into a file: one of a collection, one whose folder is gone."""
    folder = tmp_path_factory.mktemp("told")
    images, target = folder / "images", folder / "events.jsonl"
    images.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    Image.fromarray(noise).save(images / "a.tif")
    store = init_store(folder / "home")
    settings = Path(folder / "home" / "graindex.yaml")
    options = yaml.safe_load(settings.read_text())
    settings.write_text(yaml.safe_dump(options | {"openlineage": {"file": str(target)}}))
    store = open_store(folder / "home")
    register_collection(store, str(images), dataset="plates")
    run_catalog(store, ["plates"], "key:datasets or key:samples or key:micrographs")
    shutil.rmtree(images)
    run_catalog(store, ["plates"], "key:micrographs")
    return [json.loads(line) for line in target.read_text().splitlines()]


def test_every_run_starts_and_ends(ran):
    states = [(event["run"]["runId"], event["eventType"]) for event in ran]
    first, second = states[0][0], states[2][0]
    assert states == [(first, "START"), (first, "COMPLETE"), (second, "START"), (second, "FAIL")]
    assert {event["job"]["name"].rpartition(".")[2] for event in ran} == {"plates"}


def test_outputs_tell_schema_columns_rows_and_checks(ran):
    outputs = {one["name"]: one for one in ran[1]["outputs"]}
    images = outputs["micrographs.plates"]
    assert images["outputFacets"]["outputStatistics"]["rowCount"] == 1
    names = {one["name"] for one in images["facets"]["schema"]["fields"]}
    assert {"micrograph_id", "pixel_size_um"} <= names
    (source,) = images["facets"]["columnLineage"]["fields"]["pixel_size_um"]["inputFields"]
    assert (source["name"], source["field"]) == ("datasets.plates", "declared_pixel_size_um")
    assert images["facets"]["dataQualityAssertions"]["assertions"]
    assert int(images["facets"]["version"]["datasetVersion"]) > 0


def test_server_is_told(server):
    address, told = server
    RunEvents(OpenLineageSettings(url=address, namespace="lab"), RUN, "catalog", "a").started()
    ((path, event),) = told
    assert path == "/api/v1/lineage"
    assert event["eventType"] == "START"
    assert (event["job"]["namespace"], event["job"]["name"]) == ("lab", "catalog.a")
    assert event["run"]["runId"] == RUN


def test_server_that_is_down_is_only_warned_of(caplog):
    events = RunEvents(OpenLineageSettings(url="http://127.0.0.1:9"), RUN, "catalog", "a")
    events.started()
    (record,) = [one for one in caplog.records if one.name == "orchestration.openlineage"]
    assert "not told" in record.getMessage()
    assert "\n" not in record.getMessage()


def test_nothing_is_told_where_nobody_asks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    RunEvents(OpenLineageSettings(), RUN, "catalog", "a").started()
    assert not list(tmp_path.iterdir())
