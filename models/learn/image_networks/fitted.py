"""Trained networks that predict together: numbers with a spread, or classes; tensors to keep.

Out of scope: training them (`learner`). torch is imported where a network runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from models.learn.image_networks.augment import centre_view
from models.learn.image_networks.config import ImageNetworkError, NetworkConfig
from models.learn.image_networks.examples import check_grey, stacked_descriptors
from models.learn.image_networks.left_out import log_shares
from models.learn.image_networks.levels import Equalise, Levels, levels_of, parse_equalise
from models.learn.image_networks.records import EpochRecord
from models.learn.image_networks.scales import Floats32, Prepared, Scales
from models.learn.learner import Curve, Floats, Prediction

if TYPE_CHECKING:
    from models.learn.image_networks.networks import ImageNetwork

Image = npt.NDArray[Any]

_CURVES = ("loss", "validation_loss")


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One network with its scales.

    Attributes:
        network: in evaluation mode.
        scales: of what goes in and comes out.
        curve: a record for each epoch; none where it was restored.
        best_epoch: whose weights these are, from 1.
    """

    network: "ImageNetwork"
    scales: Scales
    curve: tuple[EpochRecord, ...]
    best_epoch: int


@dataclass(frozen=True, slots=True, eq=False)
class FittedImageNetworks:
    """Networks of an inner validation.

    Attributes:
        config: of each network.
        members: the networks, K of them.
        noise: root mean squared error of numbers on images that were left out.
        temperature: what scores of classes are divided by.
        crop_px: side of the middle of an image that is looked at.
        equalise: what is done to grey levels.
        threads: of torch on a CPU.
    """

    config: NetworkConfig
    members: tuple[Member, ...]
    noise: float
    crop_px: int
    equalise: Equalise
    threads: int = 1
    temperature: float = 1.0

    @property
    def chosen(self) -> Mapping[str, float | str]:
        """Architecture, number of networks, noise or temperature, and the epoch of each network."""
        return {
            "architecture": self.config.architecture,
            "networks": float(len(self.members)),
            _sureness(self.config): getattr(self, _sureness(self.config)),
        } | {
            f"epoch, network {number}": float(member.best_epoch)
            for number, member in enumerate(self.members, 1)
        }

    @property
    def curves(self) -> tuple[Curve, ...]:
        """Losses of each network over epochs from 1; none where they were restored."""
        return tuple(
            Curve(
                f"{name}, network {number}",
                tuple(float(record.epoch) for record in member.curve),
                tuple(float(getattr(record, name)) for record in member.curve),
            )
            for number, member in enumerate(self.members, 1)
            if member.curve
            for name in _CURVES
        )

    def predict(
        self, images: Sequence[Image], descriptors: Sequence[Floats] | Floats | None = None
    ) -> Prediction:
        """Mean of the networks' numbers with one standard deviation, or of their probabilities.

        The square of the deviation is the variance over the networks (0 where there is one) plus
        that of the noise.

        Args:
            images: N of (Y, X) of any real dtype, on the scale of the training images where
                `equalise` is "none".
            descriptors: (N, D) of architecture "descriptors"; else not looked at.

        Raises:
            ImageNetworkError: no image, or not the descriptors that the networks learnt with.
        """
        from models.learn.image_networks.inference import outputs  # noqa: PLC0415
        from models.training.threads import torch_threads  # noqa: PLC0415

        if not images:
            if self.config.classes:
                return Prediction(probabilities=np.empty((0, self.config.classes)))
            return Prediction(np.empty(0), np.empty(0))
        levels, x = self._checked(images, descriptors)
        with torch_threads(self.threads):
            found: Floats = np.stack(
                [
                    member.scales.back(
                        outputs(member.network, self._prepared(member, levels, x), self.crop_px)
                    )
                    for member in self.members
                ]
            )  # (K, N), or (K, N, C)
        if self.config.classes:
            return Prediction(probabilities=np.exp(log_shares(found / self.temperature)).mean(0))
        variance = found.var(0, ddof=1) if len(found) > 1 else np.zeros(len(images))
        return Prediction(found.mean(0), np.sqrt(variance + self.noise**2))

    def seen(self, grey: Image) -> Image:
        """The middle (crop_px, crop_px) of an image that the networks look at, grey as it was."""
        return centre_view(grey, self.crop_px)

    def inputs(
        self, grey: Image, descriptors: Floats | None = None
    ) -> tuple[tuple[Floats32, Floats32], ...]:
        """What each network is given: the middle of an image, and descriptors (D,); standardised.

        Args:
            grey: (Y, X).
            descriptors: (D,) of architecture "descriptors".
        """
        levels, x = self._checked([grey], None if descriptors is None else [descriptors])
        prepared = [self._prepared(member, levels, x)[0] for member in self.members]
        return tuple(
            (one.scaled(centre_view(one.pixels, self.crop_px)), one.descriptors) for one in prepared
        )

    def pooled(self, images: Sequence[Image]) -> Floats32:
        """Pooled features (K, N, C) of each network for images (Y, X)."""
        from models.learn.image_networks.inference import pooled_features  # noqa: PLC0415

        return self._features(images, pooled_features)

    def maps(self, grey: Image) -> Floats32:
        """Last feature maps (K, C, h, w) of each network for the middle of an image (Y, X)."""
        from models.learn.image_networks.inference import last_maps  # noqa: PLC0415

        found: Floats32 = self._features([grey], last_maps)[:, 0]
        return found

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Everything numeric that `predict` needs: weights, scales, noise or temperature."""
        name = _sureness(self.config)
        tensors: dict[str, npt.NDArray[Any]] = {name: np.array([getattr(self, name)])}
        for number, member in enumerate(self.members, 1):
            for name, tensor in member.network.state_dict().items():
                tensors[f"{number}.network.{name}"] = tensor.cpu().contiguous().numpy()
            for name, array in member.scales.tensors().items():
                tensors[f"{number}.scales.{name}"] = array
        return tensors

    def settings(self) -> dict[str, Any]:
        """Everything else that it needs, fit for JSON."""
        return {
            "network": asdict(self.config) | {"filters": list(self.config.filters)},
            "crop_px": self.crop_px,
            "equalise": self.equalise,
            "epochs": [member.best_epoch for member in self.members],
        }

    @classmethod
    def restore(
        cls,
        tensors: Mapping[str, npt.NDArray[Any]],
        settings: Mapping[str, Any],
        *,
        device: str = "cpu",
        threads: int = 1,
    ) -> Self:
        """The networks whose `tensors()` and `settings()` these are.

        Args:
            tensors: see there.
            settings: see there, also after JSON.
            device: of torch.
            threads: of torch on a CPU.

        Raises:
            ImageNetworkError: one does not fit the other.
        """
        from models.learn.image_networks.networks import restored_network  # noqa: PLC0415

        try:
            network = dict(settings["network"])
            config = NetworkConfig(**network | {"filters": tuple(network["filters"])})
            members = tuple(
                Member(
                    restored_network(config, _part(tensors, f"{number}.network."), device),
                    Scales.restore(_part(tensors, f"{number}.scales.")),
                    (),
                    int(epoch),
                )
                for number, epoch in enumerate(settings["epochs"], 1)
            )
            sure = {_sureness(config): float(tensors[_sureness(config)][0])}
            return cls(
                config,
                members,
                sure.get("noise", 0.0),
                settings["crop_px"],
                parse_equalise(settings["equalise"]),
                threads,
                sure.get("temperature", 1.0),
            )
        except (KeyError, TypeError, RuntimeError) as error:
            detail = " ".join(str(error).split())
            raise ImageNetworkError(
                f"tensors and settings do not make networks: {detail[:300]}"
            ) from error

    def _checked(
        self, images: Sequence[Image], descriptors: Sequence[Floats] | Floats | None
    ) -> tuple[list[Levels], Floats]:
        """Levels of N images, and their descriptors (N, D)."""
        for number, grey in enumerate(images):
            check_grey(grey, number)
        count = self.config.descriptors
        x = np.empty((len(images), 0))
        if count:
            if descriptors is None:
                raise ImageNetworkError(f"no descriptors for networks that take {count}")
            x = stacked_descriptors(list(descriptors))
            if x.shape != (len(images), count):
                raise ImageNetworkError(
                    f"descriptors of shape {x.shape} for {len(images)} images and networks that "
                    f"take {count}"
                )
        return [levels_of(grey, self.equalise) for grey in images], x

    def _prepared(self, member: Member, levels: Sequence[Levels], x: Floats) -> list[Prepared]:
        return [
            member.scales.prepare(image, row, self.equalise)
            for image, row in zip(levels, x, strict=True)
        ]

    def _features(self, images: Sequence[Image], of: Any) -> Floats32:
        """Features of each network, with descriptors at their mean: they enter after these."""
        from models.training.threads import torch_threads  # noqa: PLC0415

        for number, grey in enumerate(images):
            check_grey(grey, number)
        levels = [levels_of(grey, self.equalise) for grey in images]
        with torch_threads(self.threads):
            return np.stack(
                [
                    of(
                        member.network,
                        self._prepared(
                            member, levels, np.tile(member.scales.centre, (len(levels), 1))
                        ),
                        self.crop_px,
                    )
                    for member in self.members
                ]
            )


def _sureness(config: NetworkConfig) -> str:
    """Which attribute of fitted networks says how sure they may be."""
    return "temperature" if config.classes else "noise"


def _part(tensors: Mapping[str, npt.NDArray[Any]], start: str) -> dict[str, npt.NDArray[Any]]:
    return {name[len(start) :]: array for name, array in tensors.items() if name.startswith(start)}
