"""Columns that only particles in images have.

Out of scope: how they are computed (`models.measure.particles_2d`).
"""

from schemas.field import count, number

FIELDS_2D = (
    count("pixels", "Pixels of the particle.", "px", lower=1),
    number("x_px", "px", "Centroid along x, in pixels from the centre of the first column."),
    number("y_px", "px", "Centroid along y, in pixels from the centre of the first row."),
    number("area_px2", "px²", "Area.", lower=0, exclusive_lower=True),
    number("area_um2", "µm²", "Area; null without a pixel size.", lower=0),
    number(
        "perimeter_px", "px", "Perimeter, by the Crofton formula over four directions.", lower=0
    ),
    number(
        "perimeter_um", "µm", "Perimeter, by the Crofton formula over four directions.", lower=0
    ),
    number("equivalent_diameter_px", "px", "Diameter of the disc of equal area.", lower=0),
    number("feret_max_px", "px", "Largest distance between parallel tangents.", lower=0),
    number("feret_max_um", "µm", "Largest distance between parallel tangents.", lower=0),
    number("feret_min_px", "px", "Smallest distance between parallel tangents.", lower=0),
    number("feret_min_um", "µm", "Smallest distance between parallel tangents.", lower=0),
    number("axis_major_px", "px", "Longer axis of the ellipse with its second moments.", lower=0),
    number("axis_minor_px", "px", "Shorter axis of the ellipse with its second moments.", lower=0),
    number(
        "orientation_deg",
        "°",
        "Direction of the longer axis; null where the axes are alike.",
        lower=-180,
        upper=180,
    ),
    number("aspect_ratio", "1", "Longer over shorter axis.", lower=1),
    number("circularity", "1", "Circularity; 1 for a disc.", lower=0, formula="4 π A / P²"),
    number("solidity", "1", "Area over that of the convex hull.", lower=0, upper=1 + 1e-9),
    number(
        "brightness_std", "grey", "Standard deviation of the grey values of the particle.", lower=0
    ),
    number(
        "distance_nearest_px",
        "px",
        "Mean distance of centroids to the six nearest particles.",
        lower=0,
    ),
)
