"""Commands that hand training sets on: training-set and import.

Out of scope: how they are built (`graindex.training`).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestration.cli.output import (
    DatasetsOption,
    Format,
    FormatOption,
    HomeOption,
    cell,
    emit,
    notes,
    progress_bars,
    write_table,
)
from orchestration.cli.training_requests import Rule, Split, Timing, command_of, labellers_field

if TYPE_CHECKING:
    from graindex.store import Store
    from graindex.training.training_set import TrainingSet


_LABEL, _SPLIT = "Label", "Split"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("training-set")(training_set)
    app.command("import")(import_)


def training_set(
    feature_set: Annotated[str, typer.Argument(help="Name of a feature set, or NAME@VERSION.")],
    label: Annotated[
        str, typer.Option(help="Label to learn, or column of `samples`.", rich_help_panel=_LABEL)
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="File .parquet, .csv or .json of the rows, or bundle .zip, .tar.gz or folder/.",
        ),
    ] = None,
    dataset: DatasetsOption = None,
    where: Annotated[
        str | None, typer.Option(help="SQL condition over the columns of the entities' catalog.")
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(help="Snapshot, tag or time to read at [default: now].", show_default=False),
    ] = None,
    timing: Annotated[
        Timing,
        typer.Option(help="Which statement holds by the time of an image.", rich_help_panel=_LABEL),
    ] = Timing.BEFORE,
    tolerance: Annotated[
        str | None,
        typer.Option(
            help="How far from it a label may be measured, as 30d or 12h.", rich_help_panel=_LABEL
        ),
    ] = None,
    rule: Annotated[
        Rule,
        typer.Option(
            "--labellers", help="Whose label counts where several hold.", rich_help_panel=_LABEL
        ),
    ] = Rule.LATEST,
    labeller: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this labeller; may be repeated, for priority the first the best.",
            show_default=False,
            rich_help_panel=_LABEL,
        ),
    ] = None,
    log10: Annotated[
        bool, typer.Option("--log10", help="Learn the logarithm.", rich_help_panel=_LABEL)
    ] = False,
    split: Annotated[
        Split | None,
        typer.Option(
            help="How rows are parted [default: kfold].",
            show_default=False,
            rich_help_panel=_SPLIT,
        ),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="What stays on one side: sample, session, dataset, micrograph, or columns of "
            "`samples`; may be repeated.",
            show_default=False,
            rich_help_panel=_SPLIT,
        ),
    ] = None,
    also_by: Annotated[
        list[str] | None,
        typer.Option(
            help="What stays on one side beside that.", show_default=False, rich_help_panel=_SPLIT
        ),
    ] = None,
    column: Annotated[
        str | None,
        typer.Option(
            help="Column of `samples` that says the side, for --split column.",
            show_default=False,
            rich_help_panel=_SPLIT,
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(help="Number of folds.", show_default=False, rich_help_panel=_SPLIT),
    ] = None,
    test_fraction: Annotated[
        float | None,
        typer.Option(
            help="Share of the rows that a holdout tests.",
            show_default=False,
            rich_help_panel=_SPLIT,
        ),
    ] = None,
    balanced: Annotated[
        bool | None,
        typer.Option(
            "--balanced/--unbalanced",
            help="Whether folds are alike in their labels.",
            show_default=False,
            rich_help_panel=_SPLIT,
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the split.", rich_help_panel=_SPLIT)
    ] = None,
    allow_leakage: Annotated[
        bool,
        typer.Option(
            "--allow-leakage",
            help="Part what belongs together where the split asks for it.",
            rich_help_panel=_SPLIT,
        ),
    ] = False,
    images: Annotated[
        bool, typer.Option("--images/--no-images", help="Whether originals go into a bundle.")
    ] = True,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep/--no-keep",
            help="Whether the store keeps what was written, so that it can be built again.",
        ),
    ] = True,
    how: FormatOption = Format.TABLE,
    home: HomeOption = None,
) -> None:
    """Build the table that a model would see, and write it to a file or a bundle."""
    from graindex.history.snapshots import resolve
    from graindex.store import open_store
    from graindex.training.request import make_request
    from graindex.training.training_set import build_training_set

    store = open_store(home)
    chosen = {
        "kind": split.value if split else None,
        "by": by,
        "also_by": also_by,
        "folds": folds,
        "test_fraction": test_fraction,
        "balanced": balanced,
        "seed": seed,
        "column": column,
        "allow_leakage": allow_leakage or None,
    }
    wanted: dict[str, Any] = {
        "name": label,
        "timing": timing.value,
        "tolerance": tolerance,
        "labellers": {"rule": rule.value, labellers_field(rule): tuple(labeller or ())},
        "transform": "log10" if log10 else None,
    }
    request = make_request(
        feature_set=feature_set,
        label=wanted,
        datasets=tuple(dataset or ()),
        where=where,
        as_of=None if as_of is None else resolve(store, as_of),
        split={name: value for name, value in chosen.items() if value is not None},
    )
    built = build_training_set(store, request)
    if output is not None:
        _write(store, built, output, images=images)
        if keep:
            _keep(store, built)
    told = {what: value for what, value in built.summary().items() if value is not None}
    rows = [
        {"what": what, "value": cell(value) if how is Format.TABLE else value}
        for what, value in told.items()
    ]
    emit(rows, how, ("what", "value"))


def _write(store: "Store", built: "TrainingSet", output: Path, *, images: bool) -> None:
    from graindex.training.bundle import write_bundle
    from graindex.training.unpacking import is_archive

    if is_archive(output) or not output.suffix:
        with progress_bars():
            written = write_bundle(store, built, output, images=images)
        size = written.size_bytes / 1e6
        notes.print(f"{written.files} files, {written.images} images, {size:.1f} MB to {output}")
        for warning in written.warnings:
            notes.print(f"warning: {warning}")
        return
    if output.suffix.lower() == ".parquet":
        built.write_parquet(output)
    else:
        write_table(built.flat() if output.suffix.lower() == ".csv" else built.table, output)
    notes.print(f"{len(built)} rows written to {output}")


def _keep(store: "Store", built: "TrainingSet") -> None:
    from graindex.authors import user
    from graindex.training.registered import register_training_set

    register_training_set(store, built, author=user())


def import_(
    bundle: Annotated[Path, typer.Argument(help="Folder, .zip, .tar or .tar.gz.")],
    dataset: Annotated[
        str | None,
        typer.Option(help="Name for its collection [default: its own].", show_default=False),
    ] = None,
    home: HomeOption = None,
) -> None:
    """Check a bundle and register its images and labels as a collection of this home."""
    from graindex.authors import user
    from graindex.store import open_store
    from graindex.training.importing import import_bundle

    with progress_bars():
        imported = import_bundle(open_store(home), bundle, dataset, author=user())
    for note in imported.notes:
        notes.print(f"warning: {note}")
    names = ", ".join(imported.datasets)
    notes.print(f"{names}: {imported.images} images, {imported.labels} labels imported")
    options = " ".join(f"--dataset {name}" for name in imported.datasets)
    notes.print(f"next: graindex materialize {options}")
    notes.print(f"then: {command_of(imported.request)}")
    notes.print(f"where it comes from its fingerprint is {imported.fingerprint}")
