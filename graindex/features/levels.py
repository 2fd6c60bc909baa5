"""Which entity a row of each table tells of, and how entities hang together.

Out of scope: queries (`graindex.features.frames`).
"""

from dataclasses import dataclass
from typing import Literal

from graindex.entities import KEYS, EntityKind, ParticleTable

Relation = Literal["same", "above", "below"]


@dataclass(frozen=True, slots=True)
class Level:
    """What rows of a table are of.

    Attributes:
        kind: kind of entity that `key` names.
        unique: whether an entity has at most one row; else rows are its parts.
        counted_in: table with a row for each entity whose parts were looked for; an entity that
            is not in it has an unknown number of parts, not none.
    """

    kind: EntityKind
    unique: bool = True
    counted_in: str | None = None

    @property
    def key(self) -> str:
        """Column that names the entity."""
        return KEYS[self.kind]


LEVELS: dict[str, Level] = {
    "samples": Level("sample"),
    "micrographs": Level("micrograph"),
    "image_quality": Level("micrograph"),
    "particle_masks_2d": Level("micrograph"),
    "particle_annotations": Level("micrograph"),
    "volumes": Level("volume"),
    "particle_labels_3d": Level("volume"),
    "particles_2d": Level("micrograph", unique=False, counted_in="particle_masks_2d"),
    "particles_3d": Level("volume", unique=False, counted_in="particle_labels_3d"),
    "contacts": Level("volume", unique=False, counted_in="particle_labels_3d"),
    "volume_phases": Level("volume", unique=False),
}

_ABOVE_PARTICLES: dict[ParticleTable, EntityKind] = {
    "particles_2d": "micrograph",
    "particles_3d": "volume",
}


def level_of(table: str, entity: EntityKind, particles: ParticleTable) -> Level:
    """What rows of a table are of, where features are of `entity`.

    Rows of the table of particles are entities themselves where particles are asked about.
    """
    if entity == "particle" and table == particles:
        return Level("particle")
    return LEVELS[table]


def chain(entity: EntityKind, particles: ParticleTable) -> tuple[EntityKind, ...]:
    """An entity and what it is part of, from itself up."""
    if entity == "sample":
        return ("sample",)
    if entity == "particle":
        return ("particle", _ABOVE_PARTICLES[particles], "sample")
    return (entity, "sample")


def relation(kind: EntityKind, entity: EntityKind, particles: ParticleTable) -> Relation | None:
    """How entities of `kind` stand to those of `entity`; None where neither is part of the other.

    Args:
        kind: the one.
        entity: the other.
        particles: table that particles, on either side, are taken from.
    """
    if kind == entity:
        return "same"
    if kind in chain(entity, particles):
        return "above"
    return "below" if entity in chain(kind, particles) else None
