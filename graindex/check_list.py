"""The checks of images, volumes and particles: what should hold of each, and what to do if not.

Out of scope: how they find what is wrong (`graindex.checks`, `graindex.particle_checks`).
"""

from graindex import checks, particle_checks
from graindex.checking import Check

_AGAIN = "Run `graindex materialize`; if it stays, the rows were written by something else."

IMAGE_CHECKS = (
    Check(
        "micrographs",
        "nothing_lost",
        checks.unaccounted_files,
        "Every file named like an image is catalogued or in quarantine with a reason.",
        "Files came after the last run: run `graindex materialize`.",
        blocking=True,
    ),
    Check(
        "micrographs",
        "sources_agree",
        checks.disagreements,
        "Tags, sidecar, scale bar and user agree on pixel size and acquisition.",
        "Look at the image and its readings, then state the right value when adding it: "
        "`graindex add --pixel-size-um` or a column of the samples table.",
    ),
    Check(
        "micrographs",
        "no_quarantine",
        checks.quarantined,
        "No input was refused.",
        "Repair or replace the file that the reason is about, or take it out of the folder; then "
        "run `graindex materialize`.",
    ),
    Check(
        "image_quality",
        "complete",
        checks.missing_quality,
        "Every catalogued image has its quality figures.",
        "Run `graindex materialize --select key:image_quality`; it says which file cannot be read.",
        blocking=True,
    ),
    Check(
        "micrograph_vectors",
        "complete",
        checks.missing_vectors,
        "Every catalogued image has a vector of the configured encoder.",
        "Run `graindex materialize --select key:micrograph_vectors`; the encoder may have changed.",
        blocking=True,
    ),
    Check(
        "micrograph_vectors",
        "finite_unit_length",
        checks.unlike_vectors,
        "Every vector is finite and of length 1.",
        "Look whether the image is of one grey value only; if not, check the encoder's weights "
        "with `graindex doctor`.",
        blocking=True,
    ),
)

VOLUME_CHECKS = (
    Check(
        "volumes",
        "nothing_lost",
        checks.unaccounted_files,
        "Every volume of the collection is catalogued or in quarantine with a reason.",
        "Files came after the last run: run `graindex materialize`.",
        blocking=True,
    ),
    Check(
        "volumes",
        "phases_sum_to_one",
        particle_checks.phases_sum_to_one,
        "The phases of a volume fill it, no more and no less.",
        _AGAIN,
        blocking=True,
    ),
    Check(
        "volumes",
        "sources_agree",
        particle_checks.volume_disagreements,
        "Files and user agree on the voxel size.",
        "Find out which is right and state it: `graindex add --voxel-size-um`.",
    ),
    Check(
        "volumes",
        "no_quarantine",
        checks.quarantined,
        "No input was refused.",
        "Repair or replace the file that the reason is about, or take it out of the folder; then "
        "run `graindex materialize`.",
    ),
)

PARTICLE_CHECKS = (
    Check(
        "particle_masks_2d",
        "complete",
        particle_checks.missing_masks,
        "Every catalogued image has its particles labelled.",
        "Run `graindex materialize --select key:particle_masks_2d`; it says what cannot be read.",
        blocking=True,
    ),
    Check(
        "particles_2d",
        "complete",
        particle_checks.missing_particles_2d,
        "Every particle of every mask has a row.",
        _AGAIN,
        blocking=True,
    ),
    Check(
        "particles_2d",
        "areas_are_pixels",
        particle_checks.image_areas_are_pixels,
        "Areas are pixels times the pixel's area, and diameters follow.",
        "The pixel size may have changed since: run `graindex materialize`.",
        blocking=True,
    ),
    Check(
        "particles_2d",
        "discs_are_roundest",
        particle_checks.circles_are_roundest,
        "No circularity is above 1 by more than its estimator may be off.",
        "Look at the particle in its overlay: a mask of another image, or pixels that are not "
        "square, give such figures.",
        blocking=True,
    ),
    Check(
        "particle_labels_3d",
        "complete",
        particle_checks.missing_labels,
        "Every catalogued volume has its particles labelled.",
        "Run `graindex materialize --select key:particle_labels_3d`; it says what cannot be read.",
        blocking=True,
    ),
    Check(
        "particles_3d",
        "complete",
        particle_checks.missing_particles_3d,
        "Every particle of every label volume has a row.",
        _AGAIN,
        blocking=True,
    ),
    Check(
        "particles_3d",
        "volumes_are_voxels",
        particle_checks.volumes_are_voxels,
        "Volumes are voxels times the voxel's volume, and filled is body and cracks.",
        "The voxel size may have changed since: run `graindex materialize`.",
        blocking=True,
    ),
    Check(
        "particles_3d",
        "damage_in_range",
        particle_checks.damage_in_range,
        "Damage is at least 0 and below 1.",
        _AGAIN,
        blocking=True,
    ),
    Check(
        "particles_3d",
        "spheres_are_roundest",
        particle_checks.spheres_are_roundest,
        "No sphericity is above 1 by more than its estimator may be off.",
        "Look whether the voxel size has its axes in the order Z, Y, X; then measure again.",
        blocking=True,
    ),
    Check(
        "particles_3d",
        "packing_at_most_one",
        particle_checks.packing_at_most_one,
        "No more than all of the surroundings is particles.",
        _AGAIN,
        blocking=True,
    ),
    Check(
        "contacts",
        "symmetric",
        particle_checks.contacts_symmetric,
        "Each pair stands once, both ends are particles, and no contact exceeds their surface.",
        _AGAIN,
        blocking=True,
    ),
    Check(
        "electrode_statistics",
        "ordered_percentiles",
        particle_checks.ordered_percentiles,
        "D10 is at most D50, and D50 at most D90.",
        _AGAIN,
        blocking=True,
    ),
    Check(
        "electrode_statistics",
        "phases_sum_to_one",
        particle_checks.statistic_phases_sum_to_one,
        "Phase fractions of a volume sum to 1.",
        _AGAIN,
        blocking=True,
    ),
)
