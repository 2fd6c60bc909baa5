"""Registry of methods: what a definition may name, and the learner that it stands for.

A further method is a learner (`models.learn.learner`) and a line here.
Out of scope: the learners themselves (`models.learn`).
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from graindex.errors import ModelError
from graindex.settings import first_problem
from graindex.trained.image_rows import OverImages
from models.learn.forest import Forest
from models.learn.gaussian_process import GaussianProcess
from models.learn.image_networks.learner import ImageClassification, ImageRegression
from models.learn.learner import Learner, TargetKind
from models.learn.logistic import Logistic
from models.learn.ridge import Ridge
from models.segment.learner import NetworkLearner
from models.segment.mask_rcnn.config import TRAINING_CODE_VERSION as MASK_RCNN_VERSION
from models.segment.mask_rcnn.learner import MaskRcnnLearner
from models.segment.star_convex.config import TRAINING_CODE_VERSION as STAR_CONVEX_VERSION
from models.segment.star_convex.learner import StarConvexLearner


@dataclass(frozen=True, slots=True)
class Method:
    """A way to learn.

    Attributes:
        learner: dataclass of its parameters, which is a `models.learn.learner.Learner`, or where
            particles are predicted a `models.segment.learner.NetworkLearner`.
        kind: what it predicts.
        code_version: raised when the same rows come to another model.
        headline: metric that stands for the model in a list.
        title: for people.
        sees_images: whether it learns from the pixels of images, and features beside them.
        weighs_blocks: whether it weighs blocks of features, which are filled in if none are named.
        course: what its learning curves lie over, and what they show; None where curves are errors
            over the penalty.
    """

    learner: type[Any]
    kind: TargetKind
    code_version: str
    headline: str
    title: str
    sees_images: bool = False
    weighs_blocks: bool = False
    course: tuple[str, str] | None = None


_EPOCHS = ("epoch", "loss, and F1 of validation patches")

METHODS: dict[str, Method] = {
    "forest": Method(Forest, "number", "1", "r2", "random forest"),
    "gaussian-process": Method(
        GaussianProcess,
        "number",
        "1",
        "r2",
        "Gaussian process",
        weighs_blocks=True,
        course=("step of the optimisation", "log posterior"),
    ),
    "image-classifier": Method(
        ImageClassification,
        "class",
        "1",
        "macro_f1",
        "convolutional network on images",
        sees_images=True,
        course=("epoch", "cross-entropy"),
    ),
    "image-network": Method(
        ImageRegression,
        "number",
        "1",
        "r2",
        "convolutional network on images",
        sees_images=True,
        course=("epoch", "mean squared error"),
    ),
    "ridge": Method(Ridge, "number", "1", "r2", "ridge regression"),
    "logistic": Method(Logistic, "class", "1", "macro_f1", "multinomial logistic regression"),
    "mask-rcnn": Method(
        MaskRcnnLearner, "particles", MASK_RCNN_VERSION, "f1_50", "Mask R-CNN", course=_EPOCHS
    ),
    "star-convex": Method(
        StarConvexLearner,
        "particles",
        STAR_CONVEX_VERSION,
        "f1_50",
        "star-convex network",
        course=_EPOCHS,
    ),
}


def method_of(name: str) -> Method:
    """The method of a name.

    Raises:
        ModelError: there is none.
    """
    if name not in METHODS:
        message = f"method {name!r} is unknown; there are {', '.join(METHODS)}"
        raise ModelError(message)
    return METHODS[name]


def learner_of(name: str, parameters: Mapping[str, object]) -> Learner | NetworkLearner:
    """The learner of a method with these parameters, the others as by default.

    Raises:
        ModelError: an unknown method, or a parameter that it does not take; says which.
    """
    kind = method_of(name).learner
    known = [field.name for field in dataclasses.fields(kind)]
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        message = f"method {name} has no parameter {unknown[0]!r}; there are {', '.join(known)}"
        raise ModelError(message)
    try:
        learner: Learner | NetworkLearner = TypeAdapter(kind).validate_python(dict(parameters))
    except ValidationError as error:
        raise ModelError(f"parameters of method {name}: {first_problem(error)}") from error
    return learner


def row_learner_of(name: str, parameters: Mapping[str, object]) -> Learner:
    """The same for methods that learn from rows: of features, or with images that rows name.

    Raises:
        ModelError: as `learner_of`, or the method learns from images.
    """
    learner: Any = learner_of(name, parameters)
    if method_of(name).kind == "particles":
        raise ModelError(f"method {name} learns from images, not from features")
    if method_of(name).sees_images:
        return OverImages(learner)
    return cast("Learner", learner)


def all_parameters(learner: Learner | NetworkLearner) -> dict[str, Any]:
    """Every parameter of a learner, those as by default included."""
    parameters: dict[str, Any] = dataclasses.asdict(learner)  # type: ignore[call-overload]
    return parameters
