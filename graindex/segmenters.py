"""Networks that find particles in images: which there are, and each loaded once.

Out of scope: training them, and what is done with the particles (`graindex.image_particles`).
"""

import dataclasses
import functools
import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platformdirs import user_cache_path

from graindex.errors import ModelError
from graindex.files import sha256
from graindex.segmentation import Options, StarConvexOptions, ViewFusionOptions
from models.processors import processors
from models.segment.star_convex.card import CARD_NAME, WEIGHTS_NAME, config_of, read_card
from models.segment.star_convex.confidence import Calibration
from models.segment.star_convex.config import NetworkConfig, StarConvexError
from models.segment.star_convex.finding import PredictionOptions
from models.segment.view_fusion.options import CODE_VERSION as VIEW_FUSION_VERSION
from models.segment.watershed import WatershedOptions

if TYPE_CHECKING:
    from models.segment.star_convex.tiles import Forward

_SHIPPED = Path(__file__).parent.parent / "models" / "segment" / "weights"
_LOADING = threading.Lock()
_DECISIVE = ("network", "thresholds", "calibration")


@dataclass(frozen=True, slots=True)
class Segmenter:
    """A network ready to run.

    Attributes:
        name: of the network.
        config: of the network.
        forward: runs it; from many threads at once.
        probability: least of a particle, as tuned on images that it did not learn from.
        overlap: that two particles may share, likewise.
        calibration: what its probability is worth, likewise.
        card: what it was made from, how good it is, and where not to trust it.
    """

    name: str
    config: NetworkConfig
    forward: "Forward"
    probability: float
    overlap: float
    calibration: Calibration
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


def segmenter_names() -> list[str]:
    """Names of the networks that come along, sorted."""
    return sorted(folder.name for folder in _SHIPPED.iterdir() if (folder / CARD_NAME).is_file())


@functools.cache
def segmenter_digest(name: str) -> str:
    """SHA-256 in hex over a network's weights and what of its card decides what it finds.

    Raises:
        ModelError: there is none of this name, or its files are damaged.
    """
    folder = _folder(name)
    try:
        card = read_card(folder)
        decisive = {key: card[key] for key in _DECISIVE}
        weights = (folder / WEIGHTS_NAME).read_bytes()
    except (StarConvexError, KeyError, OSError) as error:
        raise _damaged(name, error) from error
    return sha256(weights, json.dumps(decisive, sort_keys=True))


def method_settings(options: Options) -> dict[str, Any]:
    """Everything that decides labels besides pixels and the code of their asset, by name.

    Raises:
        ModelError: the network that the options name is not there.
    """
    settings = dataclasses.asdict(options)
    if isinstance(options, WatershedOptions):
        return settings
    settings["model_sha256"] = segmenter_digest(options.model)
    if isinstance(options, ViewFusionOptions):
        settings["code_version"] = VIEW_FUSION_VERSION
    return settings


def load_segmenter(name: str, *, concurrency: int = 1) -> Segmenter:
    """A network, by OpenVINO on the processor; converted once for all processes of a user.

    Args:
        name: of the network.
        concurrency: images that will be looked at side by side; the processors are dealt out among
            them.

    Raises:
        ModelError: there is none of this name, or its files are damaged.
    """
    with _LOADING:  # or two threads would compile it
        return _loaded(name, min(concurrency, processors()))


@functools.cache
def _loaded(name: str, concurrency: int) -> Segmenter:
    # shapes need compiled functions whose import commands without a network need not wait for
    from models.segment.star_convex.openvino_forward import (  # noqa: PLC0415
        compiled_forward,
        kept_model,
    )

    folder = _folder(name)
    try:
        card = read_card(folder)
        config = config_of(card["network"])
        probability, overlap = card["thresholds"]
        calibration = Calibration(*card["calibration"])
        model = kept_model(folder, user_cache_path("graindex") / "networks")
    except (StarConvexError, KeyError, TypeError, ValueError) as error:
        raise _damaged(name, error) from error
    forward = compiled_forward(model, processors(), streams=concurrency)
    return Segmenter(name, config, forward, probability, overlap, calibration, card)


def _damaged(name: str, error: Exception) -> ModelError:
    return ModelError(f"network {name!r} is damaged: {error}; install graindex again")


def _folder(name: str) -> Path:
    names = segmenter_names()
    if name not in names:
        message = f"no network is called {name!r}: there is {', '.join(names)}"
        raise ModelError(message)
    return _SHIPPED / name
