"""Commands on files: segment and measure.

Out of scope: particles of a store's images and volumes.
"""

from pathlib import Path
from typing import Annotated

import typer

from orchestration.cli.options import (
    BinderPhaseOption,
    ClosingPxOption,
    ClosingRadiusOption,
    CollectorOption,
    ConfidenceOption,
    ContactRingOption,
    DiameterOption,
    ElectrodeOption,
    MarkersOption,
    MethodOption,
    MinDiameterOption,
    ModelOption,
    NeckOption,
    PackingCubeOption,
    PhaseOption,
    PolarityOption,
    Side,
    SpacingOption,
    Surface,
    SurfaceOption,
    ThresholdOption,
    parse_spacing_option,
    segmentation_settings,
    three,
)
from orchestration.cli.output import HomeOption, notes, progress_bars, write_table


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(segment)
    app.command()(measure)


def segment(
    source: Annotated[
        str, typer.Argument(help="Micrograph, TIFF stack, folder of slices, Zarr, HDF5 or MRC.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Label TIFF to write.")],
    method: MethodOption = None,
    model: ModelOption = None,
    diameter_px: DiameterOption = None,
    confidence: ConfidenceOption = None,
    min_diameter_px: MinDiameterOption = None,
    threshold: ThresholdOption = None,
    polarity: PolarityOption = None,
    markers: MarkersOption = None,
    neck: NeckOption = None,
    closing_px: ClosingPxOption = None,
    phase: PhaseOption = None,
    overlay: Annotated[
        Path | None,
        typer.Option(help="PNG to write as well: the particles over the image or three sections."),
    ] = None,
    spacing_um: SpacingOption = None,
    home: HomeOption = None,
) -> None:
    """Find particles and write them as labels, 0 for the background.

    The databar of a micrograph is left out.
    """
    from graindex.network_files import stands_alone
    from graindex.segmenting import segment_file

    settings = segmentation_settings(
        method=method,
        model=model,
        diameter_px=diameter_px,
        confidence=confidence,
        min_diameter_px=min_diameter_px,
        threshold=threshold,
        polarity=polarity,
        markers=markers,
        neck=neck,
        closing_px=closing_px,
        phase=phase,
    )
    spacing = parse_spacing_option(spacing_um, (1, 3))
    store = None
    if model is not None and (home is not None or not stands_alone(model)):
        from graindex.store import open_store

        store = open_store(home)
    with progress_bars():
        count = segment_file(
            source,
            output,
            spacing_um=three(spacing),
            settings=settings,
            overlay=overlay,
            store=store,
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
    closing_radius_um: ClosingRadiusOption = None,
    surface: SurfaceOption = Surface.CROFTON,
    binder_phase: BinderPhaseOption = 2,
    collector: CollectorOption = Side.LOW,
    electrode_um: ElectrodeOption = None,
    packing_cube_um: PackingCubeOption = 100.0,
    contact_ring_um: ContactRingOption = None,
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
        electrode_extent_um=electrode_um,
    )
    with progress_bars():
        measured = measure_file(
            labels,
            spacing_um=parse_spacing_option(spacing_um, (1, 2, 3)),
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
