"""Names of the columns that are measured of particles, in order.

They stand once for tables of a store (`schemas.particle_tables`) and of single files
(`schemas.measured`). Out of scope: what they mean (`schemas.particle_fields`).
"""

PARTICLES_3D = (
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
    "segmentation_confidence",
)  # fmt: skip

DAMAGE_ATTRIBUTES = (
    "z_um", "y_um", "x_um", "yaw_deg", "pitch_deg", "roll_deg", "electron_density_mean_body",
    "surface_outer_um2", "volume_um3", "elongation", "sphericity_wadell", "roughness_outer",
    "contact_fraction", "packing_density", "distance_nearest_um", "elongation_std_neighbours",
    "volume_std_neighbours_um3", "orientation_isotropy",
)  # fmt: skip
"""Attributes of Li et al. 2022, table S1, that damage may be explained by.

Left out are those that cracks themselves decide: the inner surface and its roughness; sphericity
and VSratio, which count the inner surface (Wadell's sphericity of the outer one stands for them);
and grey values of the filled particle, in which cracks are dark (that of the body stands for its
electron density; homogeneity has no such twin).
"""

ATTRIBUTE_GROUPS = {
    "position": ("x_um", "y_um", "z_um", "depth_fraction", "yaw_deg", "pitch_deg", "roll_deg"),
    "chemistry": (
        "electron_density_mean", "electron_density_mean_body", "electron_density_std",
        "homogeneity",
    ),
    "particle structure": (
        "surface_inner_um2", "surface_outer_um2", "volume_um3", "damage", "elongation",
        "sphericity", "sphericity_wadell", "vs_ratio", "roughness_inner", "roughness_outer",
        "equivalent_diameter_um",
    ),
    "local morphology": (
        "contact_fraction", "contact_fraction_ring", "packing_density", "distance_nearest_um",
        "elongation_std_neighbours", "volume_std_neighbours_um3", "sphericity_std_neighbours",
        "orientation_isotropy", "orientation_std_neighbours_deg", "detachment",
    ),
}  # fmt: skip
"""Groups of attributes, after Li et al. 2022, table S1."""

PARTICLES_2D = (
    "label", "pixels", "x_px", "y_px", "area_px2", "area_um2", "perimeter_px", "perimeter_um",
    "equivalent_diameter_px", "equivalent_diameter_um", "feret_max_px", "feret_max_um",
    "feret_min_px", "feret_min_um", "axis_major_px", "axis_major_um", "axis_minor_px",
    "axis_minor_um", "orientation_deg", "aspect_ratio", "circularity", "solidity",
    "brightness_mean", "brightness_std", "distance_nearest_px", "distance_nearest_um",
    "neighbours", "touches_border", "segmentation_confidence",
)  # fmt: skip

REQUIRED_3D = (
    "voxels", "x_um", "y_um", "z_um", "volume_um3", "body_volume_um3", "crack_volume_um3", "damage",
    "touches_border", "neighbours",
)  # fmt: skip

REQUIRED_2D = ("pixels", "x_px", "y_px", "area_px2", "touches_border", "neighbours")

STATISTICS = ("statistic", "bin_lower", "bin_upper", "unit", "value", "std", "count")
