"""Everything that Dagster loads: assets, checks, the job, the sensor and the store.

Nothing is read here: the home is an environment variable that runs resolve.
Out of scope: what any of them does.
"""

import dagster as dg

from assets.annotations import particle_annotations
from assets.collections import datasets, samples
from assets.detachment import conduction_maps, detachment_groups, phase_peaks
from assets.micrographs import image_quality, micrograph_vectors, micrographs
from assets.models import trained_models, training_sets
from assets.particles import electrode_statistics, particle_masks_2d, particles_2d
from assets.quality import image_faults, near_duplicates
from assets.quality_labels import confounders, drift, label_issues
from assets.resources import StoreResource
from assets.scores import segmentation_scores
from assets.volumes import particle_labels_3d, particles_3d, volumes
from graindex.location import HOME_VARIABLE
from orchestration.checks import CHECKS
from orchestration.jobs import CATALOG_JOBS, train_job
from orchestration.model_checks import model_checks
from orchestration.sensors import new_files

defs = dg.Definitions(
    assets=[
        datasets,
        samples,
        micrographs,
        image_quality,
        micrograph_vectors,
        particle_masks_2d,
        particles_2d,
        particle_annotations,
        segmentation_scores,
        volumes,
        particle_labels_3d,
        particles_3d,
        electrode_statistics,
        phase_peaks,
        conduction_maps,
        detachment_groups,
        image_faults,
        near_duplicates,
        label_issues,
        confounders,
        drift,
        training_sets,
        trained_models,
    ],
    asset_checks=[*CHECKS, model_checks],
    jobs=[*CATALOG_JOBS, train_job],
    sensors=[new_files],
    resources={"store": StoreResource(home=dg.EnvVar(HOME_VARIABLE))},
    # One process a run: a run is one collection, and the encoder's threads fill the machine.
    executor=dg.in_process_executor,
)
