"""The commands `detachment`, of a collection of volumes, and `correlate`, of two registered maps.

Out of scope: the numbers and figures.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.cli.output import Format, FormatOption, HomeOption, emit, notes, progress_bars

if TYPE_CHECKING:
    from graindex.store import Store

_GROUPING = "Grouping volumes by detachment"
GroupByOption = Annotated[
    str | None,
    typer.Option(
        help="Column of samples that groups volumes, such as c_rate, or volume for each by itself "
        "[default: the first of c_rate, rate and cycles that differs between them].",
        show_default=False,
        rich_help_panel=_GROUPING,
    ),
]
SizeClassesOption = Annotated[
    int,
    typer.Option(
        help="Classes of the diameter that hold as many particles each.",
        min=1,
        max=20,
        rich_help_panel=_GROUPING,
    ),
]
_GROUP_COLUMNS = (
    "group_by",
    "group_name",
    "size_class",
    "diameter_lower_um",
    "diameter_upper_um",
    "whole_particle_count",
    "volume_count",
    "detachment_mean",
    "detachment_std",
    "detachment_standard_error",
    "detachment_standard_error_volumes",
    "detachment_median",
)
_MAP_COLUMNS = (
    "first",
    "second",
    "pixels",
    "independent_pairs",
    "pearson",
    "pearson_lower",
    "pearson_upper",
    "spearman",
    "spearman_lower",
    "spearman_upper",
    "slope",
)
_FILE_NAMES = {
    "detachment by group and size": "detachment_groups.png",
    "electron density against detachment": "density_against_detachment.png",
}


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(detachment)
    app.command()(correlate)


def detachment(
    dataset: Annotated[str, typer.Argument(help="Collection of volumes, materialised.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="Folder for the figures: PNG, maps JPEG.", show_default=False
        ),
    ] = None,
    how: FormatOption = Format.TABLE,
    home: HomeOption = None,
) -> None:
    """Detachment of a collection's particles by group and size; figures into a folder.

    docs/how-to/detachment.md tells the tables behind it and their columns.
    """
    from graindex.errors import InputError
    from graindex.store import open_store

    store = open_store(home)
    if store.recipe(dataset).kind != "volumes":
        message = f"{dataset} is of micrographs, and detachment is of volumes with phases"
        raise InputError(message)
    rows = store.lake.read("detachment_groups", dataset).to_pylist()
    if not rows:
        notes.print(f"{dataset} has no detachment yet: run graindex materialize, and see refused")
    if output is not None:
        for file in _write_figures(store, dataset, output):
            notes.print(f"{file} written")
    emit(rows, how, _GROUP_COLUMNS, f"Detachment of {dataset}")


def _write_figures(store: "Store", dataset: str, folder: Path) -> list[Path]:
    from graindex.detachment_figures import detachment_figures, peak_figure
    from graindex.training.table_files import make_folder, write_whole

    recipe = store.recipe(dataset)
    volumes = store.lake.read("volumes", dataset).to_pylist()
    paths = {row["volume_id"]: row["path"] for row in sorted(volumes, key=lambda r: r["path"])}
    figures = {
        _FILE_NAMES[caption]: picture
        for caption, picture in detachment_figures(store, recipe).items()
    }
    figures["phase_peaks.png"] = peak_figure(store, dataset, paths)
    for row in store.lake.read("conduction_maps", dataset).to_pylist():
        name = f"conduction_{row['volume_id']}_particle_{row['label']}.jpg"
        figures[name] = store.files.get(row["overlay"])
    make_folder(folder)
    for name, picture in figures.items():
        write_whole(folder / name, picture)
    return [folder / name for name in figures]


def correlate(
    map_a: Annotated[str, typer.Argument(help="Map: TIFF, NPY, PNG, HDF5, MRC or Zarr.")],
    map_b: Annotated[str, typer.Argument(help="Map registered with it, of the same shape.")],
    thickness: Annotated[
        str | None,
        typer.Option(help="Map of the thickness that both were projected through."),
    ] = None,
    thickness_a: Annotated[
        str | None, typer.Option(help="Thickness of the first map alone, which divides it.")
    ] = None,
    thickness_b: Annotated[
        str | None, typer.Option(help="Thickness of the second map alone, which divides it.")
    ] = None,
    mask: Annotated[str | None, typer.Option(help="Map whose pixels other than 0 count.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="PNG of both maps and their joint histogram."),
    ] = None,
    how: FormatOption = Format.TABLE,
) -> None:
    """Pearson correlation of two registered maps, each taken per thickness where one is given.

    Pixels without thickness are left out. The 95 % interval is of as many independent pixels as
    the maps' autocorrelation leaves.
    """
    from graindex.map_files import MapFiles, as_record, correlate_files, map_figure
    from graindex.training.table_files import write_whole

    if thickness is not None and (thickness_a or thickness_b):
        message = "give one thickness of both, or one of each with --thickness-a and --thickness-b"
        raise typer.BadParameter(message, param_hint="--thickness")
    if output is not None and output.suffix.lower() != ".png":
        message = f"{output} is no PNG: name it like figure.png"
        raise typer.BadParameter(message, param_hint="--output")
    files = MapFiles(map_a, map_b, thickness or thickness_a, thickness or thickness_b, mask)
    with progress_bars():
        found = correlate_files(files)
    if output is not None:
        write_whole(output, map_figure(files, found))
        notes.print(f"{output} written")
    emit([as_record(files, found)], how, _MAP_COLUMNS, "Registered maps")
