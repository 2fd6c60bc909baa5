"""Weights of rows, such as those by which classes count alike.

Out of scope: weights that a user gives to labels (`graindex.training.label_request`).
"""

import numpy as np

from models.learn.learner import Floats


def balanced_weights(codes: Floats, weight: Floats, classes: int) -> Floats:
    """Weights (N,) by which all classes that occur weigh alike; they sum to the rows' weights.

    Args:
        codes: (N,) of the classes, from 0.
        weight: (N,) of the rows, at least 0, in each class more than 0.
        classes: how many there are.
    """
    own = codes.astype(int)
    of_class = np.bincount(own, weight, minlength=classes)
    weighted: Floats = weight * weight.sum() / (np.count_nonzero(of_class) * of_class[own])
    return weighted
