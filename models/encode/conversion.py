"""Converts a torch network for OpenVINO, checks it against torch, and keeps it on disk.

Out of scope: running it (`openvino_engine`). Reading a kept network needs no torch, which makes
the first vector of a process a matter of half a second.
"""

import hashlib
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np

from models.encode.config import EncoderConfig, EncoderUnavailableError
from models.encode.openvino_engine import OpenVinoEngine
from models.encode.openvino_runtime import core, keep_model, ov
from models.processors import processors

_CONVERSION_VERSION = 1
_DIGEST_PATH = ["graindex", "weights_digest"]
_SIZES_PATH = ["graindex", "depth_sizes"]
_TRACED_SIDE = 64
_CHECKED_SHAPES = ((96, 160), (160, 128))
_LEAST_COSINE = 0.9999


def converted(config: EncoderConfig, cache_dir: str | None) -> tuple[ov.Model, str]:
    """The network of a configuration, from the cache if it is there.

    Args:
        config: which network.
        cache_dir: folder to keep converted networks in; None keeps nothing. Networks whose weights
            come from timm's hub are not kept: no local file tells that they changed.

    Returns:
        The network, dynamic in Y and X, and the digest of its weights.

    Raises:
        EncoderUnavailableError: see `backbones.load_backbone`; or the backbone does not convert.
    """
    weights = config.weights_file()
    if cache_dir is None or weights is None:
        return convert(config)
    folder = Path(cache_dir) / f"encoder-{_cache_key(config, weights)}"
    if not folder.is_dir():
        model, digest = convert(config)
        keep_model(model, folder)
        return model, digest
    model = core().read_model(folder / "network.xml")
    return model, model.get_rt_info(_DIGEST_PATH).astype(str)


def convert(config: EncoderConfig) -> tuple[ov.Model, str]:
    """Convert through torch, and compare with torch on two shapes that were not traced.

    Tracing may freeze what a network computes from its input size; that shows in the comparison.
    """
    import torch  # noqa: PLC0415 (over a second, which a kept network does not need)

    from models.encode.backbones import load_grey_backbone  # noqa: PLC0415 (likewise)
    from models.encode.torch_engine import TorchEngine  # noqa: PLC0415 (likewise)

    network, digest = load_grey_backbone(config)
    example = torch.zeros(1, 1, _TRACED_SIDE, _TRACED_SIDE, dtype=torch.uint8)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            # OpenVINO 2026.4 still traces by torch.jit, which torch 2.13 deprecates.
            warnings.simplefilter("ignore", DeprecationWarning)
            model = ov.convert_model(network, example_input=example)
        model.reshape([1, 1, -1, -1])
    except RuntimeError as error:
        raise EncoderUnavailableError(
            f"OpenVINO cannot convert backbone {config.backbone}: choose another, or device cuda"
        ) from error
    reference = TorchEngine(network, "float32", "cpu")
    engine = OpenVinoEngine(model, "float32", processors())
    rng = np.random.default_rng(0)
    for shape in _CHECKED_SHAPES:
        image = rng.integers(0, 256, shape, dtype=np.uint8)
        likeness = cosine(engine.infer(image), reference.infer(image))
        if not likeness >= _LEAST_COSINE:
            raise EncoderUnavailableError(
                f"backbone {config.backbone} does not survive conversion: cosine {likeness:.4f} to "
                f"torch at {shape[0]} × {shape[1]}; choose another, or device cuda"
            )
    model.set_rt_info(digest, _DIGEST_PATH)
    if network.sizes is not None:
        model.set_rt_info(" ".join(str(size) for size in network.sizes), _SIZES_PATH)
    return model, digest


def depth_sizes(model: ov.Model) -> tuple[int, ...] | None:
    """Lengths of the parts of a vector, one for each depth; None where there is but one."""
    if not model.has_rt_info(_SIZES_PATH):
        return None
    return tuple(int(size) for size in model.get_rt_info(_SIZES_PATH).astype(str).split())


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine of the angle between two vectors, computed in double precision."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def _cache_key(config: EncoderConfig, weights: Path) -> str:
    with weights.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    versions = [version(package) for package in ("torch", "timm", "openvino")]
    parts = (_CONVERSION_VERSION, config.backbone, config.pooling, content, *versions)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
