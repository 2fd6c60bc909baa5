"""The registry of feature sets: versions that are never changed, from what, by whom, used by what.

Out of scope: the YAML beside it (`graindex.features.files`).
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from graindex.ducklake import CATALOG, attach, retrying, sign, transaction
from graindex.errors import FeatureError
from graindex.features.definition import FeatureSet
from graindex.features.feature import Feature
from graindex.features.files import make_feature_set
from graindex.features.plan import Resolve, plan
from graindex.features.reading import Reading
from graindex.lake import AsOf
from graindex.suggestions import suggestion
from schemas.arrow import from_records
from schemas.ddl import literal
from schemas.tables import TABLES

if TYPE_CHECKING:
    from graindex.store import Store

FEATURES_CODE_VERSION = "1"
_SETS, _COLUMNS = "feature_sets", "feature_set_columns"


@dataclass(frozen=True)
class RegisteredFeatureSet:
    """A version of a feature set.

    Attributes:
        definition: the definition; sets that it includes are named with their versions.
        version: its version, from 1.
    """

    definition: FeatureSet
    version: int

    @property
    def reference(self) -> str:
        """`name@version`."""
        return f"{self.definition.name}@{self.version}"


def register_feature_set(
    store: "Store", definition: FeatureSet, *, author: str
) -> RegisteredFeatureSet:
    """Make a definition known under its name, as the next version unless it is one already.

    Sets that it includes without a version are held at their newest one. An equal definition keeps
    its version, whichever it is; another description of it replaces the old one.

    Args:
        store: the store.
        definition: the feature set.
        author: who registers it.

    Raises:
        FeatureError: the definition does not fit the tables of the store as they are.
        WriteConflictError: other processes kept registering.
    """
    held = _held(store, definition)
    with Reading(store, store.snapshot()) as reading:
        features = plan(held, reading, resolver(store))
    connection = attach(store.location, read_only=False)
    try:
        version = retrying(lambda: _register(connection.cursor(), held, features, author))
    finally:
        connection.close()
    return RegisteredFeatureSet(held, version)


def registered_feature_set(
    store: "Store", reference: str, as_of: AsOf | None = None
) -> RegisteredFeatureSet:
    """A registered version: of `name` the newest, of `name@2` the second.

    Args:
        store: the store.
        reference: name, or name and version.
        as_of: snapshot or time at which the registry is read; now when None.

    Raises:
        FeatureError: there is none of this name or version.
    """
    name, _, number = reference.partition("@")
    known = _versions(store, as_of)
    versions = [row for row in known.to_pylist() if row["feature_set"] == name]
    if not versions:
        names = known["feature_set"].to_pylist()
        message = (
            f"feature set {name!r} is not registered; {suggestion(name, names)}; "
            "graindex feature-set add FILE registers one"
        )
        raise FeatureError(message)
    wanted = [row for row in versions if not number or str(row["feature_set_version"]) == number]
    if not wanted:
        numbers = ", ".join(str(row["feature_set_version"]) for row in versions)
        message = f"feature set {name!r} has no version {number}; it has {numbers}"
        raise FeatureError(message)
    row = wanted[-1]
    fields = json.loads(row["definition"]) | {"description": row["description"] or ""}
    definition = make_feature_set(fields, f"registered feature set {reference}")
    return RegisteredFeatureSet(definition, row["feature_set_version"])


def resolver(store: "Store") -> Resolve:
    """Finds the definitions that `include` refers to."""
    return lambda reference: registered_feature_set(store, reference).definition


def list_feature_sets(store: "Store") -> pa.Table:
    """Every registered version with its number of features and of training sets and models.

    Returns:
        Columns `feature_set, version, entity, description, features, training_sets, models,
        author, recorded_at`, by name and version.
    """
    return store.lake.query(f"""
        SELECT s.feature_set, s.feature_set_version AS version, s.entity_kind AS entity,
               s.description, any_value(c.features) AS features,
               count(DISTINCT t.training_set_id) AS training_sets,
               count(DISTINCT m.model || '@' || m.model_version) AS models,
               s.author, s.recorded_at
        FROM {CATALOG}.{_SETS} s
        LEFT JOIN (
            SELECT feature_set, feature_set_version, count(DISTINCT feature) AS features
            FROM {CATALOG}.{_COLUMNS} GROUP BY ALL
        ) c USING (feature_set, feature_set_version)
        LEFT JOIN {CATALOG}.training_sets t USING (feature_set, feature_set_version)
        LEFT JOIN {CATALOG}.model_runs m USING (training_set_id)
        GROUP BY ALL ORDER BY s.feature_set, version
    """)


def users_of(store: "Store", name: str) -> pa.Table:
    """Training sets made of a feature set, and the models that were trained on them.

    Returns:
        Columns `feature_set_version, training_set_id, model, model_version`, in this order; the
        last two are null for a training set that no model was trained on.
    """
    return store.lake.query(
        f"""
        SELECT t.feature_set_version, t.training_set_id, m.model, m.model_version
        FROM {CATALOG}.training_sets t
        LEFT JOIN {CATALOG}.model_runs m USING (training_set_id)
        WHERE t.feature_set = ? ORDER BY ALL
        """,
        [name],
    )


def features_of(store: "Store", registered: RegisteredFeatureSet) -> tuple[Feature, ...]:
    """Features of a registered version, in order, with the columns they come from.

    Raises:
        FeatureError: the tables do not have the columns any more.
    """
    with Reading(store, store.snapshot()) as reading:
        return plan(registered.definition, reading, resolver(store))


def _held(store: "Store", definition: FeatureSet) -> FeatureSet:
    """The definition with a version for every set that it includes."""
    included = tuple(
        reference
        if "@" in reference or reference == definition.name
        else registered_feature_set(store, reference).reference
        for reference in definition.include
    )
    return definition.model_copy(update={"include": included})


def _versions(store: "Store", as_of: AsOf | None) -> pa.Table:
    return store.lake.read(
        _SETS,
        columns=("feature_set", "feature_set_version", "definition", "description"),
        as_of=as_of,
    )


def _register(
    cursor: duckdb.DuckDBPyConnection,
    definition: FeatureSet,
    features: tuple[Feature, ...],
    author: str,
) -> int:
    """Version of the definition, written in one transaction where it is new."""
    target = f"{CATALOG}.{_SETS}"
    with transaction(cursor):
        rows = cursor.execute(
            "SELECT feature_set_version, definition_hash, coalesce(description, '') "
            f"FROM {target} WHERE feature_set = ? ORDER BY 1",
            [definition.name],
        ).fetchall()
        same = [
            (int(version), text)
            for version, known, text in rows
            if known == definition.definition_hash
        ]
        if same and same[0][1] == definition.description:
            return same[0][0]
        # Rows that two processes only insert do not conflict; changes of one table do, so that the
        # slower process starts again and sees the version of the quicker one.
        told = literal(f"One row per {TABLES[_SETS].row}.")
        cursor.execute(f"COMMENT ON TABLE {target} IS {told}")
        if same:
            version = same[0][0]
            cursor.execute(
                f"UPDATE {target} SET description = ? "
                "WHERE feature_set = ? AND feature_set_version = ?",
                [definition.description, definition.name, version],
            )
        else:
            version = max((int(row[0]) for row in rows), default=0) + 1
            for name, records in _rows(definition, version, features, author).items():
                cursor.register("incoming", records)
                cursor.execute(f"INSERT INTO {CATALOG}.{name} BY NAME FROM incoming")
                cursor.unregister("incoming")
        sign(cursor, author, f"feature set {definition.name}@{version}")
    return version


def _rows(
    definition: FeatureSet, version: int, features: tuple[Feature, ...], author: str
) -> dict[str, pa.Table]:
    key = {"feature_set": definition.name, "feature_set_version": version}
    whole = {
        **key,
        "entity_kind": definition.entity,
        "description": definition.description,
        "definition": definition.canonical(),
        "definition_hash": definition.definition_hash,
        "author": author,
        "recorded_at": datetime.now(UTC),
        "code_version": FEATURES_CODE_VERSION,
    }
    columns = [
        {**key, "feature": feature.name, "source_column": origin.column,
         "aggregation": origin.aggregation}
        for feature in features
        for origin in feature.origins
    ]  # fmt: skip
    return {
        _SETS: from_records(TABLES[_SETS], [whole]),
        _COLUMNS: from_records(TABLES[_COLUMNS], columns),
    }
