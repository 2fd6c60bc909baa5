"""Catalog and feature store for battery-materials microscopy: `graindex.open(home)`."""

from graindex.store import Store, open_store

open = open_store  # the name users write: `graindex.open(home)`

__all__ = ["Store", "open"]
