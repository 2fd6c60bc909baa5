"""How the volumes of a collection get their labels, and the hashes of what decides them.

Out of scope: making labels (`graindex.volume_labels`).
"""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from graindex.files import sha256
from graindex.recipes import Recipe, settings_json
from graindex.segmentation import Options, method_of, phase_values
from graindex.segmenters import method_settings, pinned
from graindex.stored_volumes import Triple, spacing_of
from models.measure.arrays import InvalidVolumeError
from models.measure.calibration import spacing_ratios
from models.segment.watershed_options import CODE_VERSION, WatershedOptions

if TYPE_CHECKING:
    from graindex.store import Store

LABELS_CODE_VERSION = f"1+watershed.{CODE_VERSION}"


@dataclass(frozen=True, slots=True)
class LabelPlan:
    """How one volume gets its labels.

    Attributes:
        volume_id: of the volume.
        source: what of it says where particles are.
        source_hash: key of those voxels.
        options: of the method; None for given labels.
        settings: value of `segmentation_settings`: all that decides the labels besides voxels.
        spacing_um: (dz, dy, dx).
    """

    volume_id: str
    source: Literal["grey", "phases", "labels"]
    source_hash: str
    options: Options | None
    settings: str
    spacing_um: Triple

    @property
    def ratios(self) -> Triple:
        """Spacing in units of the z voxel: lengths of both methods are in voxels."""
        return spacing_ratios(self.spacing_um)

    @property
    def found_in(self) -> str:
        """Hash over all that decides the labels."""
        return sha256(self.source_hash, self.method, self.settings, *map(str, self.ratios))

    @property
    def input_hash(self) -> str:
        """Hash over all that decides the row: the labels, and the scale bar in their picture."""
        return sha256(self.found_in, *map(str, self.spacing_um))

    @property
    def labels(self) -> tuple[str, str, str]:
        """What tells its labels: volume, label volume, code."""
        return self.volume_id, self.label_volume, LABELS_CODE_VERSION

    @property
    def key(self) -> tuple[str, str]:
        """What tells its row: volume and input."""
        return self.volume_id, self.input_hash

    @property
    def method(self) -> str:
        """Value of `segmentation_method`."""
        return "given" if self.options is None else method_of(self.options)

    @property
    def label_volume(self) -> str:
        """Key of the label volume: of given labels their own."""
        if self.options is None:
            return self.source_hash
        return sha256(self.found_in, LABELS_CODE_VERSION)


def plan_labels(store: "Store", volume: Mapping[str, Any], recipe: Recipe) -> LabelPlan:
    """Choose given labels before phases of known meaning before grey values.

    Raises:
        InvalidVolumeError: there are phases alone, and nothing says which are particles.
        ModelError: the network that the recipe names is not there.
    """
    options = recipe.segmentation
    source: Literal["grey", "phases", "labels"]
    chosen: Options | None
    if volume["labels_hash"]:
        source, chosen = "labels", None
    elif volume["phases_hash"] and phase_values(options) is not None:
        source, chosen = "phases", options
    elif volume["grey_hash"]:
        source, chosen = "grey", _of_grey(pinned(options, store))
    else:
        raise InvalidVolumeError(
            "phases without grey values, and no phase is said to be particles: name it (--phase)"
        )
    content = volume[f"{source}_hash"]
    settings = "{}" if chosen is None else settings_json(method_settings(chosen, store))
    return LabelPlan(volume["volume_id"], source, content, chosen, settings, spacing_of(volume))


def _of_grey(options: Options) -> Options:
    if isinstance(options, WatershedOptions):
        return dataclasses.replace(options, phase_values=None)
    return options


def label_plans(store: "Store", recipe: Recipe) -> Iterator[LabelPlan]:
    """How the volumes of a collection get theirs, without those that cannot."""
    for volume in store.lake.read("volumes", recipe.dataset).to_pylist():
        try:
            yield plan_labels(store, volume, recipe)
        except InvalidVolumeError:
            continue
