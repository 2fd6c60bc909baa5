"""Images whose description cannot be true: databar, calibration, magnification, time, sidecar.

Out of scope: sources of one image that disagree (`graindex.checks`), and what is seen in the
images (`graindex.image_checks`).
"""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

import numpy as np

from graindex.check_rows import problem, read
from graindex.checking import Problem
from graindex.ducklake import CATALOG
from graindex.records import Record
from graindex.store import Store
from models.calibrate.readings import Quantity
from models.calibrate.reconcile import RELATIVE_TOLERANCE, TIME_TOLERANCE_S
from models.measure.robust import NORMAL

DATABAR_SHARE = 0.8
"""Of the images of one frame size, from which on one without a databar is odd."""

FEWEST = 8
CALIBRATION_TOLERANCE = 0.03
"""Instruments state magnifications in two or three digits, and bars are measured to 1 %."""

RARE_SHARE = 0.05
MAGNIFICATION_FACTOR = 1.25
SPREADS = 5.0
ORDERED_SHARE = 0.7
"""Of files in the order of their numbers, from which on the numbers are taken to run with time;
of 20 files in a random order 40 % are."""

_NUMBER = re.compile(r"\d+(?=\D*$)")
_COMPARED = (
    Quantity.MAGNIFICATION,
    Quantity.ACCELERATING_VOLTAGE_KV,
    Quantity.WORKING_DISTANCE_MM,
    Quantity.ACQUIRED_AT,
)


def no_databar(store: Store, dataset: str) -> Sequence[Problem]:
    """Images without a databar where nearly all of their size have one."""
    columns = ("micrograph_id", "width_px", "height_px", "content_x0_px", "content_y0_px")
    more = ("content_x1_px", "content_y1_px")
    groups: dict[tuple[int, int], list[tuple[str, bool]]] = defaultdict(list)
    for row in read(store, "micrographs", dataset, *columns, *more).to_pylist():
        size = (row["width_px"], row["height_px"])
        box = (row["content_x0_px"], row["content_y0_px"], row["content_x1_px"], row[more[1]])
        groups[size].append((row["micrograph_id"], box != (0, 0, *size)))
    return problem(
        "a databar, as others of its size have",
        (
            (key, f"none, of {len(images)} images {sum(bar for _, bar in images)} have one")
            for images in groups.values()
            if len(images) >= FEWEST
            and sum(bar for _, bar in images) >= DATABAR_SHARE * len(images)
            for key, has_bar in images
            if not has_bar
        ),
    )


def stale_calibration(store: Store, dataset: str) -> Sequence[Problem]:
    """Images whose pixel size does not fit their magnification.

    Pixel size × magnification is the pixel of the instrument's screen, the same for all its images
    of one width. Images of all collections are compared.
    """
    rows = store.lake.query(
        f"""
        SELECT dataset, micrograph_id, coalesce(instrument, 'of ' || dataset) AS instrument,
               width_px, pixel_size_um, magnification, pixel_size_um * magnification AS screen_um
        FROM {CATALOG}.micrographs
        WHERE pixel_size_um IS NOT NULL AND magnification IS NOT NULL ORDER BY micrograph_id
        """
    ).to_pylist()
    groups: dict[tuple[str, int], list[Record]] = defaultdict(list)
    for row in rows:
        groups[row["instrument"], row["width_px"]].append(row)
    return problem(
        "pixel size × magnification as in the instrument's other images",
        (
            (str(row["micrograph_id"]), f"{row['pixel_size_um']:.4g} µm, {told}")
            for images in groups.values()
            if len(images) >= FEWEST
            for row, told in _off_the_screen(images)
            if row["dataset"] == dataset
        ),
    )


def _off_the_screen(images: Sequence[Record]) -> Iterable[tuple[Record, str]]:
    screens = np.array([row["screen_um"] for row in images], np.float64)
    usual = float(np.median(screens))
    spread = NORMAL * float(np.median(np.abs(screens / usual - 1)))
    allowed = max(CALIBRATION_TOLERANCE, min(SPREADS * spread, RELATIVE_TOLERANCE))
    for row, screen in zip(images, screens, strict=True):
        if abs(screen / usual - 1) > allowed:
            expected = usual / float(str(row["magnification"]))
            yield row, f"{expected:.4g} µm expected at ×{row['magnification']:g}"


def magnification_out_of_family(store: Store, dataset: str) -> Sequence[Problem]:
    """Images of a magnification, or where there is none a width of field, that is rare and far."""
    columns = ("micrograph_id", "magnification", "pixel_size_um", "width_px")
    rows = read(store, "micrographs", dataset, *columns).to_pylist()
    stated = [(r["micrograph_id"], r["magnification"]) for r in rows if r["magnification"]]
    fields = [
        (r["micrograph_id"], r["pixel_size_um"] * r["width_px"])
        for r in rows
        if not r["magnification"] and r["pixel_size_um"]
    ]
    return [
        *problem("a magnification as in its collection", _rare_and_far(stated, "×{:g}")),
        *problem("a field as wide as in its collection", _rare_and_far(fields, "{:.4g} µm")),
    ]


def _rare_and_far(values: Sequence[tuple[str, float]], form: str) -> Iterable[tuple[str, str]]:
    if len(values) < FEWEST:
        return
    logs = np.log([value for _, value in values])
    usual = float(np.median(logs))
    spread = NORMAL * float(np.median(np.abs(logs - usual)))
    bound = max(np.log(MAGNIFICATION_FACTOR), SPREADS * spread)
    fewest = max(1, int(RARE_SHARE * len(values)))
    for (key, value), log in zip(values, logs, strict=True):
        alike = int((np.abs(logs - log) < np.log(MAGNIFICATION_FACTOR) / 2).sum())
        if abs(log - usual) > bound and alike <= fewest:
            yield key, f"{form.format(value)}, usual is {form.format(float(np.exp(usual)))}"


def acquisition_order(store: Store, dataset: str) -> Sequence[Problem]:
    """Images whose time is out of order with the running numbers of their names.

    Files of one folder whose names differ in the last number only are a series, if most of them
    are in order: numbers may mean something else. The fewest that have to be left out for the rest
    to be in order are told.
    """
    series: dict[str, list[tuple[int, datetime, str]]] = defaultdict(list)
    rows = read(store, "micrographs", dataset, "micrograph_id", "path", "acquired_at", "page")
    for row in rows.to_pylist():
        folder, _, name = row["path"].rpartition("/")
        number = _NUMBER.search(name.rpartition(".")[0])
        if number and row["acquired_at"] is not None and row["page"] == 0:
            pattern = f"{folder}/{name[: number.start()]}#{name[number.end() :]}"
            entry = (int(number.group()), row["acquired_at"], row["micrograph_id"])
            series[pattern].append(entry)
    found: list[tuple[str, str]] = []
    for entries in series.values():
        entries.sort()
        kept = in_order([when for _, when, _ in entries])
        if len(entries) >= FEWEST and len(kept) >= ORDERED_SHARE * len(entries):
            found += [
                (key, f"number {number}, taken {when:%Y-%m-%d %H:%M:%S}")
                for place, (number, when, key) in enumerate(entries)
                if place not in kept
            ]
    return problem("taken in the order of the numbers in the names", found)


def in_order(times: Sequence[datetime]) -> set[int]:
    """Places of a longest run of times, perhaps with gaps, that never goes back."""
    ends: list[datetime] = []
    lasts: list[int] = []
    before: list[int] = []
    for place, when in enumerate(times):
        length = bisect_right(ends, when)
        before.append(lasts[length - 1] if length else -1)
        ends[length : length + 1] = [when]
        lasts[length : length + 1] = [place]
    kept: set[int] = set()
    place = lasts[-1] if lasts else -1
    while place >= 0:
        kept.add(place)
        place = before[place]
    return kept


def wrong_sidecar(store: Store, dataset: str) -> Sequence[Problem]:
    """Images whose sidecar names another file, or says what databar or tags contradict."""
    named = [
        (row["micrograph_id"], row["detail"])
        for row in read(
            store, "findings", dataset, "micrograph_id", "finding", "detail"
        ).to_pylist()
        if row["finding"] == "sidecar_of_another_file"
    ]
    columns = ("micrograph_id", "quantity", "reading_source", "value_number", "value_time")
    readings: dict[tuple[str, str], dict[str, float | datetime]] = defaultdict(dict)
    for row in read(store, "acquisition_readings", dataset, *columns).to_pylist():
        value = row["value_time"] if row["value_number"] is None else row["value_number"]
        if row["quantity"] in _COMPARED and value is not None:
            key = (row["micrograph_id"], row["quantity"])
            readings[key].setdefault(row["reading_source"], value)
    return [
        *problem("its sidecar names it", named),
        *problem(
            "its sidecar says what databar and tags say",
            (
                (key, f"{quantity}: sidecar {stated['sidecar']}, {source} {other}")
                for (key, quantity), stated in readings.items()
                if "sidecar" in stated
                for source, other in stated.items()
                if source in {"databar", "tag"} and _contradict(stated["sidecar"], other)
            ),
        ),
    ]


def _contradict(one: float | datetime, other: float | datetime) -> bool:
    if isinstance(one, datetime) and isinstance(other, datetime):
        return abs((one - other).total_seconds()) > TIME_TOLERANCE_S
    if isinstance(one, datetime) or isinstance(other, datetime):
        return False
    return abs(one - other) > RELATIVE_TOLERANCE * max(abs(one), abs(other))
