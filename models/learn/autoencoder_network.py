"""What an autoencoder is once fitted: scales of the columns, encoder and decoder.

Each half is a linear map plus a perceptron: the bottleneck network of Kramer, AIChE J. 37 (1991)
233, with logistic hidden units and the linear path added, so that PCA is the special case in which
the perceptrons are nothing.
Out of scope: how it is trained (`models.learn.autoencoder_fit`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from scipy.special import expit

from models.learn.learner import Floats, Ints, Tensors

Array = TypeVar("Array")

_CONSTANT = 1e-12
"""A column whose spread is below this share of its size is constant up to rounding."""


@dataclass(frozen=True, slots=True)
class Standard:
    """Columns brought to mean 0 and standard deviation 1.

    Attributes:
        centre: (D,) mean of the fitted rows.
        spread: (D,) standard deviation; 0 for a constant column, which is 0 when standardised and
            its constant again afterwards, whatever a later row has there.
    """

    centre: Floats
    spread: Floats

    @classmethod
    def of(cls, x: Floats) -> "Standard":
        """Fitted to rows (N, D)."""
        centre, spread = x.mean(0), x.std(0)
        constant = (np.ptp(x, axis=0) == 0) | (spread <= _CONSTANT * np.abs(centre))
        return cls(np.where(np.ptp(x, axis=0) == 0, x[0], centre), np.where(constant, 0.0, spread))

    def apply(self, x: Floats) -> Floats:
        """Standardised rows (N, D)."""
        varying = self.spread > 0
        return np.where(varying, (x - self.centre) / np.where(varying, self.spread, 1.0), 0.0)

    def undo(self, x: Floats) -> Floats:
        """Rows (N, D) in their own units."""
        return np.asarray(x * self.spread + self.centre, float)


@dataclass(frozen=True, slots=True)
class Half(Generic[Array]):
    """Encoder or decoder: x · linear + perceptron(x), from I to O numbers.

    Attributes:
        linear: (I, O).
        weights: of the perceptron's layers, (I, H) ... (H, O); none where the half is linear.
        biases: of the same, (H,) ... (O,); the last is there where the half is linear.
    """

    linear: Array
    weights: tuple[Array, ...]
    biases: tuple[Array, ...]

    def forward(
        self, x: Array, logistic: Callable[[Array], Array], target: float
    ) -> tuple[Array, list[Array]]:
        """Output of the half, and the activations of its hidden layers.

        Args:
            x: rows (N, I).
            logistic: the function, of the library that the arrays are of.
            target: activation at which a unit counts as 0, and around which it rises with slope 1.

        Returns:
            Rows (N, O); activations (N, H) of each hidden layer, between 0 and 1.
        """
        activations: list[Any] = []
        hidden: Any = x
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            activations.append(logistic(hidden @ weight + bias))
            hidden = (activations[-1] - target) / (target * (1 - target))
        out = x @ self.linear + self.biases[-1]  # type: ignore[operator]
        return (out + hidden @ self.weights[-1] if self.weights else out), activations

    def map(self, change: Callable[[Array], Any]) -> "Half[Any]":
        """A half with every array changed."""
        return Half(
            change(self.linear), tuple(map(change, self.weights)), tuple(map(change, self.biases))
        )

    def arrays(self) -> list[Array]:
        """Linear map, weights, biases."""
        return [self.linear, *self.weights, *self.biases]


@dataclass(frozen=True, slots=True)
class Network:
    """Encoder and decoder of standardised rows (N, D) by way of L latent dimensions.

    Attributes:
        encoder: from D to L.
        decoder: from L to D.
        activation: of a hidden unit at which it counts as 0.
    """

    encoder: Half[Floats]
    decoder: Half[Floats]
    activation: float

    def encode(self, x: Floats) -> Floats:
        """Latent rows (N, L)."""
        return self.encoder.forward(x, expit, self.activation)[0]

    def decode(self, latent: Floats) -> Floats:
        """Standardised rows (N, D)."""
        return self.decoder.forward(latent, expit, self.activation)[0]

    def ordered(self, order: Ints) -> "Network":
        """The same network with its latent dimensions in another order (L,)."""
        encoder, decoder = self.encoder, self.decoder
        into, out_of = list(encoder.weights), list(decoder.weights)
        if into:
            into[-1], out_of[0] = into[-1][:, order], out_of[0][order]
        return Network(
            Half(
                encoder.linear[:, order],
                tuple(into),
                (*encoder.biases[:-1], encoder.biases[-1][order]),
            ),
            Half(decoder.linear[order], tuple(out_of), decoder.biases),
            self.activation,
        )

    def tensors(self) -> dict[str, Floats]:
        """Arrays that `restore` takes."""
        return {"activation": np.array([self.activation])} | {
            f"{name}.{part}": np.ascontiguousarray(array)
            for name, half in (("encoder", self.encoder), ("decoder", self.decoder))
            for part, array in (
                ("linear", half.linear),
                *((f"weight{number}", weight) for number, weight in enumerate(half.weights)),
                *((f"bias{number}", bias) for number, bias in enumerate(half.biases)),
            )
        }

    @classmethod
    def restore(cls, tensors: Tensors) -> "Network":
        """The network whose `tensors()` are among these."""
        return cls(
            _restored(tensors, "encoder"),
            _restored(tensors, "decoder"),
            float(tensors["activation"][0]),
        )


def _restored(tensors: Tensors, name: str) -> Half[Floats]:
    weights = sum(key.startswith(f"{name}.weight") for key in tensors)
    return Half(
        tensors[f"{name}.linear"],
        tuple(tensors[f"{name}.weight{number}"] for number in range(weights)),
        tuple(tensors[f"{name}.bias{number}"] for number in range(max(weights, 1))),
    )
