"""The command `add`: registers a collection of micrographs or volumes.

Out of scope: looking at what lies there (`graindex.registration`).
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from orchestration.cli.annotation_options import (
    AllowEmptyOption,
    ClassOption,
    MasksOption,
    MaskValues,
    MaskValuesOption,
    MaxOverlapOption,
    annotation_fields,
)
from orchestration.cli.detachment import GroupByOption, SizeClassesOption
from orchestration.cli.options import (
    NETWORK_SETTINGS,
    BinderPhaseOption,
    ClosingPxOption,
    ClosingRadiusOption,
    CollectorOption,
    ConfidenceOption,
    ContactRingOption,
    DiameterOption,
    ElectrodeOption,
    MarkersOption,
    Method,
    MethodOption,
    MinDiameterOption,
    ModelOption,
    NeckOption,
    PackingCubeOption,
    PhaseOption,
    PolarityOption,
    Side,
    ThresholdOption,
    parse_spacing_option,
    segmentation_settings,
    three,
)
from orchestration.cli.output import HomeOption, notes

_VOLUMES = "Reading volumes"


class KindChoice(StrEnum):
    """What a collection holds."""

    MICROGRAPHS = "micrographs"
    VOLUMES = "volumes"


class ContentChoice(StrEnum):
    """What a file of a volume holds."""

    GREY = "grey"
    PHASES = "phases"
    LABELS = "labels"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(add)


def add(
    path: Annotated[
        str, typer.Argument(help="Folder, file, or URL of a bucket prefix, with images or volumes.")
    ],
    dataset: Annotated[str, typer.Option(help="Name of the collection.")],
    kind: Annotated[KindChoice, typer.Option(help="What lies there.")] = KindChoice.MICROGRAPHS,
    label_pattern: Annotated[
        str | None,
        typer.Option(
            help="Regular expression; its named groups label each path below PATH. "
            "A group `sample` names the specimen."
        ),
    ] = None,
    samples: Annotated[
        str | None,
        typer.Option(help="CSV joined by `path`, `file` or `image`, or by `sample`."),
    ] = None,
    pixel_size_um: Annotated[
        float | None, typer.Option(help="Pixel size of every image, in µm.")
    ] = None,
    voxel_size_um: Annotated[
        str | None,
        typer.Option(
            metavar="Z,Y,X",
            help="Voxel size of every volume, in µm, or one number where it is equal "
            "[default: what the files say].",
            show_default=False,
        ),
    ] = None,
    modality: Annotated[
        str | None,
        typer.Option(
            help="SEM, TEM, optical or X-ray [default: SEM for images, X-ray for volumes].",
            show_default=False,
        ),
    ] = None,
    copy: Annotated[bool, typer.Option("--copy", help="Copy the originals into the home.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Move a registered collection to another PATH.")
    ] = False,
    description: Annotated[str | None, typer.Option(help="What the collection is.")] = None,
    source: Annotated[str | None, typer.Option(help="Where it comes from.")] = None,
    licence: Annotated[str | None, typer.Option(help="Terms of use.")] = None,
    citation: Annotated[str | None, typer.Option(help="How to cite it.")] = None,
    content: Annotated[
        ContentChoice,
        typer.Option(
            help="What files of volumes hold whose name does not end in grey, phases or labels.",
            rich_help_panel=_VOLUMES,
        ),
    ] = ContentChoice.GREY,
    shape: Annotated[
        tuple[int, int, int] | None,
        typer.Option(
            metavar="Z Y X",
            help="Voxels of files without a header.",
            show_default=False,
            rich_help_panel=_VOLUMES,
        ),
    ] = None,
    dtype: Annotated[
        str, typer.Option(help="Type of files without a header.", rich_help_panel=_VOLUMES)
    ] = "uint16",
    masks: MasksOption = None,
    class_: ClassOption = None,
    mask_values: MaskValuesOption = MaskValues.AUTO,
    max_overlap: MaxOverlapOption = 0.1,
    allow_empty: AllowEmptyOption = False,
    dataset_path: Annotated[
        str | None,
        typer.Option(
            help="Dataset of HDF5 files, or array of Zarr, with several.", rich_help_panel=_VOLUMES
        ),
    ] = None,
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
    closing_radius_um: ClosingRadiusOption = None,
    binder_phase: BinderPhaseOption = 2,
    collector: CollectorOption = Side.LOW,
    electrode_um: ElectrodeOption = None,
    packing_cube_um: PackingCubeOption = 100.0,
    contact_ring_um: ContactRingOption = None,
    group_by: GroupByOption = None,
    size_classes: SizeClassesOption = 3,
    home: HomeOption = None,
) -> None:
    """Register a collection of micrographs or volumes; no voxel or pixel is read.

    Registering the same PATH again updates everything that the options say.
    """
    from graindex.annotation_sources import survey
    from graindex.registration import register_collection
    from graindex.store import open_store

    volumes = kind is KindChoice.VOLUMES
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
    if volumes and method in (None, Method.WATERSHED) and not settings.keys() & NETWORK_SETTINGS:
        settings.setdefault("polarity", "bright")
    annotations = annotation_fields(
        masks,
        path,
        classes=class_,
        mask_values=mask_values,
        max_overlap=max_overlap,
        allow_empty=allow_empty,
    )
    store = open_store(home)
    annotated = survey(annotations, path)
    registered = register_collection(
        store,
        path,
        copy=copy,
        force=force,
        dataset=dataset,
        kind=kind.value,
        label_pattern=label_pattern,
        samples_uri=str(Path(samples).absolute()) if samples and "://" not in samples else samples,
        declared_pixel_size_um=pixel_size_um,
        declared_voxel_size_um=three(
            parse_spacing_option(voxel_size_um, (1, 3), "--voxel-size-um")
        ),
        modality=modality or ("X-ray" if volumes else "SEM"),
        description=description,
        source=source,
        licence=licence,
        citation=citation,
        annotations=annotations,
        volumes={
            "content": content.value,
            "shape": shape,
            "dtype": dtype,
            "dataset_path": dataset_path,
        },
        segmentation=settings,
        measurement={
            "closing_radius_um": closing_radius_um,
            "phase_binder": binder_phase,
            "collector_side": collector.value,
            "electrode_extent_um": electrode_um,
            "packing_cube_um": packing_cube_um,
            "contact_ring_um": contact_ring_um,
        },
        detachment={"group_by": group_by, "size_classes": size_classes},
    )
    for line in (*registered.lines(), *annotated):
        notes.print(line)
    notes.print(f"next: graindex materialize --dataset {dataset}")
