"""The store as a Dagster resource, and the partitions that assets share.

Out of scope: which home is configured, which is `orchestration.definitions`.
"""

import dagster as dg

from graindex.store import Store, open_store

DATASETS = dg.DynamicPartitionsDefinition(name="dataset")
OWNERS = ["team:graindex"]
LANCE_POOL = "lance_writer"


class StoreResource(dg.ConfigurableResource[Store]):
    """Opens the store of a home.

    Attributes:
        home: a folder or a server address; "" means `./data`.
    """

    home: str = ""

    def open(self) -> Store:
        """The store; raises HomeError where there is none."""
        return open_store(self.home or None)
