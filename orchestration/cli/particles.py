"""Commands on files, without a store: segment and measure.

Out of scope: particles of a store's images and volumes.
"""

import math
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from orchestration.cli.output import notes, progress_bars, write_table

if TYPE_CHECKING:
    from models.segment.foreground import Threshold


class Method(StrEnum):
    """How particles are found."""

    WATERSHED = "watershed"


class Polarity(StrEnum):
    """Which side of the threshold is particle."""

    AUTO = "auto"
    BRIGHT = "bright"
    DARK = "dark"


class Markers(StrEnum):
    """What the watershed starts from."""

    DISTANCE = "distance"
    INTENSITY = "intensity"


class Surface(StrEnum):
    """How surfaces are measured."""

    CROFTON = "crofton"
    BOUNDARY_VOXELS = "boundary_voxels"


class Side(StrEnum):
    """An end of the z axis."""

    LOW = "z_low"
    HIGH = "z_high"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(segment)
    app.command()(measure)


SpacingOption = Annotated[
    str | None,
    typer.Option(
        "--spacing-um",
        metavar="Z,Y,X",
        help="Voxel spacing in µm, or one number where it is equal [default: what the file says].",
        show_default=False,
    ),
]


def segment(
    source: Annotated[
        str, typer.Argument(help="Micrograph, TIFF stack, folder of slices, Zarr, HDF5 or MRC.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Label TIFF to write.")],
    method: Annotated[Method, typer.Option(help="How particles are found.")] = Method.WATERSHED,
    min_diameter_px: Annotated[
        float, typer.Option(help="Diameter of the smallest particle sought, in pixels or voxels.")
    ] = 12.0,
    threshold: Annotated[
        str, typer.Option(help="otsu, multi-otsu, adaptive, or a grey level.")
    ] = "otsu",
    polarity: Annotated[
        Polarity, typer.Option(help="Whether particles are brighter or darker; auto decides.")
    ] = Polarity.AUTO,
    markers: Annotated[
        Markers, typer.Option(help="distance parts at necks, intensity along lines between grains.")
    ] = Markers.DISTANCE,
    phase: Annotated[
        list[int] | None,
        typer.Option(help="Value of a phase volume that is particle; may be repeated."),
    ] = None,
    overlay: Annotated[
        Path | None,
        typer.Option(help="PNG to write as well: the particles over the image or three sections."),
    ] = None,
    spacing_um: SpacingOption = None,
) -> None:
    """Find particles and write them as labels, 0 for the background.

    The databar of a micrograph is left out.
    """
    from graindex.errors import InputError
    from graindex.segmenting import segment_file
    from models.measure.arrays import InvalidVolumeError
    from models.segment.watershed import WatershedOptions

    assert method is Method.WATERSHED
    try:
        options = WatershedOptions(
            min_diameter_px=min_diameter_px,
            threshold=_threshold(threshold),
            polarity=polarity.value,
            markers=markers.value,
            phase_values=tuple(phase) if phase else None,
        )
    except InvalidVolumeError as error:
        raise InputError(str(error)) from error
    spacing = _spacing(spacing_um, (1, 3))
    with progress_bars():
        count = segment_file(
            source, output, spacing_um=_three(spacing), options=options, overlay=overlay
        )
    notes.print(f"{count} particles written to {output}")


def measure(
    labels: Annotated[str, typer.Argument(help="Label image or volume; 0 is background.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Table to write: .parquet, .csv or .json.")
    ],
    grey: Annotated[
        str | None, typer.Option(help="Grey values on the same grid, for electron density.")
    ] = None,
    phases: Annotated[
        str | None, typer.Option(help="Phases on the same grid, for detachment and conduction.")
    ] = None,
    spacing_um: SpacingOption = None,
    contacts: Annotated[
        Path | None, typer.Option(help="Table of touching pairs to write as well.")
    ] = None,
    statistics: Annotated[
        Path | None,
        typer.Option(help="Table of statistics of the whole volume to write as well."),
    ] = None,
    closing_radius_um: Annotated[
        float | None,
        typer.Option(help="Radius that closes cracks, in µm [default: 10 voxels].", min=1e-9),
    ] = None,
    surface: Annotated[Surface, typer.Option(help="How surfaces are measured.")] = Surface.CROFTON,
    binder_phase: Annotated[int, typer.Option(help="Value of carbon-binder in PHASES.")] = 2,
    collector: Annotated[
        Side, typer.Option(help="End of the z axis where the current collector is.")
    ] = Side.LOW,
    packing_cube_um: Annotated[
        float, typer.Option(help="Side of the cube of the packing density, in µm.", min=1e-9)
    ] = 100.0,
    contact_ring_um: Annotated[
        float | None,
        typer.Option(help="Width of the ring of contact_fraction_ring, in µm.", min=1e-9),
    ] = None,
    shape: Annotated[
        tuple[int, int, int] | None,
        typer.Option(help="Z Y X of labels without a header.", show_default=False),
    ] = None,
    dtype: Annotated[str, typer.Option(help="Type of labels without a header.")] = "uint16",
) -> None:
    """Measure every particle of a label file: one row each, units in the names of columns.

    Images give `particles_2d`, volumes `particles_3d`; docs/data-dictionary.md tells the columns.
    """
    from graindex.arrays import Raw
    from graindex.measuring import measure_file
    from models.measure.particles_3d import MeasureOptions

    raw = None if shape is None else Raw(shape, dtype)
    options = MeasureOptions(
        closing_radius_um=closing_radius_um,
        surface_estimator=surface.value,
        packing_cube_um=packing_cube_um,
        contact_ring_um=contact_ring_um,
        phase_binder=binder_phase,
        collector_side=collector.value,
    )
    with progress_bars():
        measured = measure_file(
            labels,
            spacing_um=_spacing(spacing_um, (1, 2, 3)),
            grey_uri=grey,
            phases_uri=phases,
            raw=raw,
            options=options,
        )
    written = (
        ("particles", measured.particles, output),
        ("contacts", measured.contacts, contacts),
        ("statistics", measured.statistics, statistics),
    )
    for what, rows, target in written:
        if target is None:
            continue
        if rows is None:
            notes.print(f"{what} are of volumes alone: {target} not written")
        else:
            write_table(rows, target)
            notes.print(f"{rows.num_rows} {what} written to {target}")


def _threshold(text: str) -> "Threshold":
    """Method or grey level of `--threshold`.

    Raises:
        BadParameter: it is neither.
    """
    methods: tuple[Literal["otsu", "multi-otsu", "adaptive"], ...] = (
        "otsu",
        "multi-otsu",
        "adaptive",
    )
    for method in methods:
        if text == method:
            return method
    try:
        return float(text)
    except ValueError:
        message = f"{text!r}: give otsu, multi-otsu, adaptive or a grey level"
        raise typer.BadParameter(message, param_hint="--threshold") from None


def _spacing(text: str | None, counts: tuple[int, ...]) -> tuple[float, ...] | None:
    """Numbers of `--spacing-um`.

    Raises:
        BadParameter: they are not numbers above zero, or another count of them.
    """
    if text is None:
        return None
    try:
        values = tuple(float(part) for part in text.replace(",", " ").split())
    except ValueError:
        values = ()
    if len(values) not in counts or not all(0 < value < math.inf for value in values):
        message = f"{text!r}: give µm above zero, as in 0.1 or 0.2,0.1,0.1 (Z,Y,X)"
        raise typer.BadParameter(message, param_hint="--spacing-um")
    return values


def _three(spacing: tuple[float, ...] | None) -> tuple[float, float, float] | None:
    if spacing is None:
        return None
    z, y, x = spacing * 3 if len(spacing) == 1 else spacing
    return z, y, x
