"""The models of the demo: grain diameter as a number and roughness as a class, of the phantoms.

Out of scope: training them (`graindex train`) and the phantoms (`demo_collections`).
"""

from typing import TYPE_CHECKING

from orchestration.cli.demo_collections import SEM

if TYPE_CHECKING:
    from graindex.features.definition import FeatureSet
    from graindex.store import Store
    from graindex.trained.definition import ModelDefinition

FEATURES = "pooled_features"
GRAIN, ROUGHNESS = "grain_diameter", "roughness"
_AUTHOR = "graindex demo"


def write_models(store: "Store") -> list[str]:
    """Register the feature set of the demo and declare its models; returns their names.

    Raises:
        FeatureError: the phantoms have no vectors yet.
    """
    from graindex.features.files import save_feature_set
    from graindex.features.registry import register_feature_set
    from graindex.trained.definition import save_definition

    registered = register_feature_set(store, feature_set(), author=_AUTHOR)
    save_feature_set(store.location, registered.definition)
    definitions = model_definitions()
    for definition in definitions:
        save_definition(store.location, definition)
    return [definition.name for definition in definitions]


def feature_set() -> "FeatureSet":
    """Pooled features of the images."""
    from graindex.features.files import make_feature_set

    return make_feature_set(
        {
            "name": FEATURES,
            "entity": "micrograph",
            "description": "Pooled features of the image, from the frozen encoder.",
            "features": [{"vector": "micrographs"}],
        }
    )


def model_definitions() -> "list[ModelDefinition]":
    """A number and a class, each evaluated on specimens that were left out."""
    from graindex.trained.definition import ModelDefinition
    from graindex.training.labels import LabelRequest
    from graindex.training.splits import SplitRequest

    common = {
        "feature_set": FEATURES,
        "datasets": (SEM,),
        "limits": ("Synthetic images: says nothing of real ceramics.",),
    }
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
    ]
