"""A planted collection of solid electrolytes whose conductivity their structure decides.

Recipes of two materials decide grain size and porosity up to a scatter, which images show and
recipes do not; composition decides the conductivity of the grains, which no image shows. So an
image, its recipe and its composition each know a part, as in Murakami et al., Digital Discovery
2025, doi 10.1039/d5dd00232j. How an image is taken is drawn without regard to any of them.
Out of scope: the law (`models.phantoms.conductivity`), rendering (`models.phantoms.sem`), files.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from models.phantoms.collection import PhantomFile
from models.phantoms.conductivity import (
    CERAMICS,
    Ceramic,
    conductivity_s_per_cm,
    grain_diameter_um,
    porosity,
)
from models.phantoms.databar import DATABAR_MIN_WIDTH_PX
from models.phantoms.sem import SemPhantom

CONDUCTIVITY_LABEL_PATTERN = r"(?P<material>garnet|nasicon)/(?P<sample>[GN]\d{3})/field_\d+\.png"
"""Reads the relative paths of `conductivity_collection`; the groups become columns of `samples`."""

NOISE_DECADES = 0.05
"""Standard deviation of log10 of what is measured about the law."""

GRAIN_SCATTER, PORE_SCATTER = 0.10, 0.30
"""Standard deviations of the logarithms of grain size and porosity about their recipe, at most
twice which a specimen is off."""

COLUMNS = (
    "sample",
    "material",
    "dopant_fraction",
    "sintering_temperature_c",
    "sintering_time_h",
    "conductivity_s_per_cm",
    "grain_diameter_planted_um",
    "porosity_planted",
)
"""Of the samples table, in order."""

_TEMPERATURES = 5
_TIMES_H = (1.0, 4.0, 16.0)
_BRIGHTNESS = (90.0, 150.0)
_CONTRAST = (22.0, 38.0)
_NOISE = (3.0, 7.0)
_ROUGHNESS = (0.2, 0.6)
_SHAPE_PX = (512, 768)
_FIRST_SESSION = datetime(2026, 5, 4, 9, 0)
_SPECIMEN_STREAM, _FILE_STREAM, _SESSION_STREAM = range(3)


@dataclass(frozen=True, slots=True)
class Electrolyte:
    """One synthetic specimen.

    Attributes:
        number: from 1.
        material: key of `CERAMICS`.
        dopant_fraction: its composition.
        sintering_temperature_c: of its recipe.
        sintering_time_h: of its recipe.
        grain_diameter_um: as it came out.
        porosity: as it came out.
        conductivity_s_per_cm: as it was measured at 30 °C, with noise.
    """

    number: int
    material: str
    dopant_fraction: float
    sintering_temperature_c: float
    sintering_time_h: float
    grain_diameter_um: float
    porosity: float
    conductivity_s_per_cm: float

    @property
    def sample(self) -> str:
        """``"G001"``, ``"N002"``, …."""
        return f"{self.material[0].upper()}{self.number:03d}"


def electrolytes(count: int = 48, seed: int = 0) -> tuple[Electrolyte, ...]:
    """Specimens of both materials in turn; the first ones do not depend on `count`.

    Recipes are drawn from five temperatures and three times, dopant fractions evenly.

    Raises:
        ValueError: if `count` is below 1 or above 999, or `seed` is negative.
    """
    if not 1 <= count <= 999 or seed < 0:
        raise ValueError(f"take 1…999 specimens and no negative seed, got {count} and {seed}")
    return tuple(_electrolyte(number, seed) for number in range(1, count + 1))


def _electrolyte(number: int, seed: int) -> Electrolyte:
    rng = np.random.default_rng([seed, _SPECIMEN_STREAM, number])
    material = tuple(CERAMICS)[(number - 1) % len(CERAMICS)]
    ceramic = CERAMICS[material]
    temperature_c, hours = _recipe(ceramic, rng)
    fraction = float(rng.uniform(*ceramic.fractions))
    off = np.clip(rng.normal(0, 1, 2), -2, 2)
    grain, pores = np.exp(off * (GRAIN_SCATTER, PORE_SCATTER)).tolist()
    diameter_um = grain_diameter_um(ceramic, temperature_c, hours) * grain
    share = porosity(ceramic, temperature_c, hours) * pores
    true = conductivity_s_per_cm(ceramic, fraction, diameter_um, share)
    return Electrolyte(
        number=number,
        material=material,
        dopant_fraction=fraction,
        sintering_temperature_c=temperature_c,
        sintering_time_h=hours,
        grain_diameter_um=diameter_um,
        porosity=share,
        conductivity_s_per_cm=true * 10 ** float(rng.normal(0, NOISE_DECADES)),
    )


def _recipe(ceramic: Ceramic, rng: np.random.Generator) -> tuple[float, float]:
    temperatures_c = np.linspace(*ceramic.sintering_c, _TEMPERATURES)
    return float(rng.choice(temperatures_c)), float(rng.choice(_TIMES_H))


def conductivity_collection(
    n: int = 144,
    seed: int = 0,
    specimens: int = 48,
    shape_px: tuple[int, int] = _SHAPE_PX,
) -> Iterator[PhantomFile]:
    """Describe `n` micrographs, a field of view of each specimen in turn.

    The first are field 1 of every specimen, the next ones field 2, and so on; a specimen is imaged
    in one session, three sessions a day in random order, its fields about 4 minutes apart.
    Brightness, contrast, noise and the roughness of the faces are drawn for each image anew. File
    `i` does not depend on `n`.

    Args:
        n: number of micrographs; 144 is three fields of each of 48 specimens.
        seed: of everything that is drawn.
        specimens: how many there are.
        shape_px: (Y, X) of the content, at least 144 a side; a databar follows where it is wide
            enough.

    Yields:
        Path and configuration; `models.phantoms.sem.render` makes the pixels.

    Raises:
        ValueError: if `n` or `seed` is negative, or the images are too small for their grains.
    """
    if n < 0:
        raise ValueError(f"n must not be negative, got {n}")
    known = electrolytes(specimens, seed)
    order = np.random.default_rng([seed, _SESSION_STREAM]).permutation(specimens).tolist()
    for i in range(n):
        field, index = divmod(i, specimens)
        rng = np.random.default_rng([seed, _FILE_STREAM, i])
        day, slot = divmod(order[index], 3)
        started = _FIRST_SESSION + timedelta(days=day, hours=2.5 * slot)
        specimen = known[index]
        yield PhantomFile(
            relative_path=f"{specimen.material}/{specimen.sample}/field_{field + 1}.png",
            config=_config(specimen, shape_px, rng, started + timedelta(minutes=4 * field)),
        )


def _config(
    specimen: Electrolyte,
    shape_px: tuple[int, int],
    rng: np.random.Generator,
    acquired_at: datetime,
) -> SemPhantom:
    return SemPhantom(
        seed=int(rng.integers(2**63)),
        grain_diameter_um=specimen.grain_diameter_um,
        porosity=specimen.porosity,
        roughness=float(rng.uniform(*_ROUGHNESS)),
        brightness=float(rng.uniform(*_BRIGHTNESS)),
        contrast=float(rng.uniform(*_CONTRAST)),
        noise_std=float(rng.uniform(*_NOISE)),
        shape_px=shape_px,
        acquired_at=acquired_at,
        databar=shape_px[1] >= DATABAR_MIN_WIDTH_PX,
    )


def conductivity_samples_csv(specimens: int = 48, seed: int = 0) -> str:
    """The samples table of the collection, to be joined by `sample`.

    Returns:
        CSV with `COLUMNS`; those named planted are the truth that images show. LF line ends.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(
        (
            one.sample,
            one.material,
            f"{one.dopant_fraction:.4f}",
            f"{one.sintering_temperature_c:g}",
            f"{one.sintering_time_h:g}",
            f"{one.conductivity_s_per_cm:.6e}",
            f"{one.grain_diameter_um:.4f}",
            f"{one.porosity:.4f}",
        )
        for one in electrolytes(specimens, seed)
    )
    return text.getvalue()
