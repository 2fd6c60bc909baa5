"""Collections: what `graindex add` writes down, one YAML file each, in the home.

Out of scope: looking at the files of a collection (`graindex.scan`).
"""

import dataclasses
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import fsspec
import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from graindex.annotation_settings import AnnotationSettings
from graindex.errors import CollectionError
from graindex.location import Location
from graindex.segmentation import (
    TaggedOptions,
    differing_settings,
    phase_values,
    with_method,
)
from graindex.settings import first_problem
from models.measure.particles_3d import MeasureOptions
from schemas.fields import FIELDS

FOLDER = "datasets"

Kind = Literal["micrographs", "volumes"]
Content = Literal["grey", "phases", "labels"]
Length = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _options_of(options: type[Any]) -> BeforeValidator:
    """Refuse names that a dataclass of options does not have; Pydantic passes over them."""
    known = {field.name for field in dataclasses.fields(options)}

    def check(given: object) -> object:
        unknown = sorted(set(given) - known) if isinstance(given, Mapping) else []
        if unknown:
            message = f"{unknown[0]!r} is unknown; there are {', '.join(sorted(known))}"
            raise ValueError(message)
        return given

    return BeforeValidator(check)


class VolumeSettings(BaseModel):
    """How the files of a collection of volumes are read.

    Attributes:
        content: what a file holds whose name does not end in ``grey``, ``phases`` or ``labels``.
        shape: (Z, Y, X) of files without a header.
        dtype: NumPy name of their type.
        offset: bytes before their first voxel.
        dataset_path: dataset of HDF5 files, or array of Zarr, where there are several.
        pore_phase: value of the pores in phase volumes; None where there is none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    content: Content = "grey"
    shape: tuple[int, int, int] | None = None
    dtype: str = "uint16"
    offset: int = Field(default=0, ge=0)
    dataset_path: str | None = None
    pore_phase: int | None = 0


class CheckLimits(BaseModel):
    """From where on checks warn; computes nothing, so that a change makes nothing stale.

    Attributes:
        max_age_days: how long ago the newest file may have changed; None for a collection that is
            complete.
        max_drop_fraction: share of the rows of an asset that may be gone since they were last
            accepted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_age_days: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    max_drop_fraction: float = Field(default=0.2, ge=0, lt=1)


class DetachmentSettings(BaseModel):
    """How particles of volumes are grouped where their detachment is compared.

    Attributes:
        group_by: column of `samples`, such as a rate; None for the first of `c_rate`, `rate` and
            `cycles` that differs between the volumes, or else each volume by itself.
        size_classes: classes of the diameter that hold as many particles each.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    group_by: str | None = None
    size_classes: int = Field(default=3, ge=1, le=20)


class Recipe(BaseModel):
    """A registered collection; the fields are those of the table `datasets`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str
    location_uri: str
    kind: Kind = "micrographs"
    label_pattern: str | None = None
    samples_uri: str | None = None
    declared_pixel_size_um: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    description: str | None = None
    source: str | None = None
    licence: str | None = None
    citation: str | None = None
    modality: Literal["SEM", "TEM", "optical", "X-ray"] = "SEM"
    declared_voxel_size_um: tuple[Length, Length, Length] | None = None
    volumes: VolumeSettings = VolumeSettings()
    segmentation: TaggedOptions = Field(default_factory=dict, validate_default=True)
    measurement: Annotated[MeasureOptions, _options_of(MeasureOptions)] = MeasureOptions()
    annotations: AnnotationSettings = AnnotationSettings()
    checks: CheckLimits = CheckLimits()
    detachment: DetachmentSettings = DetachmentSettings()
    registered_at: datetime

    @model_validator(mode="after")
    def _sizes_are_of_its_kind(self) -> "Recipe":
        if self.kind == "volumes" and self.declared_pixel_size_um is not None:
            message = "declared_pixel_size_um is of images; volumes take --voxel-size-um"
            raise ValueError(message)
        if self.kind == "micrographs" and self.declared_voxel_size_um is not None:
            message = "declared_voxel_size_um is of volumes; images take --pixel-size-um"
            raise ValueError(message)
        if self.kind == "volumes" and self.annotations.uri is not None:
            message = "annotations are of images; volumes take files named like NAME_labels.tif"
            raise ValueError(message)
        return self

    @field_validator("segmentation", mode="before")
    @classmethod
    def _names_its_method(cls, given: object, info: ValidationInfo) -> object:
        kind = info.data.get("kind", "micrographs")
        return with_method(given, kind) if isinstance(given, Mapping) else given

    @model_validator(mode="after")
    def _phase_volumes_name_their_particles(self) -> "Recipe":
        phases = self.kind == "volumes" and self.volumes.content == "phases"
        if phases and phase_values(self.segmentation) is None:
            message = "phase volumes need the value that is particle (--phase)"
            raise ValueError(message)
        return self

    @field_validator("dataset")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if not re.fullmatch(FIELDS["dataset"].pattern or "", name):
            message = (
                f"{name!r} is no name for a collection: up to 64 letters, digits, dots, dashes "
                "and underscores, the first a letter or digit"
            )
            raise ValueError(message)
        return name

    @field_validator("label_pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                groups = re.compile(pattern).groupindex
            except re.error as error:
                message = f"{pattern!r} is not a regular expression: {error}"
                raise ValueError(message) from error
            if not groups:
                message = f"{pattern!r} has no named group; write (?P<name>…)"
                raise ValueError(message)
        return pattern


def save_recipe(location: Location, recipe: Recipe) -> None:
    """Write a recipe, replacing an older one of the same name."""
    fs, path = fsspec.core.url_to_fs(_address(location, recipe.dataset))
    fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
    text = yaml.safe_dump(_written(recipe), sort_keys=False, allow_unicode=True)
    fs.pipe_file(path, text.encode())


def _written(recipe: Recipe) -> dict[str, Any]:
    """What the file says: of nested settings only what differs from the defaults."""
    whole = recipe.model_dump()
    nested = ("volumes", "segmentation", "measurement", "annotations", "checks", "detachment")
    kept = {name: value for name, value in whole.items() if name not in nested}
    for name in nested:
        if name == "segmentation":
            continue
        default = Recipe.model_fields[name].get_default()
        usual = (
            default.model_dump() if isinstance(default, BaseModel) else dataclasses.asdict(default)
        )
        differing = {key: value for key, value in whole[name].items() if value != usual[key]}
        if differing:
            kept[name] = differing
    kept["segmentation"] = differing_settings(recipe.segmentation)
    return kept


def recipe_names(location: Location) -> list[str]:
    """Names of all registered collections, sorted."""
    fs, folder = fsspec.core.url_to_fs(location.under(FOLDER))
    if not fs.exists(folder):
        return []
    files = [str(name).rsplit("/", 1)[-1] for name in fs.ls(folder, detail=False)]
    return sorted(name.removesuffix(".yaml") for name in files if name.endswith(".yaml"))


def load_recipe(location: Location, dataset: str) -> Recipe:
    """One registered collection.

    Raises:
        CollectionError: there is none of this name, or its file is wrong.
    """
    address = _address(location, dataset)
    fs, path = fsspec.core.url_to_fs(address)
    if not fs.exists(path):
        known = ", ".join(recipe_names(location)) or "none yet; run graindex add"
        message = f"dataset {dataset!r} is not registered (known: {known})"
        raise CollectionError(message)
    try:
        recipe = Recipe.model_validate(yaml.safe_load(fs.cat_file(path)))
    except yaml.YAMLError as error:
        message = f"{address} is not YAML: {' '.join(str(error).split())}"
        raise CollectionError(message) from error
    except ValidationError as error:
        raise CollectionError(f"{address}: {first_problem(error, Recipe)}") from error
    if recipe.dataset != dataset:
        message = f"{address}: dataset is {recipe.dataset!r}; call the file {recipe.dataset}.yaml"
        raise CollectionError(message)
    return recipe


def make_recipe(**fields: object) -> Recipe:
    """A checked recipe, registered now unless `registered_at` says otherwise.

    Raises:
        CollectionError: a field is wrong; says which and why.
    """
    try:
        return Recipe.model_validate({"registered_at": datetime.now(UTC), **fields})
    except ValidationError as error:
        raise CollectionError(first_problem(error, Recipe)) from error


def settings_json(options: Any) -> str:
    """A dataclass of options, or a mapping of them, as JSON that is the same for equal options."""
    record = options if isinstance(options, Mapping) else dataclasses.asdict(options)
    return json.dumps(record, sort_keys=True)


def _address(location: Location, dataset: str) -> str:
    return location.under(FOLDER, f"{dataset}.yaml")
