"""Choices of the command training-set, and the command that asks for what was asked for.

Out of scope: the command itself (`orchestration.cli.training_sets`).
"""

import shlex
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graindex.training.request import TrainingSetRequest


class Rule(StrEnum):
    """Whose label counts where several labellers state one."""

    LATEST = "latest"
    PRIORITY = "priority"
    MAJORITY = "majority"
    MEAN = "mean"
    MEDIAN = "median"
    AGREE = "agree"


class Timing(StrEnum):
    """Which statement of a label holds at the time of an image."""

    BEFORE = "before"
    AFTER = "after"
    NEAREST = "nearest"
    ANY = "any"


class Split(StrEnum):
    """How rows are parted into those that train and those that test."""

    KFOLD = "kfold"
    LEAVE_ONE_OUT = "leave-one-out"
    HOLDOUT = "holdout"
    TIME = "time"
    COLUMN = "column"
    NONE = "none"


def labellers_field(rule: Rule) -> str:
    """What the named labellers are to a rule: their order, or the only ones who count."""
    return "order" if rule is Rule.PRIORITY else "only"


def command_of(request: "TrainingSetRequest") -> str:
    """The command that asks for the same; what only Python can ask for is left out."""
    label, split = request.label, request.split
    options: dict[str, object] = {
        "label": label.name,
        "dataset": request.datasets,
        "where": request.where,
        "timing": label.timing,
        "tolerance": label.tolerance and f"{label.tolerance.total_seconds():.0f}s",
        "labellers": label.labellers.rule,
        "labeller": getattr(label.labellers, labellers_field(Rule(label.labellers.rule))),
        "log10": label.transform == "log10",
        "split": split.kind,
        **{
            name.replace("_", "-"): getattr(split, name)
            for name in ("by", "also_by", "folds", "test_fraction", "balanced", "seed", "column",
                         "allow_leakage")
        },
    }  # fmt: skip
    words = ["graindex", "training-set", request.feature_set]
    for name, value in options.items():
        for one in value if isinstance(value, tuple) else (value,):
            if one is True:
                words.append(f"--{name}")
            elif one is not None and one is not False:
                words += [f"--{name}", str(one)]
    return shlex.join(words)
