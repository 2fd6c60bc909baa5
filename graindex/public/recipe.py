"""Recipes of public collections: where the files lie, whose they are and how they are registered.

Out of scope: asking any server (`graindex.public.offer`).
"""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from graindex.errors import CollectionError
from graindex.recipes import make_recipe
from graindex.settings import first_problem

STAGING = ".fetch"
"""Folder in a fetched one for what is not finished; hidden, so that no collection lists it."""

NOT_STATED = "not stated"
_ENDING = ".yaml"

Hex40 = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Hex64 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def plain_path(path: str) -> str:
    """A path below a folder, if it stays there.

    Raises:
        ValueError: it is absolute, climbs out, or is no plain path with forward slashes.
    """
    parts = path.split("/")
    odd = "\\" in path or ":" in parts[0] or not path.isprintable() or parts[0] == STAGING
    if odd or any(part in {"", ".", ".."} for part in parts):
        message = f"{path!r} is no path inside a folder"
        raise ValueError(message)
    return path


class Licence(BaseModel):
    """Terms of use.

    Attributes:
        spdx: identifier, such as ``MIT`` or ``CC-BY-4.0``; None where none is stated.
        url: where its text stands.
        note: what it covers, where not everything.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    spdx: str | None = None
    url: str | None = None
    note: str | None = None

    def text(self) -> str:
        """All of it in one line."""
        address = f" ({self.url})" if self.url else ""
        note = f"; {self.note}" if self.note else ""
        return f"{self.spdx or NOT_STATED}{address}{note}"


class PublicFile(BaseModel):
    """One file of a collection.

    Attributes:
        path: below the folder of the collection.
        size_bytes: its length; None where nobody has measured it.
        sha256: of its content; None where nobody has computed it.
        git_blob: hash by which its repository knows it, to find it where its path is not known.
        remote: path in the repository, below `root`; None where it is `path`.
        commit: commit that has it, where it is not the recipe's.
        url: address, of files in no repository.
        unpack: whether it is an archive to be unpacked into a folder of its name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Annotated[str, Field(min_length=1)]
    size_bytes: int | None = Field(default=None, ge=0)
    sha256: Hex64 | None = None
    git_blob: Hex40 | None = None
    remote: str | None = None
    commit: Hex40 | None = None
    url: str | None = None
    unpack: bool = False

    @field_validator("path")
    @classmethod
    def _stays_inside(cls, path: str) -> str:
        return plain_path(path)


class PublicRecipe(BaseModel):
    """A public collection.

    Attributes:
        name: of the recipe, and of the dataset it becomes.
        title: one line for lists.
        description: what it is.
        source: page of the collection, for people.
        licence: terms; an archive with a DOI says its own.
        citation: how to cite it.
        tried: what has been run of this recipe; empty where nothing has.
        repository: ``OWNER/NAME`` on GitHub that holds the files.
        commit: its commit; None where files are found by `git_blob`.
        root: folder of the repository that `path` of files starts from, with a closing slash.
        doi: archive on Figshare or Zenodo, whose list of files is asked for when fetching.
        files: what to bring in; empty with `doi`, where it is everything.
        collection: folder to be registered, below the fetched one; ``*`` stands for one name.
        samples: table of samples, below the fetched folder.
        settings: further fields of `graindex.recipes.Recipe`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: str
    description: str
    source: str
    licence: Licence = Licence()
    citation: str
    tried: str = ""
    repository: str | None = Field(default=None, pattern=r"^[\w.-]+/[\w.-]+$")
    commit: Hex40 | None = None
    root: str = ""
    doi: str | None = Field(default=None, pattern=r"^10\.\d{4,}/\S+$")
    files: tuple[PublicFile, ...] = ()
    collection: str = ""
    samples: str | None = None
    settings: dict[str, Any] = {}

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        if (self.doi is None) == (not self.files):
            message = "give either a doi or files"
            raise ValueError(message)
        for file in self.files:
            in_repository = self.repository and (self.commit or file.commit or file.git_blob)
            if not (file.url or in_repository):
                message = f"{file.path!r} needs a url, or a repository with commit or git_blob"
                raise ValueError(message)
            if file.git_blob and not (file.sha256 or file.commit or self.commit):
                message = f"{file.path!r} is of no commit, and so needs its sha256"
                raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _can_be_registered(self) -> Self:
        try:
            make_recipe(dataset=self.name, location_uri="/", **self.settings)
        except CollectionError as error:
            raise ValueError(str(error)) from error
        return self

    @property
    def kind(self) -> str:
        """What it holds: ``micrographs`` or ``volumes``."""
        return str(self.settings.get("kind", "micrographs"))

    @property
    def size_bytes(self) -> int | None:
        """Bytes of all files; None where that is not known before asking."""
        sizes = [file.size_bytes for file in self.files]
        known = [size for size in sizes if size is not None]
        return sum(known) if sizes and len(known) == len(sizes) else None


def public_names() -> list[str]:
    """Names of the recipes that ship with Graindex, sorted."""
    entries = [entry.name for entry in _shipped().iterdir()]
    return sorted(name.removesuffix(_ENDING) for name in entries if name.endswith(_ENDING))


def public_recipe(name: str) -> PublicRecipe:
    """A recipe by its name, or of a file of one's own that ends in ``.yaml``.

    Raises:
        CollectionError: there is none, or it is wrong.
    """
    own = name.endswith(_ENDING)
    if not own and name not in public_names():
        known = ", ".join(public_names())
        message = f"no recipe {name!r}; there are {known}, or give a .yaml file of your own"
        raise CollectionError(message)
    file: Traversable = Path(name) if own else _shipped() / f"{name}{_ENDING}"
    try:
        return PublicRecipe.model_validate(_parsed(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise CollectionError(f"{name}: {first_problem(error)}") from error
    except yaml.YAMLError as error:
        message = f"{name} is not YAML: {' '.join(str(error).split())}"
        raise CollectionError(message) from error
    except (OSError, UnicodeDecodeError) as error:
        message = f"{name} cannot be read: {getattr(error, 'strerror', None) or error}"
        raise CollectionError(message) from error


def _parsed(text: str) -> Any:
    # Lists of checksums are long, and the loader in C is ten times as fast.
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _shipped() -> Traversable:
    return files("graindex.public") / "recipes"
