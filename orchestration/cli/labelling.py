"""Commands of labels: label brings statements into the store, labels lists what there is.

Out of scope: labels in file names and tables of samples, which `add` takes.
"""

from typing import Annotated

import typer

from orchestration.cli.output import (
    DatasetsOption,
    Format,
    FormatOption,
    HomeOption,
    emit,
    notes,
)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(label)
    app.command()(labels)


def label(
    file: Annotated[
        str,
        typer.Argument(
            help="CSV with a column sample, path, file, image or a key of the catalog, and either "
            "label and value or a column a label; also labeller, measured_at and note."
        ),
    ],
    dataset: Annotated[str, typer.Option(help="Collection that is labelled.")],
    labeller: Annotated[
        str | None,
        typer.Option(
            help="Who states what names no labeller [default: collection].", show_default=False
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--label", help="Only this label, or the name of the values."),
    ] = None,
    zone: Annotated[str, typer.Option(help="Time zone of times that state none.")] = "UTC",
    skip_unknown: Annotated[
        bool, typer.Option("--skip-unknown", help="Leave out rows of nothing in the collection.")
    ] = False,
    how: FormatOption = Format.TABLE,
    home: HomeOption = None,
) -> None:
    """State labels of specimens, images, volumes or particles from a table."""
    from graindex.store import open_store
    from graindex.training.label_files import read_label_file
    from graindex.training.statements import import_labels

    store = open_store(home)
    read = read_label_file(file, labeller=labeller, label=name, zone=zone)
    done = import_labels(store, dataset, read, author="label", skip_unknown=skip_unknown)
    row = {
        "dataset": dataset,
        "labels": ", ".join(done.labels),
        "entity_kind": done.kind,
        "new": done.new,
        "changed": done.changed,
        "unchanged": done.unchanged,
        "unknown": len(done.unknown),
        "empty": done.empty,
        "snapshot": done.snapshot,
    }
    emit([row], how, tuple(row))
    for unknown in done.unknown:
        notes.print(f"left out: {unknown!r} is no {done.kind} of {dataset}")


def labels(
    dataset: DatasetsOption = None, how: FormatOption = Format.TABLE, home: HomeOption = None
) -> None:
    """List labels: how many statements, of what, by whom, and of which time."""
    from graindex.store import open_store
    from graindex.training.statements import list_labels

    store = open_store(home)
    for name in dataset or ():
        store.recipe(name)  # raises where there is none
    rows = list_labels(store, dataset or ())
    emit(rows.to_pylist(), how, rows.column_names)
