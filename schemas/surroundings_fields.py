"""Columns of what surrounds a particle in a volume: others, binder, depth; and of contacts.

Out of scope: the particle itself (`schemas.particle_fields`).
"""

from schemas.field import HEX_ID, count, number, text
from schemas.papers import JIANG, li

SURROUNDINGS_3D = (
    number(
        "contact_fraction",
        "1",
        "Share of the outer surface that other particles touch.",
        lower=0,
        upper=1,
        source=li("19 Contact"),
    ),
    number(
        "contact_fraction_ring",
        "1",
        "Share of a ring around the particle that other particles fill.",
        lower=0,
        upper=1,
        source=li("19 Contact, as its published code counts it"),
    ),
    number(
        "packing_density",
        "1",
        "Share of a cube around the centroid, as far as it lies inside, that is particles.",
        lower=0,
        upper=1,
        source=li("20 PDensity"),
    ),
    number(
        "packing_clipped_fraction",
        "1",
        "Share of that cube that lies outside the volume.",
        lower=0,
        upper=1,
    ),
    number(
        "elongation_std_neighbours",
        "1",
        "Standard deviation of elongation over the six nearest particles.",
        lower=0,
        source=li("22 ElongStd"),
    ),
    number(
        "volume_std_neighbours_um3",
        "µm³",
        "Standard deviation of volume over the six nearest particles.",
        lower=0,
        source=li("23 VolumeStd"),
    ),
    number(
        "sphericity_std_neighbours",
        "1",
        "Standard deviation of sphericity over the six nearest particles.",
        lower=0,
    ),
    number(
        "orientation_isotropy",
        "1",
        "Largest eigenvalue of the mean orientation tensor of the six nearest; 1 aligned.",
        lower=0,
        upper=1 + 1e-9,
        source=li("24 OrienIso, as a tensor"),
    ),
    number(
        "orientation_std_neighbours_deg",
        "°",
        "Largest of the standard deviations of the three angles over the six nearest particles.",
        lower=0,
        source=li("24 OrienIso, as its published code counts it"),
    ),
    number(
        "detachment",
        "1",
        "Share of the outer surface that faces neither carbon-binder nor another particle.",
        lower=0,
        upper=1,
        source=JIANG,
    ),
    number(
        "conduction_path_mean_um",
        "µm",
        "Mean over the body's voxels of the shortest path inside it to the carbon-binder.",
        lower=0,
        source=JIANG,
    ),
    number(
        "conduction_path_max_um",
        "µm",
        "Shortest path inside the body from its farthest point to the carbon-binder.",
        lower=0,
        source=JIANG,
    ),
    number(
        "depth_fraction",
        "1",
        "Depth of the centroid: 0 at the current collector, 1 at the separator.",
        lower=0,
        upper=1,
    ),
)

CONTACT = (
    count("label_a", "Label of the first particle, the smaller number.", lower=1),
    count("label_b", "Label of the second particle, the larger number.", lower=1),
    text("particle_a_id", "Key of the first particle.", pattern=HEX_ID),
    text("particle_b_id", "Key of the second particle.", pattern=HEX_ID),
    number(
        "contact_area_um2",
        "µm²",
        "Area of the contact, from crossings along 13 directions at one and two steps.",
        lower=0,
    ),
)
