"""Commands of feature sets: add, list, show, values.

Out of scope: what features are (`graindex.features`), and training sets.
"""

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.cli.output import (
    DatasetsOption,
    Format,
    FormatOption,
    HomeOption,
    emit,
    notes,
    write_table,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from graindex.features.feature import Feature

ReferenceArgument = Annotated[
    str, typer.Argument(metavar="NAME[@VERSION]", help="Feature set; the newest version, or one.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    group = typer.Typer(
        help="Named, versioned groups of columns and vectors.", no_args_is_help=True
    )
    group.command("add")(add)
    group.command("list")(list_)
    group.command("show")(show)
    group.command("values")(values)
    app.add_typer(group, name="feature-set")


def add(
    files: Annotated[list[Path], typer.Argument(help="YAML files, each with one feature set.")],
    author: Annotated[
        str | None, typer.Option(help="Who registers it [default: you].", show_default=False)
    ] = None,
    how: FormatOption = Format.TABLE,
    home: HomeOption = None,
) -> None:
    """Register feature sets; a changed definition becomes a new version."""
    from graindex.features.files import in_order, read_feature_set, save_feature_set
    from graindex.features.registry import register_feature_set
    from graindex.store import open_store

    store = open_store(home)
    rows = []
    for definition in in_order([read_feature_set(path) for path in files]):
        done = register_feature_set(store, definition, author=author or _user())
        save_feature_set(store.location, definition)
        rows.append({"feature_set": definition.name, "version": done.version})
    emit(rows, how, ("feature_set", "version"))


def list_(how: FormatOption = Format.TABLE, home: HomeOption = None) -> None:
    """List every version with who made it, and how many models use it."""
    from graindex.features.registry import list_feature_sets
    from graindex.store import open_store

    rows = list_feature_sets(open_store(home))
    emit(rows.to_pylist(), how, rows.column_names)


def show(
    reference: ReferenceArgument, how: FormatOption = Format.TABLE, home: HomeOption = None
) -> None:
    """Show a version's features with the columns they come from, and what uses it."""
    from graindex.features.files import as_yaml
    from graindex.features.registry import (
        features_of,
        list_feature_sets,
        registered_feature_set,
        users_of,
    )
    from graindex.store import open_store

    store = open_store(home)
    found = registered_feature_set(store, reference)
    name = found.definition.name
    notes.print(f"{found.reference}\n{as_yaml(found.definition)}")
    for row in list_feature_sets(store).to_pylist():
        if row["feature_set"] == name:
            notes.print(
                f"version {row['version']}: {row['features']} features, by {row['author']}, "
                f"{row['recorded_at']:%Y-%m-%d %H:%M}"
            )
    for row in users_of(store, name).to_pylist():
        model = f", model {row['model']}@{row['model_version']}" if row["model"] else ""
        version = row["feature_set_version"]
        notes.print(f"used by training set {row['training_set_id']} (version {version}){model}")
    rows = [_described(feature) for feature in features_of(store, found)]
    emit(rows, how, ("feature", "unit", "aggregation", "source_columns", "filter_columns"))


def values(
    reference: ReferenceArgument,
    output: Annotated[Path, typer.Option("-o", "--output", help="A .parquet, .csv or .json file.")],
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of", help="Snapshot, tag or time [default: the newest].", show_default=False
        ),
    ] = None,
    dataset: DatasetsOption = None,
    where: Annotated[
        str | None, typer.Option(help="SQL condition on the images, specimens or particles.")
    ] = None,
    home: HomeOption = None,
) -> None:
    """Write the features of every entity, as everything stood at a snapshot."""
    from graindex.features.registry import registered_feature_set
    from graindex.features.values import feature_values
    from graindex.history.snapshots import resolve
    from graindex.store import open_store

    store = open_store(home)
    found = registered_feature_set(store, reference)
    snapshot = resolve(store, as_of)
    rows = feature_values(
        store, found.definition, datasets=dataset or (), where=where, as_of=snapshot
    ).table
    write_table(_flat(rows) if output.suffix.lower() == ".csv" else rows, output)
    notes.print(
        f"{rows.num_rows} rows of {found.reference} as of snapshot {snapshot} written to {output}"
    )


def _described(feature: "Feature") -> dict[str, str | None]:
    rules = {"filter", "weight"}
    measured = [one for one in feature.origins if one.aggregation not in rules]
    statistics = dict.fromkeys(one.aggregation for one in measured if one.aggregation)
    return {
        "feature": feature.name,
        "unit": feature.unit,
        "aggregation": ", ".join(statistics) or None,
        "source_columns": ", ".join(one.column for one in measured),
        "filter_columns": ", ".join(
            one.column for one in feature.origins if one.aggregation in rules
        )
        or None,
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container may know no name for its user
        return "unknown"


def _flat(rows: "pa.Table") -> "pa.Table":
    """Rows with a column for each number of a vector, which CSV has no lists for."""
    import pyarrow as pa

    from graindex.features.matrix import Column, feature_matrix

    for place in reversed(range(rows.num_columns)):
        field = rows.schema.field(place)
        if pa.types.is_fixed_size_list(field.type):
            column = Column(field.name, field.type.list_size)
            matrix = feature_matrix(rows.select([place]), (column,))
            rows = rows.remove_column(place)
            for offset, name in enumerate(column.names):
                numbers = pa.array(matrix[:, offset], from_pandas=True)
                rows = rows.add_column(place + offset, name, numbers)
    return rows
