"""How annotated images of a collection are read: part of its recipe.

Out of scope: reading them (`graindex.annotations`).
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

MaskValues = Literal["auto", "instances", "binary"]
"""What label images hold: a value for each particle, or one for all; told apart if possible."""

DEFAULT_CLASS = "particle"
"""Class of particles where neither the annotation nor the recipe names one."""


class AnnotationSettings(BaseModel):
    """Where the annotations of a collection lie, and what is expected of them.

    Attributes:
        uri: folder of label images, or one COCO or VIA file; None where nothing is annotated.
        classes: the only classes there may be; any where none is named.
        max_overlap: share of the smaller of two particles that they may have in common.
        mask_values: what values of label images are.
        allow_empty: whether an empty annotation says that an image has no particles.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    uri: str | None = None
    classes: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    max_overlap: float = Field(default=0.1, ge=0, le=1, allow_inf_nan=False)
    mask_values: MaskValues = "auto"
    allow_empty: bool = False

    @field_validator("classes")
    @classmethod
    def _each_once(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(classes)) < len(classes):
            message = f"a class is named twice among {', '.join(classes)}"
            raise ValueError(message)
        return classes
