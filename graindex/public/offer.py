"""What servers offer of a public collection: addresses, sizes, checksums and the licence.

Out of scope: downloading any of it (`graindex.public.download`).
"""

import re
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

from pooch.downloaders import FigshareRepository, ZenodoRepository

from graindex.errors import CollectionError
from graindex.public.recipe import Licence, PublicFile, PublicRecipe, plain_path
from graindex.public.web import Web
from graindex.training.unpacking import ARCHIVES

_FIGSHARE = re.compile(r"10\.6084/m9\.figshare\.(\d+)(?:\.v(\d+))?")
_ZENODO = re.compile(r"10\.5281/zenodo\.(\d+)")


@dataclass(frozen=True, slots=True)
class Download:
    """One file to bring in.

    Attributes:
        path: below the folder of the collection.
        url: its address.
        size_bytes: its length, where known.
        checksum: ``sha256:…`` or ``md5:…``, where known.
        unpack: whether it is an archive to be unpacked.
    """

    path: str
    url: str
    size_bytes: int | None
    checksum: str | None
    unpack: bool = False


@dataclass(frozen=True, slots=True)
class Offer:
    """A collection as it can be had now.

    Attributes:
        recipe: what was asked for.
        licence: of the recipe, or as its archive states.
        files: all that belongs to it.
    """

    recipe: PublicRecipe
    licence: Licence
    files: tuple[Download, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes of the files whose length is known."""
        return sum(file.size_bytes or 0 for file in self.files)

    @property
    def unmeasured(self) -> int:
        """How many files have no known length."""
        return sum(file.size_bytes is None for file in self.files)


def offer_of(recipe: PublicRecipe, web: Web) -> Offer:
    """Where the files of a recipe are; asks servers only for what the recipe does not say.

    Raises:
        CollectionError: a server cannot be reached, or no longer has what the recipe names.
    """
    if recipe.doi is not None:
        return _archived(recipe, recipe.doi, web)
    lost = [file for file in recipe.files if _commit_of(recipe, file) is None and not file.url]
    paths = _paths_by_blob(recipe, web) if lost else {}
    files = tuple(_download(recipe, file, paths) for file in recipe.files)
    return Offer(recipe, recipe.licence, files)


def _commit_of(recipe: PublicRecipe, file: PublicFile) -> str | None:
    return file.commit or recipe.commit


def _download(recipe: PublicRecipe, file: PublicFile, paths: dict[str, str]) -> Download:
    url = file.url or _raw_address(recipe, file, paths)
    checksum = f"sha256:{file.sha256}" if file.sha256 else None
    return Download(file.path, url, file.size_bytes, checksum, file.unpack)


def _raw_address(recipe: PublicRecipe, file: PublicFile, paths: dict[str, str]) -> str:
    commit = _commit_of(recipe, file)
    path: str | None = recipe.root + (file.remote or file.path)
    if commit is None:
        path = paths.get(file.git_blob or "")
    if path is None:
        message = (
            f"https://github.com/{recipe.repository} no longer holds {file.path!r} as the recipe "
            "knows it; the recipe is out of date"
        )
        raise CollectionError(message)
    return f"https://github.com/{recipe.repository}/raw/{commit or 'HEAD'}/{quote(path)}"


def _paths_by_blob(recipe: PublicRecipe, web: Web) -> dict[str, str]:
    """Paths of the repository's newest files by their Git hash."""
    address = f"https://api.github.com/repos/{recipe.repository}/git/trees/HEAD?recursive=1"
    said = web.json(address)
    try:
        return {node["sha"]: node["path"] for node in said["tree"] if node["type"] == "blob"}
    except (KeyError, TypeError) as error:
        raise CollectionError(_unexpected(address)) from error


class _Figshare(FigshareRepository):  # type: ignore[misc]
    """Pooch's reading of an article on Figshare that was asked for already."""

    def __init__(self, doi: str, article: dict[str, Any]) -> None:
        super().__init__(doi, f"https://doi.org/{doi}")
        self._article = article

    @property
    def api_response(self) -> Any:
        """The list of its files."""
        return self._article["files"]


class _Zenodo(ZenodoRepository):  # type: ignore[misc]
    """Pooch's reading of a record on Zenodo that was asked for already."""

    def __init__(self, doi: str, record: dict[str, Any]) -> None:
        super().__init__(doi, f"https://doi.org/{doi}")
        self._record = record

    @property
    def api_response(self) -> Any:
        """The whole record."""
        return self._record


def _archived(recipe: PublicRecipe, doi: str, web: Web) -> Offer:
    """All files of an archive, with the checksums and the licence that it states."""
    address = _api_address(doi)
    said = web.json(address)
    try:
        archive = _Figshare(doi, said) if _FIGSHARE.fullmatch(doi) else _Zenodo(doi, said)
        registry = SimpleNamespace(registry={})
        archive.populate_registry(registry)
        sizes = {f.get("name") or f.get("key") or f.get("filename"): f for f in said["files"]}
        files = tuple(
            Download(
                path=plain_path(name),
                url=archive.download_url(name),
                size_bytes=sizes[name].get("size", sizes[name].get("filesize")),
                checksum=checksum if checksum.partition(":")[2] else None,
                unpack=name.lower().endswith(ARCHIVES),
            )
            for name, checksum in registry.registry.items()
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise CollectionError(_unexpected(address)) from error
    if not files:
        message = f"{address} lists no file"
        raise CollectionError(message)
    return Offer(recipe, _stated(said) or recipe.licence, files)


def _api_address(doi: str) -> str:
    if found := _FIGSHARE.fullmatch(doi):
        version = f"/versions/{found[2]}" if found[2] else ""
        return f"https://api.figshare.com/v2/articles/{found[1]}{version}"
    if found := _ZENODO.fullmatch(doi):
        return f"https://zenodo.org/api/records/{found[1]}"
    message = f"doi {doi} is neither of Figshare nor of Zenodo; name its files one by one"
    raise CollectionError(message)


def _stated(said: dict[str, Any]) -> Licence | None:
    """The licence in the words of Figshare (`license`) or Zenodo (`metadata.license`)."""
    licence = said.get("license") or said.get("metadata", {}).get("license")
    if not isinstance(licence, dict):
        return None
    name = licence.get("name") or licence.get("id")
    return Licence(spdx=str(name), url=licence.get("url")) if name else None


def _unexpected(address: str) -> str:
    return f"{address} answers in a way that is not understood; the service may have changed"
