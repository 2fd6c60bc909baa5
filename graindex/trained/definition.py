"""What a model is to be, as YAML in the home under `models/`: method, features, label, split.

Out of scope: training (`graindex.trained.train`).
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import fsspec
import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from graindex.errors import GraindexError, ModelError
from graindex.files import sha256
from graindex.location import Location
from graindex.settings import first_problem
from graindex.trained.explain_request import ExplainRequest
from graindex.trained.methods import METHODS, all_parameters, learner_of
from graindex.training.annotated import ANNOTATED_IMAGES, ANNOTATIONS
from graindex.training.labels import LabelRequest
from graindex.training.plain_images import PLAIN_IMAGES
from graindex.training.request import TrainingSetRequest
from graindex.training.splits import SplitRequest
from schemas.fields import FIELDS

FOLDER = "models"


class PixelSizeRule(BaseModel):
    """Which images a model may be asked about, by their pixel size.

    Attributes:
        tolerance: how far beyond the pixel sizes of its training images, as a share of them.
        uncalibrated: whether a model of calibrated images takes one without a pixel size.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tolerance: float = Field(default=0.1, ge=0, allow_inf_nan=False)
    uncalibrated: Literal["refuse", "accept"] = "refuse"


class ModelDefinition(BaseModel):
    """A model as it is declared.

    Attributes:
        name: its name, small letters, digits and underscores.
        method: how it learns, see `graindex.trained.methods`.
        feature_set: features, ``name`` for the newest version or ``name@version``. A network that
            finds particles looks at annotated images: leave it and the label out. A network that
            looks at images takes one for architecture descriptors alone.
        label: what is learned; a name stands for a request with the defaults.
        datasets: only entities of these collections; of all when empty.
        where: SQL condition over the columns of the entities' catalog.
        split: which rows train and which test.
        seed: of every draw.
        parameters: of the method.
        unit: of the label, where its name does not end in one.
        pixel_size: which images it may be asked about.
        explain: what is found out about its drivers.
        limits: sentences on where the model does not hold, for its card.
        description: for people; no part of what makes two definitions equal.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, StringConstraints(pattern=FIELDS["model"].pattern)]
    method: str
    feature_set: str
    label: LabelRequest
    datasets: tuple[str, ...] = ()
    where: str | None = None
    split: SplitRequest = SplitRequest()
    seed: int = Field(default=0, ge=0)
    parameters: dict[str, Any] = Field(default_factory=dict)
    unit: str | None = None
    pixel_size: PixelSizeRule = PixelSizeRule()
    explain: ExplainRequest = ExplainRequest()
    limits: tuple[str, ...] = ()
    description: str = ""

    @model_validator(mode="before")
    @classmethod
    def _networks_see_images(cls, given: Any) -> Any:
        method = METHODS.get(given.get("method", "")) if isinstance(given, dict) else None
        if method is not None and method.sees_images:
            return _of_plain_images(given)
        if method is None or method.kind != "particles":
            return given
        own = {"feature_set": ANNOTATED_IMAGES, "label": ANNOTATIONS}
        label = given.get("label", ANNOTATIONS)
        named = {
            "feature_set": str(given.get("feature_set", ANNOTATED_IMAGES)).partition("@")[0],
            "label": label.get("name") if isinstance(label, dict) else label,
        }
        for key, name in named.items():
            if name != own[key]:
                message = f"{given['method']} learns from annotated images: leave {key} out"
                raise ValueError(message)
        return own | given

    @field_validator("label", mode="before")
    @classmethod
    def _name_alone(cls, label: object) -> object:
        return {"name": label} if isinstance(label, str) else label

    @model_validator(mode="after")
    def _method_takes_them(self) -> "ModelDefinition":
        try:
            learner_of(self.method, self.parameters)
        except GraindexError as error:
            raise ValueError(str(error)) from error
        return self

    def request(self) -> TrainingSetRequest:
        """The training set that it asks for, as things stand now."""
        return TrainingSetRequest(
            feature_set=self.feature_set,
            label=self.label,
            datasets=self.datasets,
            where=self.where,
            split=self.split,
        )

    @property
    def definition_hash(self) -> str:
        """SHA-256 over everything that decides the model; equal for equal definitions."""
        content = self.model_dump(mode="json", exclude={"description"})
        content["parameters"] = all_parameters(learner_of(self.method, self.parameters))
        return sha256(json.dumps(content, sort_keys=True))


def _of_plain_images(given: Any) -> Any:
    """Fields of a network on images, with the feature set of plain images where it takes none.

    Raises:
        ValueError: it is given features that it does not look at, or none that it needs.
    """
    parameters = given.get("parameters") or {}
    described = isinstance(parameters, dict) and parameters.get("architecture") == "descriptors"
    named = "feature_set" in given
    if described and not named:
        raise ValueError("architecture descriptors joins features to the image: give feature_set")
    if not described and named and str(given["feature_set"]).partition("@")[0] != PLAIN_IMAGES:
        message = (
            f"{given['method']} looks at images alone: leave feature_set out, or take architecture "
            "descriptors"
        )
        raise ValueError(message)
    return {"feature_set": PLAIN_IMAGES} | given


def read_definition(path: Path, name: str | None = None) -> ModelDefinition:
    """The model that a YAML file declares.

    Args:
        path: the file.
        name: what it is to be called; the file may leave its name out then.

    Raises:
        ModelError: no such file, not YAML, a wrong entry, or another name.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ModelError(f"{path} cannot be read: {why}") from error
    return _parse(text, str(path), name)


def save_definition(location: Location, definition: ModelDefinition) -> None:
    """Keep the YAML of a model in the home, replacing an older one of the same name."""
    fs, path = fsspec.core.url_to_fs(_address(location, definition.name))
    fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
    content = definition.model_dump(mode="json", exclude_defaults=True)
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    if not fs.exists(path) or fs.cat_file(path) != text.encode():
        fs.pipe_file(path, text.encode())


def definition_names(location: Location) -> list[str]:
    """Names of the models that the home declares, sorted."""
    fs, folder = fsspec.core.url_to_fs(location.under(FOLDER))
    if not fs.exists(folder):
        return []
    files = [str(name).rsplit("/", 1)[-1] for name in fs.ls(folder, detail=False)]
    return sorted(name.removesuffix(".yaml") for name in files if name.endswith(".yaml"))


def load_definition(location: Location, name: str) -> ModelDefinition:
    """A model that the home declares.

    Raises:
        ModelError: there is none of this name, or its file is wrong.
    """
    address = _address(location, name)
    fs, path = fsspec.core.url_to_fs(address)
    if name not in definition_names(location):
        known = ", ".join(definition_names(location)) or "none yet"
        message = (
            f"no model {name!r} is declared (known: {known}); run: graindex train {name} "
            "--config FILE"
        )
        raise ModelError(message)
    return _parse(fs.cat_file(path).decode(), address, name)


def _parse(text: str, origin: str, name: str | None) -> ModelDefinition:
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ModelError(f"{origin} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        message = f"{origin}: declare a model by keys such as method, feature_set and label"
        raise ModelError(message)
    try:
        definition = ModelDefinition.model_validate(
            content if name is None else {"name": name, **content}
        )
    except ValidationError as error:
        raise ModelError(f"{origin}: {first_problem(error, ModelDefinition)}") from error
    if name is not None and definition.name != name:
        message = f"{origin}: it declares model {definition.name!r}, not {name!r}"
        raise ModelError(message)
    return definition


def _address(location: Location, name: str) -> str:
    return location.under(FOLDER, f"{name}.yaml")
