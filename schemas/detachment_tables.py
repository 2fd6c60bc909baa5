"""Tables of detachment: groups and what they say, peaks of phases, maps of conduction paths.

Out of scope: detachment of single particles, a column of `particles_3d`.
"""

from schemas.table import Table, in_collection

_MADE = ("input_hash", "code_version")
_GROUPED = (
    "particles_3d.detachment",
    "particles_3d.equivalent_diameter_um",
    "particles_3d.touches_border",
    "volumes.sample_id",
)
_SUMMARY = tuple(
    f"detachment_{name}"
    for name in ("mean", "std", "standard_error", "standard_error_volumes", "q25", "median", "q75")
)
_LINE = tuple(
    f"{name}{end}" for name in ("pearson", "spearman", "slope") for end in ("", "_lower", "_upper")
)
_VOXELS = ("volumes.grey_hash", "volumes.phases_hash")
_PEAK = ("inner_voxels", "peak_grey", "fwhm_grey", "grey_mean", "grey_std")

DETACHMENT_TABLES = (
    Table(
        "detachment_groups",
        "group of volumes and size class of particles",
        (
            "dataset",
            "group_by",
            "group_name",
            "size_class",
            "diameter_lower_um",
            "diameter_upper_um",
            "whole_particle_count",
            "volume_count",
            *_SUMMARY,
            *_MADE,
        ),
        key=("dataset", "group_name", "size_class"),
        required=("group_by", "whole_particle_count", "volume_count", *_MADE),
        lineage={
            "dataset": ("datasets.dataset",),
            **dict.fromkeys(("whole_particle_count", *_SUMMARY), _GROUPED),
        },
    ),
    Table(
        "detachment_comparisons",
        "pair of groups or of size classes, or all of them at once",
        (
            "dataset",
            "compared_by",
            "within",
            "level",
            "test",
            "first_name",
            "second_name",
            "first_count",
            "second_count",
            "first_volume_count",
            "second_volume_count",
            "effect_size",
            "p_value",
            "p_holm",
            *_MADE,
        ),
        key=("dataset", "compared_by", "within", "level", "first_name", "second_name"),
        required=("test", "first_count", "second_count", "effect_size", "p_value", *_MADE),
        lineage={
            "dataset": ("datasets.dataset",),
            **dict.fromkeys(("effect_size", "p_value", "p_holm"), _GROUPED),
        },
    ),
    Table(
        "detachment_correlations",
        "pair of attributes of the particles of a volume, a group or all",
        (
            "dataset",
            "correlated_of",
            "group_name",
            "x_attribute",
            "y_attribute",
            "whole_particle_count",
            "volume_count",
            *_LINE,
            "intercept",
            *_MADE,
        ),
        key=("dataset", "correlated_of", "group_name", "x_attribute", "y_attribute"),
        required=("whole_particle_count", "volume_count", *_MADE),
        lineage={
            "dataset": ("datasets.dataset",),
            **dict.fromkeys(_LINE, (*_GROUPED, "particles_3d.electron_density_mean_body")),
        },
    ),
    Table(
        "phase_peaks",
        "phase of a volume",
        ("dataset", "volume_id", "phase", "phase_name", *_PEAK, *_MADE),
        key=("dataset", "volume_id", "phase"),
        required=("phase_name", "inner_voxels", *_MADE),
        lineage={
            "dataset": ("volumes.dataset",),
            "volume_id": ("volumes.volume_id",),
            **dict.fromkeys(("phase", *_PEAK), _VOXELS),
        },
        references=(in_collection("volume_id", "volumes"),),
    ),
    Table(
        "phase_histograms",
        "class of grey values of a phase of a volume",
        ("dataset", "volume_id", "phase", "bin", "bin_lower", "bin_upper", "count"),
        key=("dataset", "volume_id", "phase", "bin"),
        required=("bin_lower", "bin_upper", "count"),
        lineage={
            "dataset": ("volumes.dataset",),
            "volume_id": ("volumes.volume_id",),
            "count": _VOXELS,
        },
        references=(in_collection("volume_id", "volumes"),),
    ),
    Table(
        "conduction_maps",
        "volume with the paths through one typical particle drawn",
        (
            "dataset",
            "volume_id",
            "particle_id",
            "label",
            "detachment",
            "equivalent_diameter_um",
            "conduction_path_mean_um",
            "conduction_path_max_um",
            "overlay",
            *_MADE,
        ),
        key=("dataset", "volume_id"),
        required=("particle_id", "label", "overlay", *_MADE),
        lineage={
            "dataset": ("volumes.dataset",),
            "volume_id": ("volumes.volume_id",),
            "particle_id": ("particles_3d.particle_id",),
            "overlay": (
                "particle_labels_3d.label_volume",
                "volumes.phases_hash",
                "particles_3d.conduction_path_mean_um",
            ),
        },
        references=(
            in_collection("volume_id", "volumes"),
            in_collection("particle_id", "particles_3d"),
        ),
    ),
)
