"""Networks on images that learned nothing: they say the mean, or every class alike.

Networks that start from nothing do so for some hundred steps before their loss falls at all, so
that a training that was cut short looks like images that tell nothing.
Out of scope: features that tell nothing (`graindex.trained.poor_rows`).
"""

import math
from collections.abc import Iterator, Sequence

from models.learn.learner import Curve

_LOSS = "loss, network "
_IDLE = 0.9
"""Share of the loss of a guess that the least training loss of a network is still above: after 20
epochs on 26 electrolytes most were, after 200 all of 48 were below 0.72 (2026-11)."""


def idle_network_warnings(curves: Sequence[Curve], classes: int) -> Iterator[str]:
    """A line where networks do no better on their own training images than a guess.

    Args:
        curves: of the training, `loss, network 1` and so on.
        classes: that are told apart; 0 for numbers, whose loss is in units of their variance.
    """
    guess = math.log(classes) if classes else 1.0
    losses = [curve for curve in curves if curve.name.startswith(_LOSS)]
    idle = [curve for curve in losses if min(curve.y) > _IDLE * guess]
    if not idle:
        return
    longest = max(len(curve.y) for curve in idle)
    yield (
        f"{len(idle)} of {len(losses)} networks learned nothing in up to {longest} epochs: their "
        f"loss never fell below {_IDLE:.0%} of that of {'a guess' if classes else 'the mean'}; "
        "give more epochs and patience, smaller batches, or a pretrained backbone"
    )
