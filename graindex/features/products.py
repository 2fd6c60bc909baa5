"""Squares and products of features, as the SQL expressions that derived features are.

So a model that is linear in its features follows curves and interactions, as the descriptors of
Murakami et al. 2025, table 3.
Out of scope: evaluating expressions (`graindex.features.derived`).
"""

import itertools
from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from schemas.ddl import quote

_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class Products(BaseModel):
    """Which products are taken.

    Attributes:
        of: numbers of the set, whose squares and products by pairs are taken.
        without: pairs that are left out; a name twice is its square.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    of: Annotated[tuple[_Name, ...], Field(min_length=1)]
    without: tuple[tuple[_Name, _Name], ...] = ()


def with_products(given: Mapping[str, object]) -> dict[str, object]:
    """Fields of a feature set with `products` written out as derived features, after the others.

    Args:
        given: fields; `products` is a list of names, or `of` and `without`.

    Raises:
        ValueError: a name that comes twice, a pair without that is no pair of them, or a derived
            feature of the same name.
    """
    fields = dict(given)
    asked = fields.pop("products")
    products = TypeAdapter(Products).validate_python(
        {"of": asked} if isinstance(asked, list | tuple) else asked
    )
    if len(set(products.of)) < len(products.of):
        message = "products: a feature stands twice"
        raise ValueError(message)
    derived = dict(_mapping(fields.get("derived") or {}))
    for name, expression in _expressions(products).items():
        if name in derived:
            message = f"products: derived has a feature {name!r} already"
            raise ValueError(message)
        derived[name] = expression
    return fields | {"derived": derived}


def _mapping(derived: object) -> Iterable[tuple[str, object]]:
    return derived.items() if isinstance(derived, Mapping) else ()


def _expressions(products: Products) -> dict[str, str]:
    """Expression of each square and product, by its name, in the order of the features."""
    without = {frozenset(pair) for pair in products.without}
    pairs = [(name, name) for name in products.of]
    pairs += list(itertools.combinations(products.of, 2))
    unknown = without - {frozenset(pair) for pair in pairs}
    if unknown:
        message = f"products: {' × '.join(sorted(unknown.pop()))} is no pair of {products.of}"
        raise ValueError(message)
    return {
        f"{one}_squared" if one == other else f"{one}_x_{other}": f"{quote(one)} * {quote(other)}"
        for one, other in pairs
        if frozenset((one, other)) not in without
    }
