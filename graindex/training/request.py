"""What a training set is asked for: enough to build the same rows again.

Out of scope: building them (`graindex.training.training_set`).
"""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from graindex.authors import user
from graindex.errors import InputError
from graindex.features.definition import FeatureSet
from graindex.history.snapshots import resolve
from graindex.settings import first_problem
from graindex.training.label_request import LabelRequest
from graindex.training.split_request import SplitRequest

if TYPE_CHECKING:
    from graindex.lake import AsOf
    from graindex.store import Store


class TrainingSetRequest(BaseModel):
    """Features, label, rows, snapshot and split.

    Attributes:
        feature_set: name of a registered feature set, the newest version; or ``name@version``.
        label: what is to be learned; a name stands for a request with the defaults.
        datasets: only entities of these collections; of all when empty.
        entities: only these; all when empty.
        where: SQL condition over the columns of the entities' catalog.
        as_of: snapshot that everything is read at; the newest when None.
        split: which rows train and which test.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    feature_set: str
    label: LabelRequest
    datasets: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()
    where: str | None = None
    as_of: int | None = Field(default=None, ge=0)
    split: SplitRequest = SplitRequest()

    def text(self) -> str:
        """The request as JSON, the same text for equal requests."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)


def make_request(**fields: object) -> TrainingSetRequest:
    """A checked request.

    Raises:
        InputError: a field is wrong; says which and why.
    """
    try:
        return TrainingSetRequest.model_validate(fields)
    except ValidationError as error:
        raise InputError(f"training set: {first_problem(error)}") from error


def parse_request(text: str | Mapping[str, object]) -> TrainingSetRequest:
    """A request from its JSON.

    Raises:
        InputError: a field is wrong; says which and why.
    """
    return make_request(**(json.loads(text) if isinstance(text, str) else text))


def request_of(
    store: "Store",
    feature_set: str | FeatureSet,
    label: str | LabelRequest | Mapping[str, object],
    *,
    entities: str | Sequence[str] | None = None,
    datasets: Sequence[str] = (),
    as_of: "str | AsOf | None" = None,
    split: str | SplitRequest | Mapping[str, object] | None = None,
) -> TrainingSetRequest:
    """A request as people make it; see `graindex.store.Store.training_set`.

    Raises:
        GraindexError: a field is wrong, or there is no such snapshot.
    """
    if isinstance(feature_set, FeatureSet):
        from graindex.features.registry import register_feature_set  # noqa: PLC0415

        feature_set = register_feature_set(store, feature_set, author=user()).reference
    return make_request(
        feature_set=feature_set,
        label=label,
        datasets=tuple(datasets),
        entities=() if entities is None or isinstance(entities, str) else tuple(entities),
        where=entities if isinstance(entities, str) else None,
        as_of=None if as_of is None else resolve(store, as_of),
        split=SplitRequest() if split is None else split,
    )
