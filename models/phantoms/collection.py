"""A demonstration collection: twelve specimens of known process, structure and brightness.

Out of scope: rendering (`models.phantoms.sem`) and writing files.
"""

import csv
import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from models.phantoms.sem import SemPhantom

TEMPERATURES_C = {"fine": 1100.0, "medium": 1150.0, "coarse": 1200.0}
ROUGHNESSES = {"smooth": 0.2, "rough": 0.8}
BRIGHTNESS_LEVELS = (95.0, 145.0)

DEMO_LABEL_PATTERN = (
    r"(?P<texture_class>(?:fine|medium|coarse)_(?:smooth|rough))"
    r"/(?P<sample>S\d{2})"
    r"_grain(?P<grain_diameter_um>\d+\.\d+)um"
    r"_rough(?P<roughness>\d\.\d+)"
    r"/field_\d+\.png"
)
"""Reads the relative paths of `demo_collection`; the named groups become columns of `samples`."""

_FIRST_SESSION = datetime(2026, 3, 2, 10, 15)
_BRIGHTNESS_DRIFT = 3.0  # grey levels between fields of one specimen, either way


@dataclass(frozen=True, slots=True)
class Specimen:
    """One synthetic specimen; `brightness_level` is the nominal mean grey level of its images."""

    number: int
    grain_class: str
    face_class: str
    brightness_level: float

    @property
    def sample(self) -> str:
        """``"S01"`` … ``"S12"``."""
        return f"S{self.number:02d}"

    @property
    def sintering_temperature_c(self) -> float:
        """Process parameter of the grain class."""
        return TEMPERATURES_C[self.grain_class]

    @property
    def grain_diameter_um(self) -> float:
        """Grain diameter by the growth law."""
        return grain_diameter_um(self.sintering_temperature_c)

    @property
    def roughness(self) -> float:
        """Roughness of the face class."""
        return ROUGHNESSES[self.face_class]

    @property
    def folder(self) -> str:
        """``"fine_rough/S03_grain2.0um_rough0.8"``."""
        return (
            f"{self.grain_class}_{self.face_class}/"
            f"{self.sample}_grain{self.grain_diameter_um:.1f}um_rough{self.roughness:.1f}"
        )


@dataclass(frozen=True, slots=True)
class PhantomFile:
    """A micrograph to render and the path, relative to the collection, to put it at."""

    relative_path: str
    config: SemPhantom


def grain_diameter_um(sintering_temperature_c: float) -> float:
    """Growth law of the demonstration: d = 2 µm · 2^((T − 1100 °C) / 50 °C).

    2, 4 and 8 µm at 1100, 1150 and 1200 °C; strictly increasing, log-linear. Made up: no material
    is meant.
    """
    return float(2.0 * 2.0 ** ((sintering_temperature_c - 1100.0) / 50.0))


def demo_specimens() -> tuple[Specimen, ...]:
    """All twelve combinations of 3 grain sizes, 2 roughnesses and 2 brightness levels."""
    grid = itertools.product(TEMPERATURES_C, ROUGHNESSES, BRIGHTNESS_LEVELS)
    return tuple(Specimen(number, *levels) for number, levels in enumerate(grid, start=1))


def demo_collection(n: int = 48, seed: int = 0) -> Iterator[PhantomFile]:
    """Describe `n` micrographs of the twelve specimens, a field of view of each in turn.

    The first 12 are field 1 of every specimen, the next 12 field 2, and so on. A specimen is imaged
    in one session, three sessions a day in random order, so that dates tell nothing about classes;
    its fields are about 4 minutes apart, and their brightness differs from the specimen's level by
    up to 3 grey levels. File `i` does not depend on `n`.

    Args:
        n: number of micrographs; 48 is four fields of each specimen.
        seed: of arrangement, brightness and times.

    Yields:
        Path and configuration; `models.phantoms.sem.render` makes the pixels.

    Raises:
        ValueError: if `n` or `seed` is negative.
    """
    if n < 0 or seed < 0:
        raise ValueError(f"n and seed must not be negative, got n={n}, seed={seed}")
    specimens = demo_specimens()
    sessions = np.random.default_rng(seed).permutation(len(specimens)).tolist()
    for i in range(n):
        field, index = divmod(i, len(specimens))
        specimen = specimens[index]
        rng = np.random.default_rng([seed, i + 1])  # [seed, 0] is the stream of the sessions
        yield PhantomFile(
            relative_path=f"{specimen.folder}/field_{field + 1}.png",
            config=SemPhantom(
                seed=int(rng.integers(2**63)),
                grain_diameter_um=specimen.grain_diameter_um,
                roughness=specimen.roughness,
                brightness=specimen.brightness_level
                + float(rng.uniform(-_BRIGHTNESS_DRIFT, _BRIGHTNESS_DRIFT)),
                acquired_at=_session_start(sessions[index])
                + timedelta(seconds=240 * field + int(rng.integers(60))),
            ),
        )


def _session_start(session: int) -> datetime:
    day, slot = divmod(session, 3)
    return _FIRST_SESSION + timedelta(days=day, hours=2 * slot)


def demo_samples_csv() -> str:
    """The samples table of the collection, to be joined by `sample`.

    Returns:
        CSV with the columns sample, sintering_temperature_c, brightness_level (nominal mean grey
        level) and material; LF line ends.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("sample", "sintering_temperature_c", "brightness_level", "material"))
    writer.writerows(
        (s.sample, f"{s.sintering_temperature_c:g}", f"{s.brightness_level:g}", "phantom")
        for s in demo_specimens()
    )
    return text.getvalue()
