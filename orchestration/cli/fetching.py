"""The command `fetch`: brings a public collection in and registers it.

Out of scope: downloading (`graindex.public`).
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.cli.output import Format, FormatOption, HomeOption, emit, notes, progress_bars

if TYPE_CHECKING:
    from graindex.public.fetch import Fetched
    from graindex.public.offer import Offer
    from graindex.public.recipe import PublicRecipe
    from graindex.store import Store

_COLUMNS = ("name", "title", "kind", "files", "size_mb", "licence", "tried")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(fetch)


def fetch(
    name: Annotated[
        str | None, typer.Argument(help="A recipe that --list names, or a .yaml file of one.")
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the recipes.")] = False,
    to: Annotated[
        Path | None,
        typer.Option(help="Folder for the files [default: in the home].", show_default=False),
    ] = None,
    mirror: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Ask for https://HOST/PATH at URL/HOST/PATH.", show_default=False
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Agree to the licence unasked.")] = False,
    accept_unstated_licence: Annotated[
        bool,
        typer.Option(
            "--accept-unstated-licence", help="Fetch though nobody says what may be done with it."
        ),
    ] = False,
    add: Annotated[bool, typer.Option("--add/--no-add", help="Register what was fetched.")] = True,
    how: FormatOption = Format.TABLE,
    home: HomeOption = None,
) -> None:
    """Bring in a public collection, verified, and register it; run again, it goes on."""
    from graindex.errors import InputError
    from graindex.public.fetch import fetch as bring
    from graindex.public.offer import offer_of
    from graindex.public.recipe import public_recipe
    from graindex.public.web import Web
    from graindex.store import open_store

    if listing:
        _list(how)
        return
    if name is None:
        message = "name a recipe; graindex fetch --list names them"
        raise InputError(message)
    recipe = public_recipe(name)
    store = open_store(home) if add else None
    folder = (to or _folder_in_home(home, recipe)).expanduser().absolute()
    if store is not None:
        _refuse_another_place(store, recipe, folder)
    web = Web(mirror=mirror)
    offer = offer_of(recipe, web)
    _show(offer, folder)
    _agree(offer, yes=yes, accept_unstated=accept_unstated_licence)
    with progress_bars():
        fetched = bring(offer, folder, web)
    _tell(fetched, offer, store)


def _list(how: Format) -> None:
    from graindex.public.recipe import NOT_STATED, public_names, public_recipe

    recipes = [public_recipe(name) for name in public_names()]
    rows = [
        {
            "name": recipe.name,
            "title": recipe.title,
            "kind": recipe.kind,
            "files": len(recipe.files) or None,
            "size_mb": None if recipe.size_bytes is None else recipe.size_bytes / 1e6,
            "licence": "as the archive states" if recipe.doi else recipe.licence.spdx or NOT_STATED,
            "tried": recipe.tried or "no",
        }
        for recipe in recipes
    ]
    emit(rows, how, _COLUMNS)


def _folder_in_home(home: str | None, recipe: "PublicRecipe") -> Path:
    from graindex.errors import InputError
    from graindex.location import Location

    location = Location.parse(home)
    if location.folder is None:
        message = f"the data of {location.home} lie on a server; say --to FOLDER"
        raise InputError(message)
    return location.folder / "originals" / recipe.name


def _refuse_another_place(store: "Store", recipe: "PublicRecipe", folder: Path) -> None:
    """Say before the first byte that the name is taken."""
    from graindex.errors import CollectionError
    from graindex.recipes import recipe_names

    if recipe.name not in recipe_names(store.location):
        return
    there = store.recipe(recipe.name).location_uri
    if "://" in there or not Path(there).is_relative_to(folder):
        message = (
            f"dataset {recipe.name!r} is registered at {there}; fetch with --no-add --to FOLDER, "
            "then graindex add FOLDER --dataset OTHER_NAME"
        )
        raise CollectionError(message)


def _show(offer: "Offer", folder: Path) -> None:
    """Whose it is and how large, before a byte of it is asked for."""
    recipe = offer.recipe
    count, unknown = len(offer.files), offer.unmeasured
    size = f"{offer.size_bytes / 1e6:.1f} MB"
    if unknown:
        size = f"at least {size}, {unknown} of unknown size" if unknown < count else "unknown size"
    notes.print(f"{recipe.name}: {recipe.title}")
    notes.print(f"source:   {recipe.source}")
    notes.print(f"licence:  {offer.licence.text()}")
    notes.print(f"citation: {recipe.citation}")
    notes.print(f"size:     {count} files, {size}, to {folder}")


def _agree(offer: "Offer", *, yes: bool, accept_unstated: bool) -> None:
    from graindex.errors import InputError

    if offer.licence.spdx is None and not accept_unstated:
        message = (
            f"{offer.recipe.name} states no licence: all rights may be reserved; ask its authors, "
            "or say --accept-unstated-licence"
        )
        raise InputError(message)
    if yes:
        return
    if not sys.stdin.isatty():
        message = f"say --yes to fetch {offer.recipe.name} under the licence above"
        raise InputError(message)
    typer.confirm("fetch it?", abort=True, err=True)


def _tell(fetched: "Fetched", offer: "Offer", store: "Store | None") -> None:
    from graindex.public.fetch import register_fetched

    notes.print(
        f"{fetched.downloaded} files fetched, {fetched.kept} were there already: {fetched.folder}"
    )
    if store is None:
        return
    for line in register_fetched(store, offer, fetched.folder).lines():
        notes.print(line)
    notes.print(f"next: graindex materialize --dataset {offer.recipe.name}")
