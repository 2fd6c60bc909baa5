"""Options that several commands share: how volumes are read, particles found and measured.

Out of scope: the commands.
"""

import math
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from models.segment.watershed_options import Threshold


class Method(StrEnum):
    """How particles are found."""

    STAR_CONVEX = "star-convex"
    MASK_RCNN = "mask-rcnn"
    VIEW_FUSION = "view-fusion"
    SLICE_LINKING = "slice-linking"
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


_FINDING = "Finding particles"
_NETWORK = "Finding particles by a network"
_WATERSHED = "Finding particles by watershed"
_MEASURING = "Measuring particles of volumes"

MethodOption = Annotated[
    Method | None,
    typer.Option(
        help="How particles are found: by a trained network mask-rcnn or star-convex in images, "
        "view-fusion or slice-linking in grey volumes, or by watershed [default: mask-rcnn for "
        "images, watershed for volumes and where an option of it is given].",
        show_default=False,
        rich_help_panel=_FINDING,
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        help="Network: one that comes along, a model that graindex train made, or a folder with "
        "one [default: micrographs for mask-rcnn, micrographs-star-convex, sections (of X-ray "
        "tomograms) for view-fusion and slice-linking].",
        show_default=False,
        rich_help_panel=_NETWORK,
    ),
]
DiameterOption = Annotated[
    float | None,
    typer.Option(
        help="Typical diameter of the particles, in pixels [default: estimated in each image].",
        show_default=False,
        rich_help_panel=_NETWORK,
    ),
]
ConfidenceOption = Annotated[
    float | None,
    typer.Option(
        help="Of the least certain particle, 0 to 1: the share of such particles that are right "
        "[default: what the network was tuned to].",
        show_default=False,
        rich_help_panel=_NETWORK,
    ),
]
MinDiameterOption = Annotated[
    float | None,
    typer.Option(
        help="Diameter of the smallest particle sought, in pixels or voxels [default: 12].",
        show_default=False,
        rich_help_panel=_WATERSHED,
    ),
]
ThresholdOption = Annotated[
    str | None,
    typer.Option(
        help="otsu, multi-otsu, adaptive, or a grey level [default: otsu].",
        show_default=False,
        rich_help_panel=_WATERSHED,
    ),
]
PolarityOption = Annotated[
    Polarity | None,
    typer.Option(
        help="Whether particles are brighter or darker than the rest [default: auto, which "
        "decides; bright for volumes of a collection].",
        show_default=False,
        rich_help_panel=_WATERSHED,
    ),
]
MarkersOption = Annotated[
    Markers | None,
    typer.Option(
        help="distance parts at necks, intensity along lines between grains [default: distance].",
        show_default=False,
        rich_help_panel=_WATERSHED,
    ),
]
ClosingPxOption = Annotated[
    float | None,
    typer.Option(
        help="Radius that closes cracks before particles are parted, in pixels or voxels "
        "[default: 0].",
        min=0,
        show_default=False,
        rich_help_panel=_WATERSHED,
    ),
]
NeckOption = Annotated[
    float | None,
    typer.Option(
        help="Particles are parted where the neck between them is thinner than this share of the "
        "thinner one [default: 0.7].",
        min=0.01,
        max=1,
        show_default=False,
        rich_help_panel=_WATERSHED,
    ),
]
PhaseOption = Annotated[
    list[int] | None,
    typer.Option(
        help="Value of a phase volume that is particle; may be repeated.",
        rich_help_panel=_WATERSHED,
    ),
]
ClosingRadiusOption = Annotated[
    float | None,
    typer.Option(
        help="Radius that closes cracks, in µm [default: 10 voxels].",
        min=1e-9,
        rich_help_panel=_MEASURING,
    ),
]
SurfaceOption = Annotated[
    Surface, typer.Option(help="How surfaces are measured.", rich_help_panel=_MEASURING)
]
BinderPhaseOption = Annotated[
    int,
    typer.Option(help="Value of carbon-binder in phase volumes.", rich_help_panel=_MEASURING),
]
CollectorOption = Annotated[
    Side,
    typer.Option(
        help="End of the z axis where the current collector is.", rich_help_panel=_MEASURING
    ),
]
ElectrodeOption = Annotated[
    tuple[float, float] | None,
    typer.Option(
        "--electrode-um",
        metavar="Z Z",
        help="Least and greatest z of the electrode, in µm [default: the whole volume].",
        show_default=False,
        rich_help_panel=_MEASURING,
    ),
]
PackingCubeOption = Annotated[
    float,
    typer.Option(
        help="Side of the cube of the packing density, in µm.",
        min=1e-9,
        rich_help_panel=_MEASURING,
    ),
]
ContactRingOption = Annotated[
    float | None,
    typer.Option(
        help="Width of the ring of contact_fraction_ring, in µm.",
        min=1e-9,
        rich_help_panel=_MEASURING,
    ),
]
SpacingOption = Annotated[
    str | None,
    typer.Option(
        "--spacing-um",
        metavar="Z,Y,X",
        help="Voxel spacing in µm, or one number where it is equal [default: what the file says].",
        show_default=False,
    ),
]


NETWORK_SETTINGS = frozenset({"model", "diameter_px", "confidence"})
"""Of `segmentation_settings`, those that only networks have."""


def segmentation_settings(
    *,
    method: Method | None,
    model: str | None,
    diameter_px: float | None,
    confidence: float | None,
    min_diameter_px: float | None,
    threshold: str | None,
    polarity: Polarity | None,
    markers: Markers | None,
    neck: float | None,
    closing_px: float | None,
    phase: list[int] | None,
) -> dict[str, Any]:
    """What was said on the command line about finding particles, by the names of recipes."""
    said = {
        "method": method and method.value,
        "model": model,
        "diameter_px": diameter_px,
        "confidence": confidence,
        "min_diameter_px": min_diameter_px,
        "threshold": None if threshold is None else parse_threshold(threshold),
        "polarity": polarity and polarity.value,
        "markers": markers and markers.value,
        "neck": neck,
        "closing_px": closing_px,
        "phase_values": tuple(phase) if phase else None,
    }
    return {name: value for name, value in said.items() if value is not None}


def parse_threshold(text: str) -> "Threshold":
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


def parse_spacing_option(
    text: str | None, counts: tuple[int, ...], hint: str = "--spacing-um"
) -> tuple[float, ...] | None:
    """Numbers of an option such as `--spacing-um`.

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
        raise typer.BadParameter(message, param_hint=hint)
    return values


def three(spacing: tuple[float, ...] | None) -> tuple[float, float, float] | None:
    """One number or three as (dz, dy, dx)."""
    if spacing is None:
        return None
    z, y, x = spacing * 3 if len(spacing) == 1 else spacing
    return z, y, x
