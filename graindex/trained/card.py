"""The card of a model: all that is needed to use it, and to know what it saw and how good it is.

Out of scope: collecting what it says (`graindex.trained.describe`).
"""

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from graindex.entities import EntityKind
from graindex.errors import ModelError
from graindex.settings import first_problem

FORMAT: Literal[1] = 1


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MethodCard(_Part):
    """How the model learned.

    Attributes:
        name: of the method.
        code_version: of its code.
        parameters: all of them.
        chosen: what the training chose among them.
    """

    name: str
    code_version: str
    parameters: dict[str, Any]
    chosen: dict[str, float | str]


class LabelCard(_Part):
    """What the model predicts.

    Attributes:
        name: of the label.
        unit: of the label; None where none is known.
        transform: of the label before it was learned.
        classes: names of the classes; empty where the label is a number.
        least: smallest label of the training, transformed; None for classes.
        greatest: largest one.
    """

    name: str
    unit: str | None = None
    transform: Literal["log10"] | None = None
    classes: tuple[str, ...] = ()
    least: float | None = None
    greatest: float | None = None


class FeaturesCard(_Part):
    """What the model looks at.

    Attributes:
        reference: feature set and version.
        entity: what a row is of.
        definitions: definitions of the feature set and of all that it includes, by reference; its
            own first.
        columns: names of the raw features, in order.
        fitted: normalisation and selection as fitted.
        ranges: least and greatest number of each feature that is told of specimens, over the rows
            that the weights were fitted on; none in cards that are older than this.
    """

    reference: str
    entity: EntityKind
    definitions: dict[str, dict[str, Any]]
    columns: tuple[str, ...]
    fitted: dict[str, Any]
    ranges: dict[str, tuple[float, float]] = {}


class EncoderCard(_Part):
    """Encoder of the vectors.

    Attributes:
        encoder_id: identity of the vector space.
        backbone: its network.
        weights: checkpoint file; None for those that come with the network.
        precision: of the arithmetic.
        pooling: how feature maps become one vector.
        mirrored: whether vectors are means over mirror images.
        equalise: what is done to contrast first.
        crops: in how many parts along each axis images are seen.
    """

    encoder_id: str
    backbone: str
    weights: str | None
    precision: Literal["float32", "bfloat16"]
    pooling: Literal["avg", "depths"] = "avg"
    mirrored: bool = False
    equalise: Literal["none", "clahe"] = "none"
    crops: int = 1


class PixelSizeCard(_Part):
    """Pixel sizes of the training images.

    Attributes:
        least_um: the smallest; None where no image was calibrated.
        greatest_um: the largest.
        calibrated: images with a pixel size.
        uncalibrated: images without.
        tolerance: how far beyond an image may lie, as a share.
        without: whether an image without a pixel size is taken.
    """

    least_um: float | None
    greatest_um: float | None
    calibrated: int
    uncalibrated: int
    tolerance: float
    without: Literal["refuse", "accept"]


class TrainingSetCard(_Part):
    """What the model was trained on.

    Attributes:
        training_set_id: key of the training set.
        fingerprint: SHA-256 over its rows.
        lake_snapshot: snapshot that it was read at.
        rows: rows of the whole set.
        trained_rows: rows that the weights were fitted on.
        groups: groups of rows that the split keeps together.
        request: what was asked for.
    """

    training_set_id: str
    fingerprint: str
    lake_snapshot: int
    rows: int
    trained_rows: int
    groups: int
    request: dict[str, Any]


class MetricCard(_Part):
    """One metric; the ends of its interval are None where it has none."""

    evaluation: Literal["cross-validation", "test", "train"]
    part: str
    metric: str
    value: float | None
    lower: float | None
    upper: float | None
    unit: str
    rows: int


class DataCard(_Part):
    """A collection that the training rows are of."""

    dataset: str
    licence: str | None
    citation: str | None
    source: str | None


class Card(_Part):
    """Everything that a model says of itself.

    Attributes:
        format: version of this form.
        model: its name.
        version: its version, from 1.
        description: for people.
        method: how it learned.
        label: what it predicts.
        features: what it looks at.
        encoder: of the vectors; None where it uses none.
        pixel_size: which images it takes; None where a row is no image.
        training_set: what it was trained on.
        seed: of every draw.
        metrics: how good it is.
        interval: what the intervals are.
        warnings: what a person should know first.
        notes: what else there is to say of labels and split.
        limits: where the model does not hold.
        data: licences and citations of what it was trained on.
        code_versions: of the programs that made it.
        weights_sha256: SHA-256 of the weights file.
        input_hash: SHA-256 over everything that decides the model.
        network: what a network that finds particles needs beside its weights; None of others.
    """

    format: Literal[1] = FORMAT
    model: str
    version: int = Field(ge=1)
    description: str = ""
    method: MethodCard
    label: LabelCard
    features: FeaturesCard
    encoder: EncoderCard | None
    pixel_size: PixelSizeCard | None
    training_set: TrainingSetCard
    seed: int
    metrics: tuple[MetricCard, ...]
    interval: str
    warnings: tuple[str, ...]
    notes: tuple[str, ...] = ()
    limits: tuple[str, ...]
    data: tuple[DataCard, ...]
    code_versions: dict[str, str]
    weights_sha256: str
    input_hash: str
    network: dict[str, Any] | None = None

    @property
    def reference(self) -> str:
        """Name and version, as `name@2`."""
        return f"{self.model}@{self.version}"

    def text(self) -> str:
        """The card as JSON, the same text for equal cards."""
        content = self.model_dump(
            mode="json", exclude={"network"} if self.network is None else None
        )
        return json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def parse_card(data: bytes, origin: str) -> Card:
    """A card from its JSON.

    Args:
        data: bytes of the file.
        origin: where it comes from, for errors.

    Raises:
        ModelError: it is no card, or one of another format.
    """
    try:
        content = json.loads(data)
    except ValueError as error:
        message = f"{origin} is no JSON, so that it is no card of a model: export the model again"
        raise ModelError(message) from error
    if isinstance(content, dict) and content.get("format", FORMAT) != FORMAT:
        message = (
            f"{origin} is a card of format {content['format']!r}; this graindex reads {FORMAT}: "
            "use the version that wrote it"
        )
        raise ModelError(message)
    try:
        return Card.model_validate(content)
    except ValidationError as error:
        raise ModelError(f"{origin} is no card of a model: {first_problem(error)}") from error
