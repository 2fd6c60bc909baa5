"""Printed text in an image, with a confidence and a place each.

Out of scope: what the text means, which is `databar_text`.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from models.calibrate.databar import Box, Grey

SMALL_STRIP_PX = 32
"""Strips lower than this are doubled first: neighbouring words are told apart better."""

DETECTOR_SIDE_PX = 96
"""The detector enlarges only images with a shorter side below this. Its own default of 736 turns a
strip of 64 x 1280 into 14720 columns and takes ten times as long."""


@dataclass(frozen=True, slots=True)
class TextBox:
    """A piece of text as recognised.

    Attributes:
        text: as the recogniser gives it.
        confidence: 0...1.
        box: pixels of the image that was read.
    """

    text: str
    confidence: float
    box: Box


def read_text(grey: Grey, *, threads: int = 1) -> list[TextBox]:
    """Read the upright text in an image; a databar of 64 x 1280 takes about 0.15 s on two cores.

    The models are part of the package `rapidocr` (PP-OCRv6 detector and recogniser, small) and are
    loaded at the first call, once per number of threads. Calls from several threads at once are
    safe: a call without options changes nothing in the engine that another relies on.

    Args:
        grey: (Y, X) uint8; crop it to the databar where there is one.
        threads: how many threads one call may use.

    Returns:
        The pieces from top to bottom and left to right; empty where there is no text.

    Raises:
        ValueError: `grey` is not a two-dimensional uint8 array, or `threads` is below 1.
    """
    if grey.ndim != 2 or grey.dtype != np.uint8:
        message = f"a (Y, X) uint8 image is needed, not {grey.dtype} of shape {grey.shape}"
        raise ValueError(message)
    if threads < 1:
        message = f"text recognition needs at least one thread, not {threads}"
        raise ValueError(message)
    if grey.size == 0:
        return []
    scale = 2 if grey.shape[0] < SMALL_STRIP_PX else 1
    image = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    found = _engine(threads)(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
    if found.boxes is None:
        return []
    return [
        TextBox(text.strip(), float(confidence), _bounding_box(corners, scale))
        for corners, text, confidence in zip(found.boxes, found.txts, found.scores, strict=True)
        if text.strip()
    ]


@cache
def _engine(threads: int) -> Any:
    """The recogniser, without the classifier of upside-down text."""
    # Importing costs a second and a metadata-only pass never needs it. The detector goes first: it
    # imports OpenVINO without its telemetry.
    from models.calibrate.text_detector import TextDetector  # noqa: PLC0415, I001
    from rapidocr import EngineType, RapidOCR  # noqa: PLC0415

    runtime = "EngineConfig.onnxruntime"
    engine: Any = RapidOCR(
        params={
            "Global.use_cls": False,
            "Global.log_level": "critical",
            f"{runtime}.intra_op_num_threads": threads,
            f"{runtime}.inter_op_num_threads": 1,
            "Det.engine_type": EngineType.OPENVINO,
            "Det.limit_type": "min",
            "Det.limit_side_len": DETECTOR_SIDE_PX,
        }
    )
    engine(np.zeros((32, 32, 3), np.uint8))  # loads the detector
    # Its own session serves one thread at a time, in a precision that depends on the processor.
    engine.text_det.session = TextDetector(engine.text_det.session.model, threads)
    return engine


def _bounding_box(corners: npt.NDArray[np.float32], scale: int) -> Box:
    points = np.asarray(corners) / scale
    (x0, y0), (x1, y1) = np.floor(points.min(axis=0)), np.ceil(points.max(axis=0))
    return Box(int(y0), int(x0), int(y1), int(x1))
