"""A planted collection of cathodes: twelve classes, four compositions in three states.

The classes are those of Oh et al. (classification of NCM cathodes by composition and state from
SEM images). Size, primary grains and damage tell them apart; brightness, contrast and how an image
was taken do not. Out of scope: rendering (`models.phantoms.cathode`) and writing files.
"""

import csv
import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from models.phantoms.cathode_config import CathodePhantom
from models.phantoms.sem import DISPLAY_WIDTH_UM


@dataclass(frozen=True, slots=True)
class Composition:
    """What the nickel content decides in the planted law.

    Attributes:
        ni_fraction: of the transition metals.
        diameter_um: median of the secondary particles.
        diameter_spread: standard deviation of its logarithm.
        primary_grain_um: mean diameter of the primary grains.
        roughness: of the particles' surface.
    """

    ni_fraction: float
    diameter_um: float
    diameter_spread: float
    primary_grain_um: float
    roughness: float


@dataclass(frozen=True, slots=True)
class State:
    """What cycling decides in the planted law; the attributes are those of `CathodePhantom`."""

    cycles: int
    crack_share: float
    crack_width_um: float
    broken_share: float
    binder_share: float
    binder_roughness: float
    debris_share: float


COMPOSITIONS = {
    "NCM333": Composition(1 / 3, 5.0, 0.36, 1.9, 1.0),
    "NCM523": Composition(0.5, 7.5, 0.28, 1.2, 0.75),
    "NCM622": Composition(0.6, 10.4, 0.22, 0.75, 0.5),
    "NCM811": Composition(0.8, 14.5, 0.15, 0.45, 0.3),
}
"""More nickel: larger and more even secondary particles of finer primary grains. Made up."""

STATES = {
    "pristine": State(0, 0.0, 0.4, 0.0, 0.28, 0.05, 0.0),
    "formation": State(4, 0.4, 0.45, 0.05, 0.17, 0.55, 0.02),
    "cycled": State(100, 0.85, 0.65, 0.3, 0.08, 1.0, 0.07),
}
"""Formation is 4 cycles, cycling 100: particles crack and crumble, binder roughens and goes."""

SPECIMENS_PER_CLASS = 4
OPTICAL_COMPOSITIONS = ("NCM333", "NCM622", "NCM811")
"""Those that an optical microscope is asked to tell apart, pristine."""

CATHODE_LABEL_PATTERN = (
    r"(?P<composition>NCM\d{3})_(?P<state>pristine|formation|cycled)"
    r"/(?P<sample>K\d{2})"
    r"/field_\d+\.png"
)
"""Reads the relative paths of `cathode_collection`; the named groups become columns of `samples`.
"""

_SHAPE_PX = (448, 720)
_MAGNIFICATION = 500
_CLOSER = (1000, 2000)  # in turn, of one field in each round of a specimen
_ROUND = 4  # fields
_VOLTAGES_KV = (15.0, 20.0, 30.0)
_BRIGHTNESS = (85.0, 150.0)
_CONTRAST = (22.0, 40.0)
_NOISE = (3.0, 7.0)
_FIRST_SESSION = datetime(2026, 4, 6, 9, 30)
_SESSIONS_A_DAY = 3
_SESSION_STREAM, _SPECIMEN_STREAM, _FIELD_STREAM, _FILE_STREAM = range(4)


@dataclass(frozen=True, slots=True)
class CathodeSpecimen:
    """One synthetic electrode.

    Attributes:
        number: from 1.
        composition: key of `COMPOSITIONS`.
        state: key of `STATES`.
    """

    number: int
    composition: str
    state: str

    @property
    def sample(self) -> str:
        """``"K01"`` … ``"K48"``."""
        return f"K{self.number:02d}"

    @property
    def folder(self) -> str:
        """``"NCM622_cycled/K33"``."""
        return f"{self.composition}_{self.state}/{self.sample}"


@dataclass(frozen=True, slots=True)
class CathodeFile:
    """A micrograph to render and the path, relative to the collection, to put it at."""

    relative_path: str
    config: CathodePhantom


def cathode_specimens() -> tuple[CathodeSpecimen, ...]:
    """Four specimens of each of the twelve classes."""
    grid = itertools.product(COMPOSITIONS, STATES, range(SPECIMENS_PER_CLASS))
    return tuple(
        CathodeSpecimen(number, composition, state)
        for number, (composition, state, _) in enumerate(grid, start=1)
    )


def cathode_collection(n: int = 192, seed: int = 0) -> Iterator[CathodeFile]:
    """Describe `n` micrographs of the 48 specimens, a field of view of each in turn.

    The first 48 are field 1 of every specimen, the next 48 field 2, and so on. Each specimen
    deviates from the law of its class, in size by 4 % and in roughness by 5 %, and is imaged at one
    voltage in one session, three sessions a day in random order; its fields are about 4 minutes
    apart. Of every four fields, three are taken at ×500 and one, drawn by chance, closer: at ×1000
    in the first round, at ×2000 in the next, and so on. Voltage, brightness, contrast and noise
    are drawn from the same distributions for all classes, the last three for each image anew.
    File `i` does not depend on `n`.

    Args:
        n: number of micrographs; 192 is four fields of each specimen.
        seed: of everything that is drawn.

    Yields:
        Path and configuration; `models.phantoms.cathode.render_cathode` makes the pixels.

    Raises:
        ValueError: if `n` or `seed` is negative.
    """
    if n < 0 or seed < 0:
        raise ValueError(f"n and seed must not be negative, got n={n}, seed={seed}")
    specimens = cathode_specimens()
    order = np.random.default_rng([seed, _SESSION_STREAM]).permutation(len(specimens)).tolist()
    for i in range(n):
        field, index = divmod(i, len(specimens))
        specimen = specimens[index]
        rng = np.random.default_rng([seed, _FILE_STREAM, i])
        started = _session_start(order[index], seed)
        yield CathodeFile(
            relative_path=f"{specimen.folder}/field_{field + 1}.png",
            config=_config(
                specimen,
                seed,
                field,
                rng,
                started + timedelta(seconds=240 * field + int(rng.integers(60))),
            ),
        )


def optical_collection(n: int = 48, seed: int = 0) -> Iterator[CathodeFile]:
    """Describe `n` optical micrographs of the pristine specimens of three compositions.

    Oh et al. (supplement, table 5) tell pristine NCM333, 622 and 811 apart by light. The twelve
    specimens are seen in turn, all at one magnification; they, the paths and the samples table are
    those of `cathode_collection`.

    Raises:
        ValueError: if `n` or `seed` is negative.
    """
    if n < 0:
        raise ValueError(f"n must not be negative, got {n}")
    seen: dict[str, Any] = {
        "microscope": "optical",
        "databar": False,
        "pixel_size_um": DISPLAY_WIDTH_UM / (_SHAPE_PX[1] * _MAGNIFICATION),
    }
    rounds = -(-n // (len(OPTICAL_COMPOSITIONS) * SPECIMENS_PER_CLASS))
    every = (
        file
        for file in cathode_collection(rounds * len(cathode_specimens()), seed)
        if _is_optical(file)
    )
    for _, file in zip(range(n), every, strict=False):
        yield replace(file, config=replace(file.config, **seen))


def _is_optical(file: CathodeFile) -> bool:
    folder = file.relative_path.partition("/")[0]
    return folder in {f"{name}_pristine" for name in OPTICAL_COMPOSITIONS}


def _config(
    specimen: CathodeSpecimen,
    seed: int,
    field: int,
    rng: np.random.Generator,
    acquired_at: datetime,
) -> CathodePhantom:
    """One field of view: the law, the specimen's deviations, and how the image is taken."""
    own = np.random.default_rng([seed, _SPECIMEN_STREAM, specimen.number])
    size, grain, rough, damage = np.exp(own.normal(0, (0.04, 0.05, 0.05, 0.08))).tolist()
    kv = float(own.choice(_VOLTAGES_KV))
    law, state = COMPOSITIONS[specimen.composition], STATES[specimen.state]
    magnification = _magnification(specimen, seed, field)
    return CathodePhantom(
        seed=int(rng.integers(2**63)),
        shape_px=_SHAPE_PX,
        pixel_size_um=DISPLAY_WIDTH_UM / (_SHAPE_PX[1] * magnification),
        diameter_um=law.diameter_um * size,
        diameter_spread=law.diameter_spread,
        primary_grain_um=law.primary_grain_um * grain,
        roughness=min(law.roughness * rough, 1.0),
        crack_share=min(state.crack_share * damage, 1.0),
        crack_width_um=state.crack_width_um,
        broken_share=state.broken_share,
        binder_share=state.binder_share,
        binder_roughness=state.binder_roughness,
        debris_share=state.debris_share * damage,
        brightness=float(rng.uniform(*_BRIGHTNESS)),
        contrast=float(rng.uniform(*_CONTRAST)),
        noise_std=float(rng.uniform(*_NOISE)),
        kv=kv,
        acquired_at=acquired_at,
    )


def _magnification(specimen: CathodeSpecimen, seed: int, field: int) -> int:
    """Of a field, counted from 0."""
    turn, place = divmod(field, _ROUND)
    rng = np.random.default_rng([seed, _FIELD_STREAM, specimen.number, turn])
    return _CLOSER[turn % len(_CLOSER)] if place == rng.integers(_ROUND) else _MAGNIFICATION


def _session_start(session: int, seed: int) -> datetime:
    """Three a day, each at a time of its own."""
    day, slot = divmod(session, _SESSIONS_A_DAY)
    late = int(np.random.default_rng([seed, _SESSION_STREAM, session]).integers(90))
    return _FIRST_SESSION + timedelta(days=day, hours=2.5 * slot, minutes=late)


def cathode_samples_csv() -> str:
    """The samples table of the collection, to be joined by `sample`.

    Returns:
        CSV with the columns sample, material, composition, state, cathode_class (both in one),
        ni_fraction, cycles (of charge and discharge) and, by the law, diameter_planted_um,
        primary_grain_planted_um and crack_share_planted; LF line ends.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        (
            "sample",
            "material",
            "composition",
            "state",
            "cathode_class",
            "ni_fraction",
            "cycles",
            "diameter_planted_um",
            "primary_grain_planted_um",
            "crack_share_planted",
        )
    )
    for each in cathode_specimens():
        law, state = COMPOSITIONS[each.composition], STATES[each.state]
        writer.writerow(
            (
                each.sample,
                "NCM",
                each.composition,
                each.state,
                f"{each.composition}_{each.state}",
                f"{law.ni_fraction:.3g}",
                state.cycles,
                f"{law.diameter_um:g}",
                f"{law.primary_grain_um:g}",
                f"{state.crack_share:g}",
            )
        )
    return text.getvalue()
