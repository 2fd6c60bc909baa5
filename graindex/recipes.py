"""Collections: what `graindex add` writes down, one YAML file each, in the home.

Out of scope: looking at the files of a collection (`graindex.scan`).
"""

import re
from datetime import UTC, datetime
from typing import Literal

import fsspec
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from graindex.errors import CollectionError
from graindex.location import Location
from graindex.settings import first_problem
from schemas.fields import FIELDS

FOLDER = "datasets"


class Recipe(BaseModel):
    """A registered collection; the fields are those of the table `datasets`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str
    location_uri: str
    kind: Literal["micrographs"] = "micrographs"
    label_pattern: str | None = None
    samples_uri: str | None = None
    declared_pixel_size_um: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    description: str | None = None
    source: str | None = None
    licence: str | None = None
    citation: str | None = None
    modality: Literal["SEM", "TEM", "optical"] = "SEM"
    registered_at: datetime

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
    text = yaml.safe_dump(recipe.model_dump(), sort_keys=False, allow_unicode=True)
    fs.pipe_file(path, text.encode())


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
        raise CollectionError(f"{address}: {first_problem(error)}") from error
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
        raise CollectionError(first_problem(error)) from error


def _address(location: Location, dataset: str) -> str:
    return location.under(FOLDER, f"{dataset}.yaml")
