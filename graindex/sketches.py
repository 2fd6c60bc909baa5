"""Sketches of images for comparisons, the latest used ones kept in memory.

Out of scope: what a sketch is (`models.measure.image_overlap`).
"""

from collections import OrderedDict
from threading import Lock

from graindex.candidates import ComparableImages
from graindex.originals import load_content
from graindex.readers.frame import Limits
from models.measure.image_overlap import Sketch, sketch

KEPT = 2000
"""Sketches in memory: 0.4 GB at most."""


class Sketches:
    """Sketches by the place of their image; threads may share one."""

    def __init__(self, images: ComparableImages, limits: Limits) -> None:
        self._images = images
        self._limits = limits
        self._made: OrderedDict[int, Sketch] = OrderedDict()
        self._lock = Lock()

    def __getitem__(self, place: int) -> Sketch:
        """The sketch of an image.

        Raises:
            OriginalError: the file is gone, unreadable, or not the one that was catalogued.
        """
        with self._lock:
            known = self._made.get(place)
            if known is not None:
                self._made.move_to_end(place)
                return known
        made = sketch(load_content(self._images.rows[place], self._limits))
        with self._lock:
            self._made[place] = made
            while len(self._made) > KEPT:
                self._made.popitem(last=False)
        return made
