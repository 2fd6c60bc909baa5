"""Columns of particles in volumes and of the contacts between them.

Numbers in brackets are those of Table S1 in Li et al., Science 376, 517 (2022), supplementary text.

Out of scope: columns of images alone (`schemas.particle_fields_2d`), and how any is computed
(`models.measure`).
"""

from schemas.field import HEX_ID, Field, Kind, count, number, text
from schemas.papers import li
from schemas.particle_fields_2d import FIELDS_2D
from schemas.surroundings_fields import CONTACT, SURROUNDINGS_3D

_PARTICLE = (
    text(
        "particle_id",
        "Key of the particle within the store; the same as long as its labels are.",
        pattern=HEX_ID,
        formula="first 16 hex digits of SHA-256(image or volume, labels, label)",
    ),
    count("label", "Value of the particle in its label image or volume.", lower=1),
    Field("touches_border", Kind.BOOLEAN, "Whether the edge of the image or volume cuts it."),
    count("neighbours", "Neighbouring particles that the neighbour columns rest on, at most six."),
    number(
        "equivalent_diameter_um", "µm", "Diameter of the ball or disc of equal content.", lower=0
    ),
    number(
        "axis_major_um",
        "µm",
        "Longest axis of the ellipsoid or ellipse with its second moments.",
        lower=0,
    ),
    number(
        "axis_minor_um",
        "µm",
        "Shortest axis of the ellipsoid or ellipse with its second moments.",
        lower=0,
    ),
    number(
        "distance_nearest_um",
        "µm",
        "Mean distance of centroids to the six nearest particles.",
        lower=0,
        source=li("21 DistNearest"),
    ),
    number(
        "segmentation_confidence",
        "1",
        "Share of particles found alike that were right, by images, or phantom volumes, that the "
        "network did not learn from; null where the method gives none.",
        lower=0,
        upper=1,
    ),
)

_SHAPE_3D = (
    count("voxels", "Voxels of the body.", "voxel", lower=1),
    number("x_um", "µm", "Centroid of the filled particle along x.", source=li("1 X")),
    number("y_um", "µm", "Centroid of the filled particle along y.", source=li("2 Y")),
    number("z_um", "µm", "Centroid of the filled particle along z, the depth.", source=li("3 Z")),
    number(
        "yaw_deg",
        "°",
        "Rotation of the principal axes about z; null where two axes are within 2 %.",
        lower=-180,
        upper=180,
        source=li("4 Yaw"),
    ),
    number(
        "pitch_deg",
        "°",
        "Rotation of the principal axes about y; null where two axes are within 2 %.",
        lower=-180,
        upper=180,
        source=li("5 Pitch"),
    ),
    number(
        "roll_deg",
        "°",
        "Rotation of the principal axes about x; null where two axes are within 2 %.",
        lower=-180,
        upper=180,
        source=li("6 Roll"),
    ),
    number(
        "volume_um3",
        "µm³",
        "Volume of the filled particle: body and cracks.",
        lower=0,
        exclusive_lower=True,
        source=li("11 Volume"),
    ),
    number(
        "body_volume_um3",
        "µm³",
        "Volume of the labelled voxels.",
        lower=0,
        exclusive_lower=True,
        formula="voxels × voxel volume",
    ),
    number("crack_volume_um3", "µm³", "Volume of the cracks: filled without body.", lower=0),
    number(
        "damage",
        "1",
        "Share of the filled particle that is crack.",
        lower=0,
        upper=1,
        formula="crack_volume_um3 / volume_um3",
        source=li("12 Damage"),
    ),
    number(
        "surface_outer_um2",
        "µm²",
        "Boundary of the filled particle, from crossings along 13 directions.",
        lower=0,
        source=li("10 SurfaceOuter"),
    ),
    number(
        "surface_inner_um2",
        "µm²",
        "Boundary between body and cracks, from crossings along 13 directions.",
        lower=0,
        source=li("9 SurfaceInner"),
    ),
    number(
        "axis_middle_um", "µm", "Middle axis of the ellipsoid with its second moments.", lower=0
    ),
    number(
        "elongation",
        "1",
        "Longest over shortest principal axis.",
        lower=1,
        formula="axis_major_um / axis_minor_um",
        source=li("13 Elongation"),
    ),
    number(
        "sphericity",
        "1",
        "Cube of Wadell's sphericity over outer and inner surface; 1 for a ball.",
        lower=0,
        formula="36 π V² / (S_outer + S_inner)³",
        source=li("14 Sphericity"),
    ),
    number(
        "sphericity_wadell",
        "1",
        "Surface of the ball of equal volume over the outer surface.",
        lower=0,
        formula="π^(1/3) (6 V)^(2/3) / S_outer",
        source="Wadell, J. Geol. 43, 250 (1935)",
    ),
    number(
        "vs_ratio",
        "1",
        "Cube root of the volume over square root of the surface.",
        lower=0,
        formula="V^(1/3) / (S_outer + S_inner)^(1/2)",
        source=li("15 VSratio"),
    ),
    number(
        "roughness_inner",
        "1",
        "Inner surface after a 3 × 3 × 3 median filter over before; 1 is smooth.",
        lower=0,
        source=li("16 RoughInner"),
    ),
    number(
        "roughness_outer",
        "1",
        "Outer surface after a 3 × 3 × 3 median filter over before; 1 is smooth.",
        lower=0,
        source=li("17 RoughOuter"),
    ),
)

_CALIBRATION = (
    number(
        "calibration_um",
        "µm",
        "Voxel size along z that lengths, areas and volumes of the row rest on.",
        lower=0,
        exclusive_lower=True,
    ),
)

_GREY_3D = (
    number(
        "electron_density_mean",
        "grey",
        "Mean of the grey volume over the filled particle, in its own unit.",
        source=li("7 EDensity"),
    ),
    number(
        "electron_density_mean_body",
        "grey",
        "Mean of the grey volume over the body, in its own unit.",
    ),
    number(
        "electron_density_std",
        "grey",
        "Standard deviation of the grey volume over the filled particle.",
        lower=0,
    ),
    number(
        "homogeneity",
        "1/grey",
        "Inverse of the standard deviation of the grey volume over the filled particle.",
        lower=0,
        formula="1 / electron_density_std",
        source=li("8 Homogeneity"),
    ),
    count(
        "grey_not_finite_voxels",
        "Voxels whose grey value is not finite, left out of the means.",
        "voxel",
    ),
)

PARTICLE_FIELDS = (
    *_PARTICLE,
    *_SHAPE_3D,
    *_CALIBRATION,
    *_GREY_3D,
    *SURROUNDINGS_3D,
    *CONTACT,
    *FIELDS_2D,
)
