"""What speaks for each class in an image that a network is sure of: Grad-CAM as pictures.

Out of scope: the maps (`models.explain.grad_cam`), numbers (`graindex.trained.image_maps`).
"""

from collections.abc import Iterator

import numpy as np

from graindex.pictures import new_figure, png
from graindex.trained.image_maps import draw_evidence, evidence_in
from graindex.trained.image_rows import FittedOverImages
from graindex.trained.learning import Learning
from models.learn.learner import Floats

NOTE = (
    "Of each class the image whose probability for it is highest, and Grad-CAM: where it speaks "
    "for the class, and where for others. The networks were trained on these images."
)

_PANELS = ("image", "Grad-CAM")


def class_pictures(
    learning: Learning, fitted: FittedOverImages, matrix: Floats
) -> Iterator[tuple[str, bytes]]:
    """Captions with PNGs, one for each class that trained.

    Args:
        learning: the training set, whose rows name the images.
        fitted: networks that were trained on all of its rows that train.
        matrix: (N, 1 + D) rows.
    """
    rows = np.flatnonzero(learning.final)
    probabilities = fitted.predict(matrix[rows]).probabilities
    assert probabilities is not None
    paths = learning.training_set.rows["path"].to_pylist()
    for code, name in enumerate(learning.classes):
        own = np.flatnonzero(learning.target[rows] == code)
        if not len(own):
            continue
        best = own[int(np.argmax(probabilities[own, code]))]
        row = int(rows[best])
        told = f"{name}: {paths[row]}, probability {probabilities[best, code]:.2f}"
        yield told, _picture(fitted, matrix[row], code)


def _picture(fitted: FittedOverImages, row: Floats, code: int) -> bytes:
    """The part of the image that is looked at, as it is and with the evidence over it."""
    grey = fitted.images[int(row[0])]
    crop = fitted.networks.seen(grey)
    figure = new_figure(5.4, 2.8)
    panels = figure.subplots(1, len(_PANELS))
    for axes, title in zip(panels, _PANELS, strict=True):
        axes.imshow(crop, cmap="gray")
        axes.set_title(title, fontsize=8)
        axes.set_axis_off()
    draw_evidence(panels[1], evidence_in(fitted, grey, row[1:], code), ("against", "for"))
    return png(figure, all_colours=True)
