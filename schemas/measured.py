"""Tables of particles as `graindex measure` writes them from one label image or volume.

Out of scope: tables of a store (`schemas.tables`).
"""

from schemas.tables import Table

_PARTICLES_3D = (
    "label", "voxels", "x_um", "y_um", "z_um", "yaw_deg", "pitch_deg", "roll_deg",
    "electron_density_mean", "electron_density_mean_body", "electron_density_std", "homogeneity",
    "surface_inner_um2", "surface_outer_um2", "volume_um3", "body_volume_um3", "crack_volume_um3",
    "damage", "axis_major_um", "axis_middle_um", "axis_minor_um", "elongation",
    "equivalent_diameter_um", "sphericity", "sphericity_wadell", "vs_ratio", "roughness_inner",
    "roughness_outer", "contact_fraction", "contact_fraction_ring", "packing_density",
    "packing_clipped_fraction", "distance_nearest_um", "neighbours", "elongation_std_neighbours",
    "volume_std_neighbours_um3", "sphericity_std_neighbours", "orientation_isotropy",
    "orientation_std_neighbours_deg", "detachment", "conduction_path_mean_um",
    "conduction_path_max_um", "touches_border", "depth_fraction", "grey_not_finite_voxels",
)  # fmt: skip

_PARTICLES_2D = (
    "label", "pixels", "x_px", "y_px", "area_px2", "area_um2", "perimeter_px", "perimeter_um",
    "equivalent_diameter_px", "equivalent_diameter_um", "feret_max_px", "feret_max_um",
    "feret_min_px", "feret_min_um", "axis_major_px", "axis_major_um", "axis_minor_px",
    "axis_minor_um", "orientation_deg", "aspect_ratio", "circularity", "solidity",
    "brightness_mean", "brightness_std", "distance_nearest_px", "distance_nearest_um",
    "neighbours", "touches_border", "segmentation_confidence",
)  # fmt: skip

MEASURED: dict[str, Table] = {
    table.name: table
    for table in (
        Table(
            "particles_3d",
            "particle of a label volume",
            _PARTICLES_3D,
            key=("label",),
            required=(
                "voxels",
                "x_um",
                "y_um",
                "z_um",
                "volume_um3",
                "body_volume_um3",
                "crack_volume_um3",
                "damage",
                "touches_border",
                "neighbours",
            ),
        ),
        Table(
            "particles_2d",
            "particle of a label image",
            _PARTICLES_2D,
            key=("label",),
            required=("pixels", "x_px", "y_px", "area_px2", "touches_border", "neighbours"),
        ),
        Table(
            "contacts",
            "pair of touching particles",
            ("label_a", "label_b", "contact_area_um2"),
            key=("label_a", "label_b"),
            required=("contact_area_um2",),
        ),
        Table(
            "electrode_statistics",
            "statistic of a whole volume, of all particles or of a class of them",
            ("statistic", "bin_lower", "bin_upper", "unit", "value", "std", "count"),
            key=(),
            required=("statistic", "unit", "count"),
        ),
    )
}
