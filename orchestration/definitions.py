"""Everything that Dagster loads: assets, checks, the job, the sensor and the store.

Nothing is read here: the home is an environment variable that runs resolve.
Out of scope: what any of them does.
"""

import dagster as dg

from assets.collections import datasets, samples
from assets.micrographs import image_quality, micrograph_vectors, micrographs
from assets.resources import StoreResource
from graindex.location import HOME_VARIABLE
from orchestration.checks import CHECKS
from orchestration.jobs import catalog_job
from orchestration.sensors import new_files

defs = dg.Definitions(
    assets=[datasets, samples, micrographs, image_quality, micrograph_vectors],
    asset_checks=CHECKS,
    jobs=[catalog_job],
    sensors=[new_files],
    resources={"store": StoreResource(home=dg.EnvVar(HOME_VARIABLE))},
    # One process a run: a run is one collection, and the encoder's threads fill the machine.
    executor=dg.in_process_executor,
)
