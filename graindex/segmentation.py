"""How particles are found: a method and its options, as recipes, rows and commands say it.

Out of scope: finding them (`graindex.label_images`, `graindex.volume_segmentation`), networks
(`graindex.segmenters`).
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Discriminator, Tag

from models.segment.mask_rcnn.finding import PredictionOptions as MaskPredictionOptions
from models.segment.star_convex.confidence import Calibration
from models.segment.star_convex.config import StarConvexError
from models.segment.star_convex.finding import PredictionOptions
from models.segment.view_fusion.options import FusionOptions, SliceOptions
from models.segment.watershed_options import WatershedOptions

Method = Literal["mask-rcnn", "star-convex", "view-fusion", "slice-linking", "watershed"]
METHODS: tuple[Method, ...] = get_args(Method)

MICROGRAPHS, MICROGRAPHS_STAR_CONVEX = "micrographs", "micrographs-star-convex"
"""The networks that come along for micrographs, a Mask R-CNN and a star-convex network."""

SECTIONS = "sections"
"""The network that comes along for sections of X-ray tomograms."""


@dataclass(frozen=True, slots=True)
class StarConvexOptions:
    """Particles of images, found by a star-convex network.

    Attributes:
        model: name of the network.
        diameter_px: typical diameter of the particles; None: estimated in each image.
        confidence: of the least certain particle, 0…1; None: what the network was tuned to.
        overlap: area of the intersection over the smaller area that two particles may share;
            None: what the network was tuned to.
        refine: whether outlines are corrected by grey levels.
    """

    model: str = MICROGRAPHS_STAR_CONVEX
    diameter_px: float | None = None
    confidence: float | None = None
    overlap: float | None = None
    refine: bool = False

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.confidence is not None and not 0 < self.confidence < 1:
            raise StarConvexError(f"confidence is {self.confidence}: take a share, 0…1")
        PredictionOptions(diameter_px=self.diameter_px, overlap=self.overlap or 0.0)


@dataclass(frozen=True, slots=True)
class MaskRcnnOptions:
    """Particles of images, found by a Mask R-CNN.

    Attributes:
        model: name of the network.
        diameter_px: typical diameter of the particles; None: estimated in each image.
        confidence: of the least certain particle, 0…1; None: what the network was tuned to.
        overlap: share of a particle's pixels that surer ones may have taken; None: what the network
            was tuned to.
    """

    model: str = MICROGRAPHS
    diameter_px: float | None = None
    confidence: float | None = None
    overlap: float | None = None

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.confidence is not None and not 0 < self.confidence < 1:
            raise StarConvexError(f"confidence is {self.confidence}: take a share, 0…1")
        MaskPredictionOptions(diameter_px=self.diameter_px, overlap=self.overlap or 0.0)


@dataclass(frozen=True, slots=True)
class ViewFusionOptions:
    """Particles of grey volumes, found in sections in three directions by a star-convex network.

    Attributes:
        model: name of the network.
        diameter_px: typical diameter of the particles in sections; None: estimated.
        confidence: of the least certain particle, 0…1; None: 0.4 of `VolumeSegmentation`'s, before
            calibration, which counts as well where the network has none.
    """

    model: str = SECTIONS
    diameter_px: float | None = None
    confidence: float | None = None

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        self.fusion()

    def fusion(self, calibration: Calibration | None = None) -> FusionOptions:
        """The same as the method takes them.

        Args:
            calibration: of the method's confidences, if there is one.

        Raises:
            StarConvexError: a value has no meaning.
        """
        usual = FusionOptions(diameter_px=self.diameter_px)
        if self.confidence is None:
            return usual
        return dataclasses.replace(usual, confidence=_before(calibration, self.confidence))


@dataclass(frozen=True, slots=True)
class SliceLinkingOptions:
    """Particles of grey volumes, found in slices by a star-convex network and linked across them.

    Attributes:
        model: name of the network.
        diameter_px: typical diameter of the particles in slices; None: estimated.
        confidence: of the least certain particle, 0…1; None: that of `SliceOptions`, before
            calibration, which counts as well where the network has none.
    """

    model: str = SECTIONS
    diameter_px: float | None = None
    confidence: float | None = None

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        self.linking()

    def linking(self, calibration: Calibration | None = None) -> SliceOptions:
        """The same as the method takes them.

        Args:
            calibration: of the method's confidences, if there is one.

        Raises:
            StarConvexError: a value has no meaning.
        """
        usual = SliceOptions(diameter_px=self.diameter_px)
        if self.confidence is None:
            return usual
        if not 0 <= self.confidence <= 1:
            raise StarConvexError(f"confidence is {self.confidence}: take a share, 0…1")
        least = _before(calibration, self.confidence)
        return dataclasses.replace(usual, links=dataclasses.replace(usual.links, confidence=least))


def _before(calibration: Calibration | None, confidence: float) -> float:
    """What a method calls a confidence."""
    return confidence if calibration is None else float(calibration.probability(confidence))


Options = (
    WatershedOptions | StarConvexOptions | MaskRcnnOptions | ViewFusionOptions | SliceLinkingOptions
)

_CLASSES: dict[Method, type[Options]] = {
    "star-convex": StarConvexOptions,
    "mask-rcnn": MaskRcnnOptions,
    "view-fusion": ViewFusionOptions,
    "slice-linking": SliceLinkingOptions,
    "watershed": WatershedOptions,
}
_OF_KIND: dict[str, tuple[Method, ...]] = {
    "micrographs": ("mask-rcnn", "star-convex", "watershed"),
    "volumes": ("watershed", "view-fusion", "slice-linking"),
}


def method_of(options: Options) -> Method:
    """Name of the method that options belong to."""
    return next(method for method, kind in _CLASSES.items() if isinstance(options, kind))


def with_method(given: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Name the method of options: what they say, else what they belong to, else the default.

    Args:
        given: options by name, `method` among them or not.
        kind: "micrographs" or "volumes"; the first method that fits is the default.

    Raises:
        ValueError: a method or an option that is unknown, or does not go with the other; one line.
    """
    method, names = given.get("method"), sorted(set(given) - {"method"})
    fitting = _OF_KIND[kind]
    if method is None:
        able = [name for name in fitting if not _foreign(names, name)]
        method = able[0] if able else fitting[0]
    if method not in fitting:
        message = f"method {method!r} does not find particles of {kind}: {' or '.join(fitting)}"
        raise ValueError(message)
    foreign = _foreign(names, method)
    if foreign:
        raise ValueError(_complaint(foreign[0], method))
    return {**given, "method": method}


def make_options(given: Mapping[str, Any], kind: str) -> Options:
    """Options of the method that they name or belong to (see `with_method`).

    Raises:
        ValueError: as `with_method`, or a value that has no meaning; one line.
    """
    named = with_method(given, kind)
    return _CLASSES[named.pop("method")](**named)


def default_options(kind: str) -> Options:
    """What finds the particles of a collection of which nothing else is said."""
    return make_options({}, kind)


def settings_record(options: Options) -> dict[str, Any]:
    """Options by name, the method first."""
    return {"method": method_of(options), **dataclasses.asdict(options)}


def differing_settings(options: Options) -> dict[str, Any]:
    """The method, and what differs from its defaults."""
    record = settings_record(options)
    usual = settings_record(type(options)())
    return {
        name: value for name, value in record.items() if name == "method" or value != usual[name]
    }


def phase_values(options: Options) -> tuple[int, ...] | None:
    """Values of a phase volume that are particle; None where no phase was named."""
    return options.phase_values if isinstance(options, WatershedOptions) else None


def _tag(value: Any) -> str:
    return str(value["method"]) if isinstance(value, Mapping) else method_of(value)


def _without_method(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {name: given for name, given in value.items() if name != "method"}


TaggedOptions = Annotated[
    Annotated[WatershedOptions, BeforeValidator(_without_method), Tag("watershed")]
    | Annotated[StarConvexOptions, BeforeValidator(_without_method), Tag("star-convex")]
    | Annotated[MaskRcnnOptions, BeforeValidator(_without_method), Tag("mask-rcnn")]
    | Annotated[ViewFusionOptions, BeforeValidator(_without_method), Tag("view-fusion")]
    | Annotated[SliceLinkingOptions, BeforeValidator(_without_method), Tag("slice-linking")],
    Discriminator(_tag),
]
"""Options for Pydantic, from mappings that name their method."""


def _foreign(names: list[str], method: Method) -> list[str]:
    known = {field.name for field in dataclasses.fields(_CLASSES[method])}
    return [name for name in names if name not in known]


def _complaint(name: str, method: Method) -> str:
    owners = [other for other in METHODS if not _foreign([name], other)]
    if owners:
        return f"{name} is an option of {owners[0]}, not of {method}"
    known = sorted(field.name for field in dataclasses.fields(_CLASSES[method]))
    return f"{name!r} is unknown; {method} has {', '.join(known)}"
