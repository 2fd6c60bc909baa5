"""The models of the demo: of ceramics, conductivities, classes of cathodes, damage of particles.

Out of scope: training them (`graindex train`) and the phantoms (`demo_collections`).
"""

from typing import TYPE_CHECKING

from orchestration.cli.demo_collections import CATHODES, ELECTRODES, ELECTROLYTES, SEM

if TYPE_CHECKING:
    from graindex.features.definition import FeatureSet
    from graindex.store import Store
    from graindex.trained.definition import ModelDefinition

FEATURES, RECIPES, ATTRIBUTES = "pooled_features", "image_and_recipe", "particle_attributes"
GRAIN, ROUGHNESS, CONDUCTIVITY = "grain_diameter", "roughness", "conductivity"
CATHODE, DAMAGE = "cathode_class", "damage"
RECIPE = ("sintering_temperature_c", "sintering_time_h", "dopant_fraction")
_AUTHOR = "graindex demo"


def write_models(store: "Store") -> list[str]:
    """Register the feature sets of the demo and declare its models; returns their names.

    Raises:
        FeatureError: the phantoms have no vectors yet.
    """
    from graindex.features.files import save_feature_set
    from graindex.features.registry import register_feature_set
    from graindex.trained.definition import save_definition

    for wanted in feature_sets():
        registered = register_feature_set(store, wanted, author=_AUTHOR)
        save_feature_set(store.location, registered.definition)
    definitions = model_definitions()
    for definition in definitions:
        save_definition(store.location, definition)
    return [definition.name for definition in definitions]


def feature_sets() -> "list[FeatureSet]":
    """Pooled features of images, these with recipes, and attributes of particles in volumes."""
    from graindex.features.files import make_feature_set
    from schemas.particle_columns import DAMAGE_ATTRIBUTES

    pooled = {
        "name": FEATURES,
        "entity": "micrograph",
        "description": "Pooled features of the image, from the frozen encoder.",
        "features": [{"vector": "micrographs"}],
    }
    recipes = {
        "name": RECIPES,
        "entity": "micrograph",
        "description": "Pooled features of the image, with sintering and composition.",
        "features": [
            {"vector": "micrographs"},
            {"columns": [f"samples.{name}" for name in RECIPE]},
            {"one_hot": {"samples.material": ["garnet", "nasicon"]}},
        ],
        "normalise": {"method": "standard"},
    }
    attributes = {
        "name": ATTRIBUTES,
        "entity": "particle",
        "particles": "particles_3d",
        "description": "Attributes of particles that no crack decides.",
        "features": [
            {"columns": [f"particles_3d.{name}" for name in DAMAGE_ATTRIBUTES]},
            {"columns": ["samples.cycles"]},
        ],
    }
    return [make_feature_set(fields) for fields in (pooled, recipes, attributes)]


def model_definitions() -> "list[ModelDefinition]":
    """Four of images, evaluated on specimens left out; one of particles, on blocks."""
    from graindex.trained.definition import ModelDefinition
    from graindex.trained.explain_request import ExplainRequest
    from graindex.training.labels import LabelRequest
    from graindex.training.splits import SplitRequest

    limits = ("Synthetic images: says nothing of real ceramics.",)
    common = {"feature_set": FEATURES, "datasets": (SEM,), "limits": limits}
    return [
        ModelDefinition(
            name=GRAIN,
            method="ridge",
            label=LabelRequest(name="grain_diameter_um", transform="log10"),
            split=SplitRequest(kind="leave-one-out"),
            description="Grain diameter of a sintered phantom.",
            **common,
        ),
        ModelDefinition(
            name=ROUGHNESS,
            method="logistic",
            label=LabelRequest(name="roughness"),
            split=SplitRequest(kind="kfold", folds=4, balanced=True),
            description="Roughness of the fracture faces of a phantom, smooth or rough.",
            **common,
        ),
        ModelDefinition(
            name=CONDUCTIVITY,
            method="gaussian-process",
            feature_set=RECIPES,
            label=LabelRequest(name="conductivity_s_per_cm", transform="log10"),
            datasets=(ELECTROLYTES,),
            split=SplitRequest(kind="kfold", folds=8, balanced=True),
            limits=("Synthetic electrolytes: says nothing of real ones.",),
            description="Ionic conductivity of a phantom electrolyte, from image and recipe.",
        ),
        ModelDefinition(
            name=CATHODE,
            method="logistic",
            feature_set=FEATURES,
            label=LabelRequest(name="cathode_class"),
            datasets=(CATHODES,),
            split=SplitRequest(kind="kfold", folds=4, balanced=True),
            explain=ExplainRequest(by=("magnification", "accelerating_voltage_kv")),
            limits=("Synthetic cathodes: says nothing of real ones.",),
            description="Composition and state of a phantom cathode, twelve classes.",
        ),
        ModelDefinition(
            name=DAMAGE,
            method="forest",
            feature_set=ATTRIBUTES,
            label=LabelRequest(name="damage"),
            datasets=(ELECTRODES,),
            where="NOT touches_border",
            split=SplitRequest(kind="kfold", by=("block",), allow_leakage=True),
            parameters={"trees": 100},
            explain=ExplainRequest(compare="cycles", draws=10, seeds=10, autoencoder=True),
            limits=("Synthetic electrodes: says nothing of real ones.",),
            description="Cracks' share of a particle, from where and what it is.",
        ),
    ]
