"""The store as a Dagster resource, and the partitions that assets share.

Out of scope: which home is configured, which is `orchestration.definitions`.
"""

import dagster as dg
from pydantic import PrivateAttr

from assets.processes import PROCESS_TAG, process_tag
from graindex.store import Store, open_store

DATASETS = dg.DynamicPartitionsDefinition(name="dataset")
OWNERS = ["team:graindex"]
LANCE_POOL = "lance_writer"

KIND_TAG = "graindex/kind"
OF_IMAGES = {KIND_TAG: "micrographs"}
OF_VOLUMES = {KIND_TAG: "volumes"}
"""Tags of assets that only one kind of collection fills; assets without are of both."""


class StoreResource(dg.ConfigurableResource[Store]):
    """Opens the store of a home.

    Attributes:
        home: a folder or a server address; "" means `./data`.
    """

    home: str = ""
    _store: Store | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Tag a run that the daemon launched with its process, as the command line tags its own."""
        run = context.run
        if run is None or context.instance is None:
            return  # a sensor looks at the store; nothing runs
        tag = process_tag(run.run_id)
        if run.tags.get(PROCESS_TAG) != tag:
            context.instance.add_run_tags(run.run_id, {PROCESS_TAG: tag})

    def open(self) -> Store:
        """The store, the same one for all steps of a run: its connections cost 0.1 s each.

        Raises:
            HomeError: there is none.
        """
        if self._store is None:
            self._store = open_store(self.home or None)
        return self._store
