"""Tables of volumes: tomograms with what belongs to them, and their phases.

Out of scope: what is found in them (`schemas.particle_tables`).
"""

from schemas.table import Table, by_name, in_collection

VOLUME_TABLES = (
    Table(
        "volumes",
        "tomogram, with its phases and labels where there are some",
        (
            "dataset",
            "volume_id",
            "sample_id",
            "path",
            "uri",
            "grey_uri",
            "phases_uri",
            "labels_uri",
            "grey_hash",
            "phases_hash",
            "labels_hash",
            "listing_hash",
            "file_size_bytes",
            "file_format",
            "size_z_voxels",
            "size_y_voxels",
            "size_x_voxels",
            "voxel_size_z_um",
            "voxel_size_y_um",
            "voxel_size_x_um",
            "voxel_size_source",
            "voxel_type",
            "grey_min",
            "grey_max",
            "nonfinite_voxels",
            "thumbnail",
            "input_hash",
            "code_version",
        ),
        key=("dataset", "volume_id"),
        required=(
            "path",
            "uri",
            "listing_hash",
            "file_size_bytes",
            "file_format",
            "size_z_voxels",
            "size_y_voxels",
            "size_x_voxels",
            "voxel_size_z_um",
            "voxel_size_y_um",
            "voxel_size_x_um",
            "voxel_size_source",
            "voxel_type",
            "nonfinite_voxels",
            "thumbnail",
            "input_hash",
            "code_version",
        ),
        lineage={
            "dataset": ("datasets.dataset",),
            "sample_id": ("samples.sample_id", "datasets.label_pattern"),
            "uri": ("datasets.location_uri",),
            **{
                f"voxel_size_{axis}_um": (f"datasets.declared_voxel_size_{axis}_um",)
                for axis in "zyx"
            },
        },
        references=(
            by_name("datasets", "dataset"),
            in_collection("sample_id", "samples"),
        ),
    ),
    Table(
        "volume_phases",
        "phase of a volume",
        ("dataset", "volume_id", "phase", "phase_voxels", "phase_fraction"),
        key=("dataset", "volume_id", "phase"),
        required=("phase_voxels", "phase_fraction"),
        references=(in_collection("volume_id", "volumes"),),
    ),
    Table(
        "volume_findings",
        "thing about a volume that a person should know",
        ("dataset", "volume_id", "finding", "detail"),
        key=("dataset", "volume_id", "finding", "detail"),
        references=(in_collection("volume_id", "volumes"),),
    ),
)
