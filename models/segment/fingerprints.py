"""Identity of a training, so that a checkpoint of another is not gone on from.

Out of scope: checkpoints (`checkpoint`).
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from models.segment.star_convex.patches import Example


def examples_fingerprint(
    settings: Any, training: Sequence[Example], validation: Sequence[Example]
) -> str:
    """SHA-256 in hex over all that decides a training's outcome.

    Args:
        settings: everything besides images, fit for JSON.
        training: images to learn from.
        validation: images that decide when to stop.
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name, examples in (("training", training), ("validation", validation)):
        digest.update(f"{name} {len(examples)}".encode())
        for example in examples:
            for array in (example.grey, example.labels):
                digest.update(f"{example.group} {array.dtype} {array.shape}".encode())
                digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
