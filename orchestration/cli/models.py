"""Commands on models: train, predict, models, replay, report, export-model.

Out of scope: what they do (`graindex.trained`).
"""

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from orchestration.cli.output import (
    Format,
    FormatOption,
    HomeOption,
    emit,
    notes,
    progress_bars,
)

_DIFFERENT = DATA_FAILED = 1

ModelArgument = Annotated[
    str, typer.Argument(help="Name of a model, or name@version.", metavar="MODEL")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(train)
    app.command()(predict)
    app.command()(models)
    app.command()(replay)
    app.command()(report)
    app.command("export-model")(export_model)


def train(
    name: Annotated[str, typer.Argument(help="Name of the model.")],
    config: Annotated[
        Path | None,
        typer.Option(help="YAML of the model, kept in the home [default: the one kept there]."),
    ] = None,
    how: FormatOption = Format.TABLE,
    home: HomeOption = None,
) -> int:
    """Train a model on its training set and evaluate it; what stands is not trained again."""
    from graindex.features.registry import registered_feature_set
    from graindex.store import open_store
    from graindex.trained.definition import load_definition, read_definition, save_definition
    from graindex.trained.kept import kept_model
    from graindex.trained.learning import OF_IMAGES
    from graindex.trained.methods import METHODS

    store = open_store(home)
    if config is not None:
        save_definition(store.location, read_definition(config, name))
    definition = load_definition(store.location, name)
    if definition.feature_set not in OF_IMAGES:
        registered_feature_set(store, definition.feature_set)  # a wrong name is a wrong command
    from orchestration.run import run_models

    started = time.perf_counter()
    with progress_bars():
        done = run_models(store, [name])
    for failure in done.failures:
        notes.print(f"failed: {failure}")
    trained = [asset for asset in done.assets if asset.asset == "trained_models"]
    if not trained:
        return DATA_FAILED
    card = kept_model(store, name).card
    rows = [metric.model_dump() for metric in card.metrics if metric.part == "all"]
    emit(rows, how, ("evaluation", "metric", "value", "lower", "upper", "unit", "rows"))
    for warning in card.warnings:
        notes.print(f"warning: {warning}")
    for note in card.notes:
        notes.print(f"note: {note}")
    for check in done.checks:
        if not check.passed:
            notes.print(f"check failed: {check.asset}.{check.check}: {check.advice}")
    what = "trained" if trained[0].computed else "stands as it was trained"
    notes.print(
        f"{card.reference} {what}: {METHODS[definition.method].title} on "
        f"{card.training_set.trained_rows} rows of training set "
        f"{card.training_set.training_set_id}, {time.perf_counter() - started:.1f} s; "
        f"graindex report {name} -o {name}.html"
    )
    return DATA_FAILED if done.blocked else 0


def predict(
    model: Annotated[
        str,
        typer.Argument(
            help="Name of a model, name@version, or a folder that export-model wrote.",
            metavar="MODEL",
        ),
    ],
    images: Annotated[
        list[str],
        typer.Argument(help="Paths or URLs of images, or ids of the store.", metavar="IMAGE..."),
    ],
    pixel_size_um: Annotated[
        float | None,
        typer.Option(help="Pixel size of image files in µm, in place of what they say.", min=1e-9),
    ] = None,
    any_pixel_size: Annotated[
        bool,
        typer.Option(
            "--any-pixel-size", help="Predict for images of other pixel sizes as well, with a note."
        ),
    ] = False,
    given: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=VALUE of a column of samples that the model needs, for all image files.",
        ),
    ] = None,
    given_table: Annotated[
        str | None,
        typer.Option(help="CSV of such columns, joined to image files by its column path."),
    ] = None,
    how: FormatOption = Format.TABLE,
    home: HomeOption = None,
) -> None:
    """Predict for images: a number with one standard deviation, or a class with probabilities."""
    from graindex.store import open_store
    from graindex.trained.given import given_columns
    from graindex.trained.kept import is_folder, open_model
    from graindex.trained.predict import CLASS_COLUMNS, NUMBER_COLUMNS
    from graindex.trained.predict import predict as predict_images

    store = None if is_folder(model) and home is None else open_store(home)
    artefact = open_model(store, model)
    rows = predict_images(
        artefact,
        images,
        store=store,
        pixel_size_um=pixel_size_um,
        any_pixel_size=any_pixel_size,
        given=given_columns(given or (), given_table),
    )
    columns = CLASS_COLUMNS if artefact.card.label.classes else NUMBER_COLUMNS
    if how is not Format.JSON:
        for row in rows:
            if "probabilities" in row:
                row["probabilities"] = _shares(row["probabilities"], how)
    emit(rows, how, columns)


def _shares(probabilities: dict[str, float], how: Format) -> str:
    if how is Format.CSV:
        return json.dumps(probabilities)
    return ", ".join(f"{name} {share:.2f}" for name, share in probabilities.items())


def models(how: FormatOption = Format.TABLE, home: HomeOption = None) -> None:
    """List models with their headline metric, training set and state."""
    from graindex.store import open_store
    from graindex.trained.definition import definition_names
    from graindex.trained.kept import list_models

    store = open_store(home)
    listed = list_models(store)
    rows = [
        {
            "model": one.run["model"],
            "version": one.run["model_version"],
            "method": one.run["method"],
            "label": one.run["label_name"],
            "metric": one.metric["metric"] if one.metric else None,
            "value": one.metric["metric_value"] if one.metric else None,
            "lower": one.metric["metric_lower"] if one.metric else None,
            "upper": one.metric["metric_upper"] if one.metric else None,
            "training_set": one.run["training_set_id"],
            "snapshot": one.run["lake_snapshot"],
            "trained_at": one.run["recorded_at"],
            "status": one.status,
            "withdrawn": one.withdrawn,
        }
        for one in listed
    ]
    trained = {one.run["model"] for one in listed}
    rows += [
        {"model": name, "status": "declared"}
        for name in definition_names(store.location)
        if name not in trained
    ]
    columns = (
        "model", "version", "method", "label", "metric", "value", "lower", "upper",
        "training_set", "snapshot", "trained_at", "status", "withdrawn",
    )  # fmt: skip
    emit(rows, how, columns)


def replay(model: ModelArgument, home: HomeOption = None) -> int:
    """Build a model's training set again, train again, and compare; exit code 1 if different."""
    from graindex.store import open_store
    from graindex.trained.replay import replay as replay_model

    result = replay_model(open_store(home), model)
    for line in result.lines():
        typer.echo(line)
    return 0 if result.equal else _DIFFERENT


def report(
    model: ModelArgument,
    output: Annotated[Path, typer.Option("-o", "--output", help="HTML file to write.")],
    home: HomeOption = None,
) -> None:
    """Write the page of a model: how good it is, where it is wrong, and what it was trained on."""
    from graindex.store import open_store
    from graindex.trained.kept import stored_page
    from graindex.training.table_files import write_whole

    page = stored_page(open_store(home), model)
    write_whole(output, page)
    notes.print(f"page of {model} written to {output}")


def export_model(
    model: ModelArgument,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write into.")],
    home: HomeOption = None,
) -> None:
    """Write weights and card of a model, for `graindex predict FOLDER` without this home."""
    from graindex.store import open_store
    from graindex.trained.artefact import write_folder
    from graindex.trained.kept import kept_model

    artefact = kept_model(open_store(home), model)
    write_folder(artefact, output)
    notes.print(f"{artefact.card.reference} written to {output}")
