"""Options of `add` that say where the annotations of a collection lie and how they are read.

Out of scope: reading them (`graindex.annotations`).
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

_PANEL = "Annotated images"


class MaskValues(StrEnum):
    """What values of label images are."""

    AUTO = "auto"
    INSTANCES = "instances"
    BINARY = "binary"


MasksOption = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER_OR_JSON",
        help="Annotated particles: a folder of label images named like the images, or one COCO or "
        "VIA file.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
ClassOption = Annotated[
    list[str] | None,
    typer.Option(
        "--class",
        metavar="NAME",
        help="Class that annotations may be of; may be repeated [default: any].",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
MaskValuesOption = Annotated[
    MaskValues,
    typer.Option(
        help="instances: each value of a label image is a particle; binary: each connected piece; "
        "auto refuses what may be either.",
        rich_help_panel=_PANEL,
    ),
]
MaxOverlapOption = Annotated[
    float,
    typer.Option(
        help="Share of the smaller of two particles that their outlines may have in common.",
        min=0,
        max=1,
        rich_help_panel=_PANEL,
    ),
]
AllowEmptyOption = Annotated[
    bool,
    typer.Option(
        "--allow-empty",
        help="Take an empty annotation as an image without particles.",
        rich_help_panel=_PANEL,
    ),
]


def annotation_fields(
    masks: str | None,
    path: str,
    *,
    classes: list[str] | None,
    mask_values: MaskValues,
    max_overlap: float,
    allow_empty: bool,
) -> dict[str, Any]:
    """The options as the recipe keeps them.

    Raises:
        CollectionError: an option is of annotations and there are none, or the label images lie
            among the images, which would be catalogued as images.
    """
    from graindex.annotation_settings import AnnotationSettings
    from graindex.errors import CollectionError

    given = {
        "uri": masks if masks is None or "://" in masks else str(_absolute(masks)),
        "classes": tuple(classes or ()),
        "mask_values": mask_values.value,
        "max_overlap": max_overlap,
        "allow_empty": allow_empty,
    }
    if masks is None and given != AnnotationSettings().model_dump():
        message = (
            "--class, --mask-values, --max-overlap and --allow-empty are of annotations: name them "
            "by --masks"
        )
        raise CollectionError(message)
    if masks and "://" not in masks + path and _absolute(masks).is_dir():
        among = _absolute(masks).is_relative_to(_absolute(path))
        if among or _absolute(path).is_relative_to(_absolute(masks)):
            message = (
                f"label images at {masks} and images at {path} lie in one another, so that each "
                "would be taken for the other: keep them in folders side by side"
            )
            raise CollectionError(message)
    return given


def _absolute(path: str) -> Path:
    return Path(path).expanduser().absolute()
