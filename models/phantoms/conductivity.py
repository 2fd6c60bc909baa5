"""Planted law of ionic conductivity: composition, porosity and grain size of a sintered ceramic.

Three factors, each the simplest that the field knows, multiply. The materials are made up: their
numbers have the order of magnitude of garnets and of NASICON-type phosphates, no more.
Out of scope: specimens and their images (`models.phantoms.conductivity_collection`).
"""

import math
from dataclasses import dataclass

GAS_CONSTANT_J_PER_MOL_K = 8.314462618
MEASURED_AT_K = 303.15
"""Temperature of the measurement, 30 °C."""

_BOLTZMANN_EV_PER_K = 8.617333262e-5
_ZERO_CELSIUS_K = 273.15
_GROWTH_EXPONENT = 3.0
_POROSITY_EXPONENT = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceramic:
    """What a material decides in the planted law.

    Attributes:
        prefactor_s_per_cm: conductivity of the grains at infinite temperature.
        activation_ev: least activation energy, at `best_fraction`.
        activation_rise_ev: what it rises by per square of the distance from there.
        best_fraction: dopant fraction of the best conducting grains.
        fractions: least and greatest dopant fraction.
        boundary_um: grain size below which boundaries resist more than grains.
        sintering_c: least and greatest sintering temperature; growth is stated for the middle.
    """

    prefactor_s_per_cm: float
    activation_ev: float
    activation_rise_ev: float
    best_fraction: float
    fractions: tuple[float, float]
    boundary_um: float
    sintering_c: tuple[float, float]

    @property
    def middle_c(self) -> float:
        """Middle of the sintering temperatures."""
        return sum(self.sintering_c) / 2


CERAMICS = {
    "garnet": Ceramic(
        prefactor_s_per_cm=900.0,
        activation_ev=0.37,
        activation_rise_ev=1.1,
        best_fraction=0.4,
        fractions=(0.2, 0.6),
        boundary_um=3.0,
        sintering_c=(1050.0, 1250.0),
    ),
    "nasicon": Ceramic(
        prefactor_s_per_cm=300.0,
        activation_ev=0.39,
        activation_rise_ev=1.1,
        best_fraction=0.15,
        fractions=(0.05, 0.4),
        boundary_um=12.0,
        sintering_c=(1100.0, 1300.0),
    ),
}


def conductivity_s_per_cm(
    ceramic: Ceramic, dopant_fraction: float, grain_diameter_um: float, porosity: float
) -> float:
    """Total ionic conductivity of a specimen at 30 °C, without noise.

    Args:
        ceramic: the material.
        dopant_fraction: of the site that is doped.
        grain_diameter_um: mean grain size; may be infinite, which is a single crystal.
        porosity: share of the volume that is pores, 0…1.

    Returns:
        Grains (`grains_s_per_cm`) · boundaries 1 / (1 + b/d) · pores (1 − p)^1.5. Boundaries are
        those of the brick-layer model, as thick layers in series with the grains as one of size b
        resists (Haile, West and Campbell, J. Mater. Res. 13 (1998) 1576); pores are those of
        Bruggeman's differential effective medium (Ann. Phys. 416 (1935) 636).

    Raises:
        ValueError: a grain size that is not positive, or a porosity beyond 0…1.
    """
    if not grain_diameter_um > 0 or not 0 <= porosity <= 1:
        raise ValueError(
            f"grains of {grain_diameter_um} µm at a porosity of {porosity}: take grains above "
            "0 µm and 0…1"
        )
    boundaries = 1 / (1 + ceramic.boundary_um / grain_diameter_um)
    pores = math.pow(1 - porosity, 1.5)
    return grains_s_per_cm(ceramic, dopant_fraction) * boundaries * pores


def grains_s_per_cm(ceramic: Ceramic, dopant_fraction: float) -> float:
    """Conductivity of the grains at 30 °C: Arrhenius, with an activation energy of composition."""
    off = dopant_fraction - ceramic.best_fraction
    activation_ev = ceramic.activation_ev + ceramic.activation_rise_ev * off**2
    return ceramic.prefactor_s_per_cm * math.exp(
        -activation_ev / (_BOLTZMANN_EV_PER_K * MEASURED_AT_K)
    )


def grain_diameter_um(ceramic: Ceramic, sintering_temperature_c: float, hours: float) -> float:
    """Grain size of a recipe: d³ = d₀³ · (1 + 0.8 t), t in hours at the middle temperature.

    Growth is activated by 240 kJ/mol; d₀ is 1.3 µm. Strictly increasing in both.
    """
    grown = 1 + 0.8 * _hours_at_middle(ceramic, sintering_temperature_c, hours, 240e3)
    return float(1.3 * grown ** (1 / _GROWTH_EXPONENT))


def porosity(ceramic: Ceramic, sintering_temperature_c: float, hours: float) -> float:
    """Porosity of a recipe: p = 0.26 / √(1 + 0.5 t), t in hours at the middle temperature.

    Densification is activated by 400 kJ/mol, more than growth. Strictly decreasing in both.
    """
    densified = 1 + 0.5 * _hours_at_middle(ceramic, sintering_temperature_c, hours, 400e3)
    return float(0.26 / densified**_POROSITY_EXPONENT)


def _hours_at_middle(
    ceramic: Ceramic, temperature_c: float, hours: float, activation_j_per_mol: float
) -> float:
    """Hours at the middle temperature that do as much as these."""
    inverse = 1 / (ceramic.middle_c + _ZERO_CELSIUS_K) - 1 / (temperature_c + _ZERO_CELSIUS_K)
    return hours * math.exp(activation_j_per_mol / GAS_CONSTANT_J_PER_MOL_K * inverse)
