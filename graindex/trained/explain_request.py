"""How a model is to be explained, as its definition says.

Out of scope: explaining it (`graindex.trained.drivers`).
"""

from pydantic import BaseModel, ConfigDict, Field


class ExplainRequest(BaseModel):
    """What is found out about the drivers of a model.

    Attributes:
        compare: column of `samples`, such as cycles: a model of its own is fitted for each of its
            values, and what drives them is compared.
        draws: models of rows drawn by chance, of all rows or of each value that is compared.
        draw_rows: rows of a draw; of few rows four fifths.
        seeds: models of the same rows by other random numbers.
        autoencoder: also how features go together, once an autoencoder took the noise out of them.
        rows: rows at most whose Shapley values are kept, drawn by chance.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    compare: str | None = None
    draws: int = Field(default=0, ge=0, le=1000)
    draw_rows: int = Field(default=500, ge=10)
    seeds: int = Field(default=0, ge=0, le=1000)
    autoencoder: bool = False
    rows: int = Field(default=2000, ge=10)
