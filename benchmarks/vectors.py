"""Throughput of the asset `micrograph_vectors` beside a bare loop and plain timm, in one run.

The same files and the same preprocessing for all three, all cores busy:
- bare: decode, crop, resize and OpenVINO forward in threads; nothing is stored;
- asset: the whole Dagster step, from reading the catalog to the preview of the search;
- timm: eager float32 over a torch DataLoader, decode included.
Vectors of the three are compared. Real micrographs are copied with a distinct trailing byte,
which changes their content hash and not their pixels. Out of scope: search (`search.py`).
"""

import argparse
import shutil
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from common import Record, machine, publish, real_data

if TYPE_CHECKING:
    from graindex.store import Store

# A DataLoader's default, and a usual batch; on a CPU the larger one is the slower one.
TIMM_BATCHES = (1, 32)
SUFFIXES = {".jpg", ".png", ".tif"}


def main() -> None:
    """Run and publish."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--copies", type=int, default=4, help="copies of each of 215 images")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--timm-images", type=int, default=64)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        run(Path(scratch), options)


def run(scratch: Path, options: argparse.Namespace) -> None:
    """Measure in `scratch` and publish."""
    from graindex.registration import register_collection
    from graindex.settings import EncoderSettings, Settings, save_settings
    from graindex.store import Store, init_store
    from orchestration.run import run_catalog

    store = init_store(scratch / "home")
    save_settings(store.location, Settings(encoder=EncoderSettings(precision=options.precision)))
    count = copy_images(scratch / "images", options.copies)
    register_collection(store, str(scratch / "images"), dataset="copies")
    run_catalog(store, ["copies"], "key:datasets or key:samples or key:micrographs")
    rows = store.read("micrographs", "copies").to_pylist()
    assert len(rows) == count, (len(rows), count)

    speeds: dict[str, list[float]] = {"bare": [], "asset": []}
    bare_vectors: dict[str, np.ndarray] = {}
    for _ in range(options.repeats):
        started = time.perf_counter()
        bare_vectors = bare(store, rows)
        speeds["bare"].append(count / (time.perf_counter() - started))
        shutil.rmtree(scratch / "home" / "vectors")
        (scratch / "home" / "vectors").mkdir()
        fresh = Store(store.location)
        report = run_catalog(fresh, ["copies"], "key:micrograph_vectors")
        assert report.assets[0].computed == count
        assert not report.failures, report.failures
        speeds["asset"].append(count / report.assets[0].seconds)
    stored = {
        row["micrograph_id"]: np.asarray(row["vector"], np.float64)
        for row in store.vectors.read(
            "micrographs", "copies", ("micrograph_id", "vector")
        ).to_pylist()
    }
    sample = one_shape(rows, store, options.timm_images)
    eager: dict[str, dict[str, np.ndarray]] = {}
    for batch in TIMM_BATCHES:
        name = f"timm, batch {batch}"
        speed, eager[name] = plain_timm(sample, store, batch)
        speeds[name] = [speed]

    medians = {name: statistics.median(values) for name, values in speeds.items()}
    table: list[Record] = [
        {
            "what": name,
            "images": len(vectors),
            "images/s": medians[name],
            "runs": ", ".join(f"{value:.1f}" for value in speeds[name]),
            "asset / this": medians["asset"] / medians[name],
            **agreement(stored, vectors),
        }
        for name, vectors in (("asset", stored), ("bare", bare_vectors), *eager.items())
    ]
    more = {"encoder_id": store.encoder_id, "machine_before": machine()}
    publish(
        f"vectors_{options.precision}",
        f"Vectors of {count} micrographs, {store.encoder_id}",
        table,
        more,
    )


def copy_images(target: Path, copies: int) -> int:
    """Copies of the real micrographs, each with bytes of its own; returns how many."""
    target.mkdir()
    count = 0
    for collection in ("ncm622_cycled_sem", "llzto_llto_sem", "uhcs"):
        for path in sorted((real_data() / collection).rglob("*")):
            if path.suffix.lower() not in SUFFIXES:
                continue
            data = path.read_bytes()
            for copy in range(copies):
                count += 1
                name = f"{count:05d}{path.suffix.lower()}"
                (target / name).write_bytes(data + bytes([copy]))
    return count


def bare(store: "Store", rows: list[Record]) -> dict[str, np.ndarray]:
    """Decode, crop, resize and run the network in threads, and nothing else."""
    from models.encode.conversion import converted
    from models.encode.framing import frame
    from models.encode.openvino_engine import OpenVinoEngine

    encoder = store.encoder
    folder = store.location.folder / "cache" / "encoders"
    model, _ = converted(encoder.config, str(folder))
    threads = machine()["cores"]
    engine = OpenVinoEngine(model, encoder.config.precision, threads)

    def one(row: Record) -> tuple[str, np.ndarray]:
        grey = cv2.imread(row["uri"], cv2.IMREAD_GRAYSCALE)
        content = grey[
            row["content_y0_px"] : row["content_y1_px"], row["content_x0_px"] : row["content_x1_px"]
        ]
        vector = engine.infer(frame(content, encoder.config.pixels), concurrency=threads + 1)
        return row["micrograph_id"], vector

    with ThreadPoolExecutor(threads + 1) as pool:
        return dict(pool.map(one, rows))


def one_shape(rows: list[Record], store: "Store", count: int) -> list[Record]:
    """Images that reach the network in one shape, as a batch needs them, evenly spread."""
    from models.encode.framing import input_shape

    def shape(row: Record) -> tuple[int, int]:
        height = row["content_y1_px"] - row["content_y0_px"]
        width = row["content_x1_px"] - row["content_x0_px"]
        return input_shape(height, width, store.encoder.config.pixels)

    shapes = [shape(row) for row in rows]
    common = statistics.mode(shapes)
    same = [row for row, found in zip(rows, shapes, strict=True) if found == common]
    return same[:: max(1, len(same) // count)][:count]


def plain_timm(
    rows: list[Record], store: "Store", batch: int
) -> tuple[float, dict[str, np.ndarray]]:
    """Eager timm over a DataLoader: images a second, and the vectors."""
    import torch
    from torch.utils.data import DataLoader, Dataset

    from models.encode.backbones import load_backbone
    from models.encode.framing import frame

    config = store.encoder.config

    class Micrographs(Dataset[tuple[str, torch.Tensor]]):
        def __len__(self) -> int:
            return len(rows)

        def __getitem__(self, index: int) -> tuple[str, torch.Tensor]:
            row = rows[index]
            grey = cv2.imread(row["uri"], cv2.IMREAD_GRAYSCALE)
            content = grey[
                row["content_y0_px"] : row["content_y1_px"],
                row["content_x0_px"] : row["content_x1_px"],
            ]
            image = (frame(content, config.pixels).astype(np.float32) - 127) / 128
            channels = torch.from_numpy(image.reshape(image.shape[-2:])).expand(3, -1, -1)
            return row["micrograph_id"], channels.clone()

    model = load_backbone(config)
    vectors: dict[str, np.ndarray] = {}
    loader = DataLoader(Micrographs(), batch_size=batch)
    started = time.perf_counter()
    with torch.inference_mode():
        for keys, images in loader:
            vectors |= dict(zip(keys, model(images).numpy(), strict=True))
    return len(rows) / (time.perf_counter() - started), vectors


def agreement(stored: dict[str, np.ndarray], vectors: dict[str, np.ndarray]) -> Record:
    """Lowest and median cosine between the asset's vectors and these."""
    cosines = [
        float(stored[key] @ vector / np.linalg.norm(stored[key]) / np.linalg.norm(vector))
        for key, vector in vectors.items()
    ]
    return {"lowest cosine": min(cosines), "median cosine": statistics.median(cosines)}


if __name__ == "__main__":
    main()
