"""Feature sets as YAML: read from files, checked, and kept in the home under `feature_sets/`.

Out of scope: versions (`graindex.features.registry`).
"""

from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import fsspec
import yaml
from pydantic import ValidationError

from graindex.errors import FeatureError
from graindex.features.definition import SOURCES, FeatureSet, Normalise, Select
from graindex.location import Location
from graindex.suggestions import suggestion

FOLDER = "feature_sets"
_PARTS: dict[str, type[Any]] = {**SOURCES, "normalise": Normalise, "select": Select}


def make_feature_set(fields: Mapping[str, Any], origin: str = "feature set") -> FeatureSet:
    """A checked feature set.

    Args:
        fields: its fields, as in YAML.
        origin: where they come from, for errors.

    Raises:
        FeatureError: a field is wrong; one line names the origin, the key and the reason.
    """
    try:
        return FeatureSet.model_validate(fields)
    except ValidationError as error:
        raise FeatureError(f"{origin}: {_problem(error)}") from error


def read_feature_set(path: Path) -> FeatureSet:
    """The feature set that a YAML file declares.

    Raises:
        FeatureError: no such file, not YAML, or a key is wrong; one line says which.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise FeatureError(f"{path} cannot be read: {why}") from error
    except yaml.YAMLError as error:
        raise FeatureError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        message = f"{path}: declare a feature set by keys such as name, entity and features"
        raise FeatureError(message)
    return make_feature_set(content, str(path))


def save_feature_set(location: Location, definition: FeatureSet) -> None:
    """Keep the YAML of a feature set in the home, replacing an older one of the same name."""
    fs, path = fsspec.core.url_to_fs(location.under(FOLDER, f"{definition.name}.yaml"))
    fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
    fs.pipe_file(path, as_yaml(definition).encode())


def as_yaml(definition: FeatureSet) -> str:
    """A feature set as YAML, without what is as by default."""
    content = definition.model_dump(mode="json", exclude_defaults=True)
    first = {"name": definition.name, "entity": definition.entity}
    return yaml.safe_dump(first | content, sort_keys=False, allow_unicode=True)


def in_order(definitions: Iterable[FeatureSet]) -> Sequence[FeatureSet]:
    """Feature sets such that each comes after those that it includes.

    Raises:
        FeatureError: two have the same name, or they include each other.
    """
    by_name: dict[str, FeatureSet] = {}
    for definition in definitions:
        if definition.name in by_name:
            message = f"two feature sets are called {definition.name!r}: give one another name"
            raise FeatureError(message)
        by_name[definition.name] = definition
    includes = {
        name: [other for other in map(name_of, one.include) if other in by_name]
        for name, one in by_name.items()
    }
    try:
        return [by_name[name] for name in TopologicalSorter(includes).static_order()]
    except CycleError as error:
        raise FeatureError(cycle_message(list(reversed(error.args[1])))) from error


def name_of(reference: str) -> str:
    """Name in `name` or `name@version`."""
    return reference.partition("@")[0]


def cycle_message(path: Sequence[str]) -> str:
    """Error of feature sets that include each other, as the path that comes back to its start."""
    return f"feature sets include each other: {' -> '.join(path)}; leave one of them out"


def _problem(error: ValidationError) -> str:
    """First complaint, in one line, with the path of the key as in YAML."""
    problem = error.errors()[0]
    place = list(problem["loc"])
    # Pydantic tells which kind of entry it took a source for, which is no key of the file.
    kind = place.pop(2) if place[:1] == ["features"] and len(place) > 2 else None
    where = ".".join(str(part) for part in place)
    words = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        model = _PARTS.get(str(kind or place[0] if len(place) > 1 else kind), FeatureSet)
        words = f"unknown key; {suggestion(str(place[-1]), model.model_fields)}"
    return f"{where}: {words}" if where else words
