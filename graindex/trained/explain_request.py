"""How a model is to be explained, as its definition says.

Out of scope: explaining it (`graindex.trained.drivers`).
"""

from pydantic import BaseModel, ConfigDict, Field, field_validator


class ExplainRequest(BaseModel):
    """What is found out about the drivers of a model.

    Attributes:
        compare: column of `samples`, such as cycles: a model of its own is fitted for each of its
            values, and what drives them is compared.
        draws: models of rows drawn by chance, of all rows or of each value that is compared.
        draw_rows: rows of a draw; of few rows four fifths.
        seeds: models of the same rows by other random numbers.
        by: columns of `micrograph_catalog`, such as magnification: metrics of the rows with each
            of their values.
        autoencoder: also how features go together, once an autoencoder took the noise out of them.
        rows: rows at most, drawn by chance, whose Shapley values are kept and make the importance.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    compare: str | None = None
    draws: int = Field(default=0, ge=0, le=1000)
    draw_rows: int = Field(default=500, ge=10)
    seeds: int = Field(default=0, ge=0, le=1000)
    rows: int = Field(default=2000, ge=10)
    by: tuple[str, ...] = ()
    autoencoder: bool = False

    @field_validator("by", mode="before")
    @classmethod
    def _one_alone(cls, given: object) -> object:
        return (given,) if isinstance(given, str) else given
