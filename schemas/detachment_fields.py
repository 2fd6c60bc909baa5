"""Columns of detachment: groups of particles, comparisons, correlations, peaks of phases.

Out of scope: how they are computed (`models.measure.group_statistics`,
`models.measure.paired_statistics`, `models.measure.peak_widths`).
"""

from schemas.field import count, number, text

_JIANG = "Jiang et al., Nat. Commun. 11 (2020) 2310"

_GROUPS = (
    text("group_by", "Column of `samples` that groups volumes, such as c_rate; `volume` without."),
    text("group_name", "Value of that column, or `volume_id`; `all` for all of them."),
    count("size_class", "Number of the class of equal counts by diameter, from 1; 0 of all sizes."),
    number("diameter_lower_um", "µm", "Least diameter of the size class.", lower=0),
    number("diameter_upper_um", "µm", "Greatest diameter of the size class.", lower=0),
    count("whole_particle_count", "Particles that no border cuts and whose detachment is known."),
    count("volume_count", "Volumes that those particles lie in."),
    number(
        "detachment_mean", "1", "Mean detachment of particles.", lower=0, upper=1, source=_JIANG
    ),
    number(
        "detachment_std",
        "1",
        "Standard deviation of the detachment of particles, with N − 1.",
        lower=0,
    ),
    number(
        "detachment_standard_error",
        "1",
        "Standard error of the mean, were the particles independent specimens.",
        formula="detachment_std / sqrt(whole_particle_count)",
        lower=0,
    ),
    number(
        "detachment_standard_error_volumes",
        "1",
        "Standard error of the mean over the means of volumes; null for one volume.",
        lower=0,
    ),
    number("detachment_q25", "1", "Lower quartile of the detachment.", lower=0, upper=1),
    number("detachment_median", "1", "Median of the detachment.", lower=0, upper=1),
    number("detachment_q75", "1", "Upper quartile of the detachment.", lower=0, upper=1),
)

_COMPARISONS = (
    text("compared_by", "What tells the two apart.", values=("group", "size_class")),
    text("within", "Size class, or group, that both lie in; `all` where all are compared."),
    text("level", "What is compared.", values=("particles", "volumes")),
    text("test", "Test of the difference.", values=("mann-whitney", "kruskal-wallis")),
    text("first_name", "Group or size class that is compared; `all` of a test of all at once."),
    text("second_name", "The one that it is compared with; `all` of a test of all at once."),
    count("first_count", "Particles, or volumes, of the first."),
    count("second_count", "Particles, or volumes, of the second."),
    count("first_volume_count", "Volumes that the first lies in."),
    count("second_volume_count", "Volumes that the second lies in."),
    number(
        "effect_size",
        "1",
        "Cliff's delta, above 0 where the second has more detachment; epsilon squared of a test of "
        "all at once.",
        lower=-1,
        upper=1,
        formula="P(second > first) − P(second < first)",
    ),
    number("p_value", "1", "Two-sided p-value, not corrected.", lower=0, upper=1),
    number(
        "p_holm",
        "1",
        "P-value after Holm, for all pairs of the same level in the collection; null of a test of "
        "all at once.",
        lower=0,
        upper=1,
    ),
)

_CORRELATIONS = (
    text("correlated_of", "What particles are of.", values=("all", "group", "volume")),
    text("x_attribute", "Column of `particles_3d`."),
    text("y_attribute", "Column of `particles_3d` that is correlated with it."),
    number("pearson", "1", "Pearson correlation of the two.", lower=-1, upper=1, source=_JIANG),
    number(
        "pearson_lower",
        "1",
        "Lower end of the 95 % interval of it, were particles independent.",
        lower=-1,
        upper=1,
    ),
    number(
        "pearson_upper",
        "1",
        "Upper end of the 95 % interval of it, were particles independent.",
        lower=-1,
        upper=1,
    ),
    number("spearman", "1", "Correlation of their ranks.", lower=-1, upper=1),
    number(
        "spearman_lower",
        "1",
        "Lower end of the 95 % interval of it, were particles independent.",
        lower=-1,
        upper=1,
    ),
    number(
        "spearman_upper",
        "1",
        "Upper end of the 95 % interval of it, were particles independent.",
        lower=-1,
        upper=1,
    ),
    number("slope", "y/x", "Slope of y over x by least squares."),
    number(
        "slope_lower",
        "y/x",
        "Lower end of the 95 % interval of the slope, were particles independent.",
    ),
    number(
        "slope_upper",
        "y/x",
        "Upper end of the 95 % interval of the slope, were particles independent.",
    ),
    number("intercept", "y", "Value of the line at x = 0."),
)

_PEAKS = (
    text("phase_name", "What the phase is called."),
    count("inner_voxels", "Voxels of the phase whose six neighbours are of it too.", "voxel"),
    number("peak_grey", "grey", "Position of the highest peak of the phase's grey values."),
    number(
        "fwhm_grey",
        "grey",
        "Full width of that peak at half its height; null where the type of the voxels cuts it "
        "off, or voxels are few.",
        lower=0,
        source=f"{_JIANG}, supplementary figure 8",
    ),
    number("grey_mean", "grey", "Mean of the phase's grey values."),
    number("grey_std", "grey", "Standard deviation of the phase's grey values.", lower=0),
)

DETACHMENT_FIELDS = (*_GROUPS, *_COMPARISONS, *_CORRELATIONS, *_PEAKS)
