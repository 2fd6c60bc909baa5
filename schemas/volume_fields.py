"""Columns of volumes: tomograms, their phases, and the labels of particles found in them.

Out of scope: particles (`schemas.particle_fields`).
"""

from schemas.field import HEX_ID, HEX_SHA256, count, number, text

_LENGTH: dict[str, object] = {"lower": 0, "exclusive_lower": True}

_VOLUME = (
    text(
        "volume_id",
        "Key of the volume within the store, stable across runs and renaming.",
        pattern=HEX_ID,
        formula="first 16 hex digits of SHA-256(dataset, grey_hash, phases_hash, labels_hash)",
    ),
    text("grey_uri", "File or folder of the grey values; null where there are none."),
    text("phases_uri", "File or folder of the phases on the same grid; null where there are none."),
    text("labels_uri", "File or folder of given labels on the same grid; null without."),
    text("grey_hash", "SHA-256 of the content of the grey values.", pattern=HEX_SHA256),
    text("phases_hash", "SHA-256 of the content of the phases.", pattern=HEX_SHA256),
    text("labels_hash", "SHA-256 of the content of the given labels.", pattern=HEX_SHA256),
    text(
        "listing_hash",
        "SHA-256 over names, sizes and times of the files, by which unchanged ones are told.",
        pattern=HEX_SHA256,
    ),
    count("size_z_voxels", "Voxels along z, the depth.", "voxel", 1),
    count("size_y_voxels", "Voxels along y.", "voxel", 1),
    count("size_x_voxels", "Voxels along x.", "voxel", 1),
    number("voxel_size_z_um", "µm", "Distance of voxels along z, the depth.", **_LENGTH),
    number("voxel_size_y_um", "µm", "Distance of voxels along y.", **_LENGTH),
    number("voxel_size_x_um", "µm", "Distance of voxels along x.", **_LENGTH),
    text("voxel_size_source", "What states the voxel size.", values=("user", "metadata")),
    text("voxel_type", "NumPy name of the type of the grey values, or of what there is."),
    number("grey_min", "grey", "Least finite grey value."),
    number("grey_max", "grey", "Greatest finite grey value."),
    count("nonfinite_voxels", "Grey values that are NaN or infinite; kept as they are.", "voxel"),
    count("phase", "Value of a phase in the phase volume."),
    count("phase_voxels", "Voxels of the phase.", "voxel", lower=1),
    number("phase_fraction", "1", "Share of the volume that is the phase.", lower=0, upper=1),
)

_DECLARED = (
    number("declared_voxel_size_z_um", "µm", "Voxel size that the user gave, along z.", **_LENGTH),
    number("declared_voxel_size_y_um", "µm", "Voxel size that the user gave, along y.", **_LENGTH),
    number("declared_voxel_size_x_um", "µm", "Voxel size that the user gave, along x.", **_LENGTH),
    text("segmentation_settings", "How particles are found, as JSON."),
    text("measurement_settings", "How particles of volumes are measured, as JSON."),
)

_LABELS = (
    text("mask", "Content address of the label image: TIFF, 0 is background.", pattern=HEX_SHA256),
    text(
        "label_volume",
        "Key of the label volume among the volumes of the store; 0 is background.",
        pattern=HEX_SHA256,
    ),
    text("overlay", "Content address of a picture of the particles: JPEG.", pattern=HEX_SHA256),
    text(
        "segmentation_method",
        "How particles were found; given where the labels were brought along.",
        values=("mask-rcnn", "star-convex", "view-fusion", "slice-linking", "watershed", "given"),
    ),
    text(
        "segmentation_source",
        "What particles were found in.",
        values=("grey", "phases", "labels"),
    ),
    count("particle_count", "Particles found."),
    number(
        "particle_fraction", "1", "Share of the area or volume that is particles.", lower=0, upper=1
    ),
)

VOLUME_FIELDS = (*_VOLUME, *_DECLARED, *_LABELS)
