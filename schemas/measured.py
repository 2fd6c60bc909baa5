"""Tables of particles as `graindex measure` writes them from one label image or volume.

Out of scope: tables of a store (`schemas.tables`).
"""

from schemas.particle_columns import (
    PARTICLES_2D,
    PARTICLES_3D,
    REQUIRED_2D,
    REQUIRED_3D,
    STATISTICS,
)
from schemas.table import Table

MEASURED: dict[str, Table] = {
    table.name: table
    for table in (
        Table(
            "particles_3d",
            "particle of a label volume",
            PARTICLES_3D,
            key=("label",),
            required=REQUIRED_3D,
        ),
        Table(
            "particles_2d",
            "particle of a label image",
            PARTICLES_2D,
            key=("label",),
            required=REQUIRED_2D,
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
            STATISTICS,
            key=(),
            required=("statistic", "unit", "count"),
        ),
    )
}
