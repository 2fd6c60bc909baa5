"""The page of a model: one HTML file that needs no other.

Out of scope: figures (`graindex.trained.figures`) and the form of the page
(`graindex.trained.page`).
"""

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from graindex.trained.card import Card, MetricCard
from graindex.trained.driver_figures import driver_figures
from graindex.trained.drivers import Drivers
from graindex.trained.figures import curves_figure, in_label_unit, result_figure
from graindex.trained.latent import RECONSTRUCTION
from graindex.trained.methods import METHODS
from graindex.trained.page import PAGE
from graindex.trained.sections import Section
from graindex.trained.units import learned_unit
from models.learn.learner import Curve
from models.learn.metrics import ALL
from models.learn.specimen_metrics import OF_A_SPECIMEN

if TYPE_CHECKING:
    from graindex.store import Store

Record = dict[str, Any]
_UNKNOWN = Drivers()
_DRAWN_ELSEWHERE = (RECONSTRUCTION, "share of the variance")
_WORST = 12
_MOST_FOLDS = 20


def report_page(
    store: "Store",
    card: Card,
    predictions: Sequence[Record],
    curves: Sequence[Curve],
    sections: Sequence[Section] = (),
    drivers: Drivers = _UNKNOWN,
) -> str:
    """The page of a model.

    Args:
        store: where thumbnails lie.
        card: card of the model.
        predictions: rows of the table `predictions`.
        curves: curves of the training.
        sections: that only the training could draw.
        drivers: what drives it.
    """
    import jinja2  # noqa: PLC0415

    curves = [curve for curve in curves if not curve.name.startswith(_DRAWN_ELSEWHERE)]
    unit = learned_unit(card.label.unit, card.label.transform)

    left_out = [row for row in predictions if row["evaluation"] != "train"]
    shown = left_out or list(predictions)
    method = METHODS[card.method.name]
    is_network = card.network is not None
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["figures"] = significant
    return environment.from_string(PAGE).render(
        card=card,
        title=method.title,
        result=_picture(result_figure(card, shown)),
        of_training=bool(predictions) and not left_out,
        curves=_picture(curves_figure(curves, course=method.course)) if curves else None,
        course=method.course,
        is_network=is_network,
        sections=[
            {
                "title": each.title,
                "note": each.note,
                "pictures": [(told, _image(data)) for told, data in each.pictures],
                "table": each.table,
            }
            for each in sections
        ],
        drivers=[(caption, _picture(png)) for caption, png in driver_figures(drivers, unit)],
        metrics=_of_all(card),
        classes=_of_classes(card),
        others=_of_others(card),
        folds=_of_folds(card),
        worst=_worst(store, card, shown),
        facts=_facts(card),
    )


def significant(value: float | None) -> str:
    """A number for people; a dash where there is none."""
    return "–" if value is None else f"{value:.3g}"


def _of_all(card: Card) -> list[MetricCard]:
    return [metric for metric in card.metrics if metric.part == ALL]


def _of_classes(card: Card) -> list[Record]:
    """Precision, recall and F1 of each class, a row each."""
    rows = []
    for name in card.label.classes:
        found = {
            metric.metric: metric
            for metric in card.metrics
            if metric.part == f"class {name}" and metric.evaluation != "train"
        }
        if found:
            rows.append({"name": name, "rows": found["f1"].rows, **found})
    return rows


def _of_others(card: Card) -> Record:
    """Metrics of rows with a value of a column, and of what brightness and contrast alone tell."""
    return _by_part(
        [
            metric
            for metric in card.metrics
            if metric.part not in (ALL, OF_A_SPECIMEN)  # which have a table of their own
            and not metric.part.startswith(("fold ", "class "))
        ]
    )


def _of_folds(card: Card) -> Record:
    """Metrics of each fold, unless they are many: names of the metrics, and a row for each."""
    found = _by_part([metric for metric in card.metrics if metric.part.startswith("fold ")])
    return found if len(found["rows"]) <= _MOST_FOLDS else {"names": [], "rows": {}}


def _by_part(metrics: Sequence[MetricCard]) -> Record:
    """Names of the metrics, and a row for each part."""
    rows: dict[str, Record] = {}
    for metric in metrics:
        row = rows.setdefault(metric.part, {"rows": metric.rows})
        row[metric.metric] = metric.value
    return {"names": list(dict.fromkeys(metric.metric for metric in metrics)), "rows": rows}


def _worst(store: "Store", card: Card, predictions: Sequence[Record]) -> list[Record]:
    """The predictions that are farthest off, with thumbnails."""
    if card.label.classes:
        wrong = [row for row in predictions if row["predicted_text"] != row["label_text"]]
        wrong.sort(key=lambda row: -row["probability"])
    else:
        wrong = sorted(
            predictions, key=lambda row: -abs(row["label_number"] - row["predicted_number"])
        )
    images = _images(store, card)
    return [
        {
            "path": images.get(row["entity_id"], ("", None))[0] or row["entity_id"],
            "thumbnail": images.get(row["entity_id"], ("", None))[1],
            "measured": _measured(card, row),
            "predicted": predicted_text(card, row),
        }
        for row in wrong[:_WORST]
    ]


def _images(store: "Store", card: Card) -> dict[str, tuple[str, str | None]]:
    """Path and thumbnail of each image by its id, where rows are images."""
    if card.features.entity != "micrograph":
        return {}
    rows = store.lake.read(
        "micrographs",
        columns=("micrograph_id", "path", "thumbnail"),
        as_of=card.training_set.lake_snapshot,
    ).to_pylist()
    return {
        row["micrograph_id"]: (row["path"], _thumbnail(store, row["thumbnail"])) for row in rows
    }


def _thumbnail(store: "Store", address: str) -> str | None:
    if not store.files.has(address):
        return None
    return _jpeg(store.files.get(address))


def _jpeg(data: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"


def _measured(card: Card, row: Record) -> str:
    if card.label.classes:
        return str(row["label_text"])
    if card.network is not None:
        return f"{row['label_number']:.0f} particles"
    return f"{in_label_unit(card, np.array(row['label_number'])):.3g} {card.label.unit or ''}"


def predicted_text(card: Card, row: Record) -> str:
    """A prediction for people: class with probability, or value with one standard deviation."""
    if card.label.classes:
        return f"{row['predicted_text']} ({row['probability']:.0%})"
    if card.network is not None:
        return f"{row['predicted_number']:.0f} particles"
    value, std = row["predicted_number"], row["predicted_std"]
    unit = f" {card.label.unit}" if card.label.unit else ""
    if card.label.transform == "log10":
        return f"{10.0**value:.3g}{unit} ×÷ {10.0**std:.2g}"
    return f"{value:.3g} ± {std:.2g}{unit}"


def _facts(card: Card) -> list[tuple[str, str]]:
    found, pixels = card.training_set, card.pixel_size
    transform = f", learned as {card.label.transform}" if card.label.transform else ""
    facts = [
        ("label", f"{card.label.name} ({card.label.unit or 'no unit'}){transform}"),
        ("method", f"{METHODS[card.method.name].title}, code {card.method.code_version}"),
        ("chosen", ", ".join(f"{name} {value}" for name, value in card.method.chosen.items())),
        ("features", f"{card.features.reference}, of a {card.features.entity}"),
        ("encoder", card.encoder.encoder_id if card.encoder else "none"),
        ("training set", f"{found.training_set_id}, snapshot {found.lake_snapshot}"),
        ("rows", f"{found.rows}, {found.trained_rows} trained on, in {found.groups} groups"),
        ("split", _split(card)),
        ("seed", str(card.seed)),
        ("weights", card.weights_sha256),
    ]
    if pixels is not None and pixels.least_um is not None:
        seen = f"{pixels.least_um:.4g} to {pixels.greatest_um:.4g} µm, ± {pixels.tolerance:.0%}"
        facts.insert(5, ("pixel sizes", seen))
    elif pixels is not None:
        facts.insert(5, ("pixel sizes", "none of the training images was calibrated"))
    return facts


def _split(card: Card) -> str:
    split = card.training_set.request["split"]
    told = f"{split['kind']} by {', '.join(split['by'])}"
    return f"{told}, {split['folds']} folds" if split["kind"] == "kfold" else told


def _image(data: bytes) -> str:
    return _picture(data) if data.startswith(b"\x89PNG") else _jpeg(data)


def _picture(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
