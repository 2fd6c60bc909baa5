"""What the card of a model says of where it comes from: encoder, pixel sizes, data, programs.

Out of scope: the card's form (`graindex.trained.card`) and metrics.
"""

import platform
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from graindex.errors import ModelError
from graindex.features.definition import FeatureSet, VectorFeature
from graindex.features.matrix import columns_of
from graindex.features.registry import FEATURES_CODE_VERSION, resolver
from graindex.recipes import load_recipe
from graindex.trained.card import DataCard, EncoderCard, PixelSizeCard
from graindex.trained.definition import ModelDefinition
from graindex.trained.learning import Learning
from graindex.training.training_set import CODE_VERSION as SET_CODE_VERSION
from graindex.training.training_set import TrainingSet
from graindex.vector_history import index_as_of

if TYPE_CHECKING:
    from graindex.store import Store

_PROGRAMS = ("graindex", "numpy", "scipy", "scikit-learn", "safetensors")


def included_definitions(store: "Store", training_set: TrainingSet) -> dict[str, FeatureSet]:
    """Definitions of the feature set and of all that it includes, by reference; its own first."""
    resolve = resolver(store)
    found = {training_set.request.feature_set: training_set.feature_set.definition}
    waiting = list(training_set.feature_set.definition.include)
    while waiting:
        reference = waiting.pop()
        if reference not in found:
            found[reference] = resolve(reference)
            waiting += found[reference].include
    return found


def vector_tables(definitions: Iterable[FeatureSet]) -> list[str]:
    """Tables of vectors that feature sets take, sorted."""
    return sorted(
        {
            entry.vector
            for definition in definitions
            for entry in definition.features
            if isinstance(entry, VectorFeature)
        }
    )


def encoders_of(store: "Store", datasets: Iterable[str], table: str, as_of: int | None) -> set[str]:
    """Encoders of the vectors that collections have in a table."""
    return {
        encoder_id
        for dataset in datasets
        for encoder_id in pc.unique(
            index_as_of(store, dataset, as_of, table)["encoder_id"]
        ).to_pylist()
    }


def encoder_card(
    store: "Store", training_set: TrainingSet, definitions: dict[str, FeatureSet]
) -> EncoderCard | None:
    """Encoder of the vectors that the training set holds; None where it holds none.

    Raises:
        ModelError: they are by another encoder than the settings name, or of several tables.
    """
    tables = vector_tables(definitions.values())
    if not tables:
        return None
    if len(tables) > 1:
        message = (
            f"feature set {training_set.request.feature_set} takes vectors of "
            f"{' and '.join(tables)}: a model takes those of one encoder"
        )
        raise ModelError(message)
    (table,) = tables
    if table not in store.encoders:
        message = (
            f"feature set {training_set.request.feature_set} takes vectors of {table}, and the "
            f"settings name encoders of {', '.join(store.encoders)}: name theirs in "
            "further_encoders, run graindex materialize, then train again"
        )
        raise ModelError(message)
    wanted = store.encoders[table].encoder_id
    datasets = pc.unique(training_set.rows["dataset"]).to_pylist()
    found = encoders_of(store, datasets, table, training_set.lake_snapshot)
    if found != {wanted}:
        message = (
            f"the vectors are by encoder {', '.join(sorted(found)) or 'none'}, and the settings "
            f"name {wanted}: run graindex materialize, then train again"
        )
        raise ModelError(message)
    settings = store.settings.encoders[table].model_dump(exclude={"device"})
    return EncoderCard(encoder_id=wanted, **settings)


def pixel_size_card(
    store: "Store", definition: ModelDefinition, learning: Learning
) -> PixelSizeCard | None:
    """Pixel sizes of the images that the artefact is trained on; None where rows are no images."""
    found = learning.training_set
    if found.kind != "micrograph":
        return None
    ids = found.rows["entity_id"].filter(learning.final).combine_chunks()
    rows = store.lake.read(
        "micrographs", columns=("micrograph_id", "pixel_size_um"), as_of=found.lake_snapshot
    )
    sizes = rows["pixel_size_um"].filter(pc.is_in(rows["micrograph_id"], value_set=ids))
    known = np.asarray(sizes.drop_null().to_numpy(), float)
    return PixelSizeCard(
        least_um=float(known.min()) if known.size else None,
        greatest_um=float(known.max()) if known.size else None,
        calibrated=known.size,
        uncalibrated=sizes.null_count,
        tolerance=definition.pixel_size.tolerance,
        without=definition.pixel_size.uncalibrated,
    )


def data_cards(store: "Store", training_set: TrainingSet) -> tuple[DataCard, ...]:
    """Licences and citations of the collections that the rows are of."""
    names = sorted(pc.unique(training_set.rows["dataset"]).to_pylist())
    return tuple(_data_card(store, name) for name in names)


def _data_card(store: "Store", dataset: str) -> DataCard:
    if dataset not in store.datasets():
        return DataCard(dataset=dataset, licence=None, citation=None, source=None)
    recipe = load_recipe(store.location, dataset)
    return DataCard(
        dataset=dataset, licence=recipe.licence, citation=recipe.citation, source=recipe.source
    )


def code_versions(training: str) -> dict[str, str]:
    """Versions of what decides the numbers.

    Args:
        training: version of the training's own code.
    """
    return {
        "training": training,
        "training set": SET_CODE_VERSION,
        "features": FEATURES_CODE_VERSION,
        "python": platform.python_version(),
        **{name: version(name) for name in _PROGRAMS},
    }


def licence_warnings(data: Iterable[DataCard]) -> Iterator[str]:
    """A warning for each collection that states no licence."""
    for collection in data:
        if not collection.licence:
            yield (
                f"collection {collection.dataset!r} states no licence: ask before passing the "
                "model on"
            )


def blocks_of(store: "Store", training_set: TrainingSet) -> tuple[int, ...]:
    """Columns of each block of a matrix: depths of a vector, and numbers that stand together.

    Empty, which is one block, where the features are selected while a model is fitted.
    """
    if training_set.feature_set.definition.select is not None:
        return ()
    tables = vector_tables(included_definitions(store, training_set).values())
    known = [store.encoders[table].depths for table in tables if table in store.encoders]
    blocks: list[int] = []
    numbers = 0
    for column in columns_of(training_set.features):
        if column.width is None:
            numbers += 1
            continue
        blocks += [numbers] if numbers else []
        blocks += next((own for own in known if sum(own) == column.width), (column.width,))
        numbers = 0
    return tuple(blocks + ([numbers] if numbers else []))
