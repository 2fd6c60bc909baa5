"""Runs as OpenLineage events, to a server or a file, where the home's settings ask for them.

A server that is down fails no run: it is warned of in one line.
Out of scope: what stands in an event (`orchestration.openlineage_events`).
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from graindex.settings import OpenLineageSettings

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunEvents:
    """Events of one run.

    Attributes:
        settings: where events go; nowhere where they name neither a server nor a file.
        run_id: the run.
        job: its job.
        part: collection or model that it is of.
    """

    settings: OpenLineageSettings
    run_id: str
    job: str
    part: str

    def started(self) -> None:
        """Tell that the run starts."""
        self._tell("START", [], [])

    def ended(self, entries: Sequence[dg.EventLogEntry]) -> None:
        """Tell how the run ended: what it read and wrote, and how the checks went."""
        done = [entry.dagster_event for entry in entries if entry.dagster_event is not None]
        failed = any(event.event_type is dg.DagsterEventType.RUN_FAILURE for event in done)
        written = [
            event.step_materialization_data.materialization
            for event in done
            if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION
        ]
        checks = [
            event.asset_check_evaluation_data
            for event in done
            if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
        ]
        self._tell("FAIL" if failed else "COMPLETE", written, checks)

    def _tell(
        self,
        state: str,
        written: Sequence[dg.AssetMaterialization],
        checks: Sequence[dg.AssetCheckEvaluation],
    ) -> None:
        if not self.settings.is_on:
            return
        try:
            # An extra of the package; and importing it takes a while.
            from orchestration.openlineage_events import emit  # noqa: PLC0415

            run = (self.run_id, self.job, self.part)
            emit(self.settings, state, run, written, checks)
        except ImportError:
            _LOG.warning("OpenLineage: not told; install graindex[openlineage]")
        except Exception as error:  # whatever a server answers
            told = " ".join(f"{type(error).__name__}: {error}".split())
            _LOG.warning("OpenLineage: %s of run %s not told: %s", state, self.run_id, told)
