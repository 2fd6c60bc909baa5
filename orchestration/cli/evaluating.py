"""The command evaluate: how good a segmentation is, against labels drawn by hand.

Out of scope: the measures and the files.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.cli.output import Format, FormatOption, emit, notes, progress_bars

if TYPE_CHECKING:
    from graindex.evaluating import Evaluated

_TABLE = (
    "image",
    "true_particles",
    "predicted_particles",
    "precision_50",
    "recall_50",
    "f1_50",
    "mean_matched_iou_50",
    "f1_75",
    "average_precision",
    "d50_error",
)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(evaluate)


def evaluate(
    predicted: Annotated[str, typer.Argument(help="Label file of a segmentation, or a folder.")],
    truth: Annotated[str, typer.Argument(help="True labels: file or folder of the same names.")],
    image: Annotated[
        str | None,
        typer.Option(help="Image or folder of images to draw over.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Folder for JSON, CSV and pictures of the best, median and worst image.",
            show_default=False,
        ),
    ] = None,
    per_image: Annotated[
        bool, typer.Option("--per-image", help="Print a row for each image as well.")
    ] = False,
    volumes: Annotated[
        bool, typer.Option("--volumes", help="Take folders as slices of one volume.")
    ] = False,
    how: FormatOption = Format.TABLE,
) -> None:
    """Compare predicted particles with true ones, by overlap, by pixel and by size.

    docs/how-to/evaluate-a-segmentation.md tells what the columns mean.
    """
    from graindex.evaluating import evaluate_files, write_report

    if image is not None and output is None:
        message = "pictures need a folder to be written to: give -o FOLDER as well"
        raise typer.BadParameter(message, param_hint="--image")
    with progress_bars():
        evaluated = evaluate_files(predicted, truth, images=image, volumes=volumes)
    written = write_report(evaluated, output) if output is not None else []
    _print(evaluated, how, per_image=per_image)
    for file in written:
        notes.print(f"{file} written")
    if written:
        notes.print("in the pictures truth is green, prediction pink, and what both outline yellow")


def _print(evaluated: Sequence["Evaluated"], how: Format, *, per_image: bool) -> None:
    from models.measure.matching_pixels import PIXEL_MEASURES
    from models.measure.matching_summary import image_row, pooled_row

    pooled = pooled_row([one.evaluation for one in evaluated])
    rows: list[dict[str, object]] = [{"image": "all", **pooled}]
    if per_image:
        rows += [{"image": one.pair.name, **image_row(one.evaluation)} for one in evaluated]
    if how is not Format.TABLE:
        emit(rows, how, list(dict.fromkeys(column for row in rows for column in row)))
        return
    judged = int(pooled["d50_images"])
    emit(rows, how, _TABLE, f"{len(evaluated)} compared, particles matched by overlap")
    measures = [
        {
            "by pixel": name,
            "mean": pooled[f"pixel_{name}"],
            "sd over images": pooled[f"pixel_{name}_std"] if len(evaluated) > 1 else None,
        }
        for name in PIXEL_MEASURES
    ]
    emit(measures, how, ("by pixel", "mean", "sd over images"))
    if judged == 0:
        return  # too few particles anywhere for a median
    sizes = [
        {
            "median diameter": weight,
            "median error": pooled[f"{name}_abs_error_median"],
            "share within 10 %": pooled[f"{name}_within_10_percent"],
        }
        for weight, name in (("by number", "d50"), ("by area or volume", "d50_area"))
    ]
    title = f"sizes in the {judged} with ten true particles or more"
    emit(sizes, how, ("median diameter", "median error", "share within 10 %"), title)
