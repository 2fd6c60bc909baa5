"""Networks that find particles in images, each loaded once.

Out of scope: where they lie (`graindex.network_files`), training them, and what is done with the
particles (`graindex.image_particles`).
"""

import dataclasses
import functools
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graindex.errors import ModelError
from graindex.files import sha256
from graindex.network_files import SHIPPED, network_cache, network_folder, pinned_network
from graindex.segmentation import (
    MaskRcnnOptions,
    Options,
    SliceLinkingOptions,
    StarConvexOptions,
    ViewFusionOptions,
    method_of,
)
from models.processors import processors
from models.segment.cards import WEIGHTS_NAME, ArtefactKind, Card, read_kind_card
from models.segment.mask_rcnn import card as mask_rcnn
from models.segment.mask_rcnn.config import NetworkConfig as MaskNetworkConfig
from models.segment.mask_rcnn.finding import PredictionOptions as MaskPredictionOptions
from models.segment.star_convex import card as star_convex
from models.segment.star_convex.confidence import Calibration
from models.segment.star_convex.config import NetworkConfig, StarConvexError
from models.segment.star_convex.finding import PredictionOptions
from models.segment.view_fusion.options import CODE_VERSION as VIEW_FUSION_VERSION
from models.segment.view_fusion.options import SLICES_CODE_VERSION as SLICE_LINKING_VERSION
from models.segment.watershed_options import WatershedOptions

if TYPE_CHECKING:
    from graindex.store import Store
    from models.segment.mask_rcnn.detection import Find
    from models.segment.star_convex.tiles import Forward

_LOADING = threading.Lock()
_DECISIVE = ("network", "thresholds", "calibration")
_OF_VOLUMES = "volume_calibration"
_VERSIONS: dict[type, str] = {
    ViewFusionOptions: VIEW_FUSION_VERSION,
    SliceLinkingOptions: SLICE_LINKING_VERSION,
}


@dataclass(frozen=True, slots=True)
class Segmenter:
    """A network ready to run.

    Attributes:
        config: of the network.
        forward: runs it; from many threads at once.
        probability: least of a particle, as tuned on images that it did not learn from.
        overlap: that two particles may share, likewise.
        calibration: what its probability is worth, likewise.
        volumes: the same of particles in volumes, by method; of a method that is not there nothing
            is known.
        card: what it was made from, how good it is, and where not to trust it.
    """

    config: NetworkConfig
    forward: "Forward"
    probability: float
    overlap: float
    calibration: Calibration
    volumes: Mapping[str, Calibration]
    card: dict[str, Any]

    def prediction(self, options: StarConvexOptions) -> PredictionOptions:
        """Options of a collection or command as the network takes them."""
        probability, overlap = self.probability, self.overlap
        if options.confidence is not None:
            probability = float(self.calibration.probability(options.confidence))
        if options.overlap is not None:
            overlap = options.overlap
        return PredictionOptions(
            diameter_px=options.diameter_px,
            probability=probability,
            overlap=overlap,
            refine=options.refine,
        )


@dataclass(frozen=True, slots=True)
class MaskRcnnSegmenter:
    """A Mask R-CNN ready to run; other attributes as those of `Segmenter`.

    Attributes:
        find: runs it on a tile; from many threads at once.
    """

    config: MaskNetworkConfig
    find: "Find"
    probability: float
    overlap: float
    calibration: Calibration

    def prediction(self, options: MaskRcnnOptions) -> MaskPredictionOptions:
        """Options of a collection or command as the network takes them."""
        probability, overlap = self.probability, self.overlap
        if options.confidence is not None:
            probability = float(self.calibration.probability(options.confidence))
        if options.overlap is not None:
            overlap = options.overlap
        return MaskPredictionOptions(
            diameter_px=options.diameter_px, probability=probability, overlap=overlap
        )


@functools.cache
def segmenter_digest(folder: Path, kind: ArtefactKind = star_convex.ARTEFACT) -> str:
    """SHA-256 in hex over a network's weights and what of its card decides what it finds.

    Args:
        folder: of the network.
        kind: that it is of.

    Raises:
        ModelError: its files are damaged, or it is of another kind.
    """
    try:
        card = _card(folder, kind)
        decisive = {key: card[key] for key in _DECISIVE}
        weights = (folder / WEIGHTS_NAME).read_bytes()
    except (StarConvexError, KeyError, OSError) as error:
        raise _damaged(folder, error) from error
    return sha256(weights, json.dumps(decisive, sort_keys=True))


def pinned(options: Options, store: "Store") -> Options:
    """The same options, a model of the store named with its version of now.

    Raises:
        ModelError: the network that they name is not there.
    """
    if isinstance(options, WatershedOptions):
        return options
    return dataclasses.replace(options, model=pinned_network(options.model, store))


def by_network(given: Mapping[str, Any], kind: str, store: "Store | None" = None) -> dict[str, Any]:
    """Name the method of the network that options of images name, where they name no method.

    Args:
        given: options by name, `method` among them or not.
        kind: "micrographs" or "volumes".
        store: whose models may be meant.

    Raises:
        ModelError: the network that the options name is not there.
    """
    named, model = dict(given), given.get("model")
    if kind == "micrographs" and model and named.get("method") is None:
        folder = network_folder(str(model), store)
        for own in (mask_rcnn.ARTEFACT, star_convex.ARTEFACT):
            if _is_of(folder, own):
                named["method"] = own.name
    return named


def method_settings(options: Options, store: "Store | None" = None) -> dict[str, Any]:
    """Everything that decides labels besides pixels and the code of their asset, by name.

    Args:
        options: of the method.
        store: whose models may be meant.

    Raises:
        ModelError: the network that the options name is not there.
    """
    settings = dataclasses.asdict(options)
    if isinstance(options, WatershedOptions):
        return settings
    folder = network_folder(options.model, store)
    settings["model_sha256"] = segmenter_digest(folder, _kind_of(options))
    version = _VERSIONS.get(type(options))
    if version is not None:
        card = _card(folder, star_convex.ARTEFACT)
        settings["calibration"] = card.get(_OF_VOLUMES, {}).get(method_of(options))
        settings["code_version"] = version
    return settings


def load_segmenter(name: str, store: "Store | None" = None, *, concurrency: int = 1) -> Segmenter:
    """A network, by OpenVINO on the processor; converted once for all processes of a user.

    Args:
        name: of the network, as `graindex.network_files.network_folder` takes it.
        store: whose models may be meant.
        concurrency: images that will be looked at side by side; the processors are dealt out among
            them.

    Raises:
        ModelError: there is none of this name, or its files are damaged.
    """
    folder = network_folder(name, store)
    with _LOADING:  # or two threads would compile it
        return _loaded(folder, min(concurrency, processors()))


def load_mask_rcnn(
    name: str, store: "Store | None" = None, *, concurrency: int = 1
) -> MaskRcnnSegmenter:
    """A Mask R-CNN; the rest as `load_segmenter`."""
    folder = network_folder(name, store)
    with _LOADING:
        return _loaded_mask_rcnn(folder, min(concurrency, processors()))


@functools.cache
def _loaded_mask_rcnn(folder: Path, concurrency: int) -> MaskRcnnSegmenter:
    from models.segment.mask_rcnn.detection import finder  # noqa: PLC0415 (see below)
    from models.segment.mask_rcnn.openvino_parts import OpenVinoParts, kept_parts  # noqa: PLC0415

    card = _card(folder, mask_rcnn.ARTEFACT)
    try:
        config = mask_rcnn.config_of(card["network"])
        probability, overlap = card["thresholds"]
        calibration = Calibration(*card["calibration"])
        models = kept_parts(folder, network_cache())
    except (StarConvexError, KeyError, TypeError, ValueError) as error:
        raise _damaged(folder, error) from error
    parts = OpenVinoParts(models, config, processors(), streams=concurrency)
    return MaskRcnnSegmenter(config, finder(parts), probability, overlap, calibration)


@functools.cache
def _loaded(folder: Path, concurrency: int) -> Segmenter:
    # shapes need compiled functions whose import commands without a network need not wait for
    from models.segment.star_convex.openvino_forward import (  # noqa: PLC0415
        compiled_forward,
        kept_model,
    )

    card = _card(folder, star_convex.ARTEFACT)
    try:
        config = star_convex.config_of(card["network"])
        probability, overlap = card["thresholds"]
        calibration = Calibration(*card["calibration"])
        given = card.get(_OF_VOLUMES, {}).items()
        volumes = {method: Calibration(*worth) for method, worth in given}
        model = kept_model(folder, network_cache())
    except (StarConvexError, KeyError, TypeError, ValueError) as error:
        raise _damaged(folder, error) from error
    forward = compiled_forward(model, processors(), streams=concurrency)
    return Segmenter(config, forward, probability, overlap, calibration, volumes, card)


def _kind_of(options: Options) -> ArtefactKind:
    return mask_rcnn.ARTEFACT if isinstance(options, MaskRcnnOptions) else star_convex.ARTEFACT


def _card(folder: Path, kind: ArtefactKind) -> Card:
    """The card of a network of a kind.

    Raises:
        ModelError: it is damaged, or of another kind.
    """
    try:
        return read_kind_card(folder, kind)
    except StarConvexError as error:
        for other in (star_convex.ARTEFACT, mask_rcnn.ARTEFACT):
            if other is not kind and _is_of(folder, other):
                message = f"network {folder.name!r} is {other.title}: give --method {other.name}"
                raise ModelError(message) from error
        raise _damaged(folder, error) from error


def _is_of(folder: Path, kind: ArtefactKind) -> bool:
    try:
        read_kind_card(folder, kind)
    except StarConvexError:
        return False
    return True


def _damaged(folder: Path, error: Exception) -> ModelError:
    again = "install graindex again" if folder.parent == SHIPPED else f"delete {folder}, try again"
    return ModelError(f"network {folder.name!r} is damaged: {error}; {again}")
