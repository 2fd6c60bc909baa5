"""Settings of a store: `graindex.yaml` beside its data, checked when read.

Out of scope: collections, each of which has a recipe (`graindex.recipes`).
"""

from collections.abc import Sequence
from typing import Any, Literal, Self, get_args, get_origin

import fsspec
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from graindex.errors import HomeError
from graindex.location import Location
from graindex.suggestions import suggestion

FILE_NAME = "graindex.yaml"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


DEFAULT_BACKBONE = "tf_efficientnet_lite0"


class EncoderSettings(_Section):
    """How images become vectors; see `models.encode.config.EncoderConfig`."""

    backbone: str = DEFAULT_BACKBONE
    weights: str | None = None
    pooling: Literal["avg", "depths"] = "avg"
    mirrored: bool = False
    equalise: Literal["none", "clahe"] = "none"
    crops: int = Field(default=1, ge=1, le=8)
    precision: Literal["float32", "bfloat16"] = "float32"
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @property
    def vector_table(self) -> str:
        """Name of the Lance table of its vectors of images: others are of other lengths."""
        parts = ["micrographs"]
        if self.backbone != DEFAULT_BACKBONE:
            parts.append("".join(c if c.isalnum() else "_" for c in self.backbone))
        if self.pooling != "avg":
            parts.append(self.pooling)
        return "_".join(parts)


class ReaderSettings(_Section):
    """What is refused, and how far the search for a scale bar goes."""

    max_megapixels: float = Field(default=512, gt=0)
    min_side_px: int = Field(default=16, ge=1)
    overlaid_scale_bars: bool = False


class OpenLineageSettings(_Section):
    """Where runs are told as OpenLineage events: to a server, else into a file of JSON lines."""

    url: str | None = None
    file: str | None = None
    namespace: str = "graindex"

    @property
    def is_on(self) -> bool:
        """Whether events go anywhere."""
        return self.url is not None or self.file is not None


class Settings(_Section):
    """All settings of a store.

    Attributes:
        encoder: of the vectors that images are compared and searched by.
        further_encoders: of more vectors of every image, for features; each in a table of its own.
        readers: see there.
        openlineage: see there.
    """

    encoder: EncoderSettings = EncoderSettings()
    further_encoders: tuple[EncoderSettings, ...] = ()
    readers: ReaderSettings = ReaderSettings()
    openlineage: OpenLineageSettings = OpenLineageSettings()

    @property
    def encoders(self) -> dict[str, EncoderSettings]:
        """Every encoder by its table of vectors, the one that images are searched by first."""
        return {one.vector_table: one for one in (self.encoder, *self.further_encoders)}

    @field_validator("further_encoders", mode="before")
    @classmethod
    def _a_list(cls, given: object) -> object:
        if not isinstance(given, list | tuple):
            raise ValueError(f"{given!r} is no list: write [{{pooling: depths, mirrored: true}}]")
        return given

    @model_validator(mode="after")
    def _one_table_each(self) -> Self:
        if len(self.encoders) <= len(self.further_encoders):
            names = [one.vector_table for one in (self.encoder, *self.further_encoders)]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(
                f"two encoders would keep their vectors in {twice}: take encoders of different "
                "backbones or poolings"
            )
        return self


def load_settings(location: Location) -> Settings:
    """Settings of the store at `location`; defaults where the file says nothing.

    Raises:
        HomeError: the file is not YAML, or has an unknown or wrong entry.
    """
    address = location.under(FILE_NAME)
    fs, path = fsspec.core.url_to_fs(address)
    if not fs.exists(path):
        return Settings()
    try:
        return Settings.model_validate(yaml.safe_load(fs.cat_file(path)) or {})
    except yaml.YAMLError as error:
        message = f"{address} is not YAML: {' '.join(str(error).split())}"
        raise HomeError(message) from error
    except ValidationError as error:
        raise HomeError(f"{address}: {first_problem(error, Settings)}") from error


def save_settings(location: Location, settings: Settings) -> None:
    """Write the settings file."""
    fs, path = fsspec.core.url_to_fs(location.under(FILE_NAME))
    fs.pipe_file(path, yaml.safe_dump(settings.model_dump(), sort_keys=False).encode())


def first_problem(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """First complaint of a failed validation, in one line.

    Args:
        error: the failure.
        model: what was validated, to name the keys that there are where one is unknown.
    """
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"])
    words = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        part = None if model is None else _part_at(model, problem["loc"][:-1])
        words = "unknown key"
        if part is not None:
            words += f"; {suggestion(str(problem['loc'][-1]), part.model_fields)}"
    return f"{where}: {words}" if where else words


def _part_at(model: type[BaseModel], path: Sequence[int | str]) -> type[BaseModel] | None:
    """The model that stands at a path of keys in another, alone or in a list; else None."""
    for key in path:
        if isinstance(key, int):
            continue  # a place in a list
        field = model.model_fields.get(key)
        kind: Any = None if field is None else field.annotation
        if get_origin(kind) is tuple:
            kind = get_args(kind)[0]
        if not isinstance(kind, type) or not issubclass(kind, BaseModel):
            return None
        model = kind
    return model
