"""Columns of statistics over a whole electrode, each with its unit beside it.

Out of scope: how they are computed (`models.measure.electrode_statistics`).
"""

from schemas.field import Field, Kind, count, text

STATISTIC_FIELDS = (
    text(
        "entity",
        "What a statistic is of.",
        values=("volume", "specimen", "collection"),
    ),
    text(
        "entity_id",
        "Key of what the row is of: of a specimen, image, volume or particle, or a name.",
    ),
    count("bin", "Number of the class that the value is of; 0 of all."),
    text("statistic", "Name of a statistic of a whole electrode."),
    Field("bin_lower", Kind.NUMBER, "Lower limit of the class that the value is of; null of all."),
    Field("bin_upper", Kind.NUMBER, "Upper limit of the class that the value is of; null of all."),
    text("unit", "Unit of the value and of its standard deviation."),
    Field("value", Kind.NUMBER, "Value, in `unit`; null where nothing is known."),
    Field(
        "std",
        Kind.NUMBER,
        "Standard deviation of the population behind a mean; standard error of an unfolded share "
        "and of a percentile of diameters.",
        lower=0,
    ),
    count("count", "Particles or voxels that the value rests on."),
)
