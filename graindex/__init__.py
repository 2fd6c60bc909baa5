"""Catalog and feature store for battery-materials microscopy: `graindex.open(home)`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graindex.store import Store
    from graindex.store import open_store as open

__all__ = ["Store", "open"]


def __getattr__(name: str) -> Any:
    # what works without a store need not wait for those that hold its tables
    if name in __all__:
        from graindex import store  # noqa: PLC0415

        return store.open_store if name == "open" else store.Store
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
