"""Training of an autoencoder: start, loss, descent, rows held out.

The linear maps start as principal components and the perceptrons as nothing: training starts at
PCA and, as the best validated state is kept, cannot end behind it on the rows that stop it.
Out of scope: how many latent dimensions, scales of the columns (`models.learn.autoencoder`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import TYPE_CHECKING

import numpy as np

from models.learn.autoencoder_network import Half, Network
from models.learn.learner import Bools, CannotLearnError, Floats, Ints, one_thread

if TYPE_CHECKING:
    from torch import Tensor

_EDGE = 1e-6
"""Mean activations keep this distance from 0 and 1, where the divergence is infinite."""


@dataclass(frozen=True, slots=True)
class Training:
    """How one network is trained: full-batch L-BFGS, stopped early.

    Penalties are those of Li et al., Science 376 (2022) 517, SI, "Regularized auto-encoder
    network". They do not state the target activation; the 0.05 of MATLAB's trainAutoencoder lets
    a unit answer to a handful of rows: on 60 noisy rows, trained to the end, it left 0.59 of new
    rows' variance unexplained, 0.2 left 0.44 (without penalties 0.53; five seeds, 2026-11).

    Attributes:
        hidden: widths of the encoder's hidden layers, reversed in the decoder; with none the
            network is linear.
        l2: penalty on each squared weight, against the squared error summed over standardised
            columns and averaged over rows.
        sparsity: penalty on the Kullback-Leibler divergence between the target and the mean
            activation of each hidden unit (Olshausen and Field, Vision Res. 37 (1997) 3311).
        activation: target of the mean activation, between 0 and 1; hidden units start at it.
        epochs: at most.
        iterations: of L-BFGS in an epoch.
        patience: epochs without a better validation after which training ends.
        learning_rate: length of a step that the line search tries first.
        seed: of the first weights and of the rows held out.
    """

    hidden: tuple[int, ...] = (32,)
    l2: float = 0.001
    sparsity: float = 0.01
    activation: float = 0.2
    epochs: int = 60
    iterations: int = 10
    patience: int = 8
    learning_rate: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what trains nothing.

        Raises:
            ValueError: names the option.
        """
        for name in ("epochs", "iterations", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: take at least 1")
        if any(width < 1 for width in self.hidden):
            raise ValueError(f"hidden is {self.hidden}: take widths of at least 1")
        for name in ("l2", "sparsity"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ValueError(f"{name} is {getattr(self, name)}: take at least 0")
        if not 0 < self.activation < 1 or not 0 < self.learning_rate < np.inf:
            raise ValueError(
                f"activation {self.activation}, learning_rate {self.learning_rate}: take a number "
                f"between 0 and 1, and one above 0"
            )


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained network.

    Attributes:
        network: in the state that validated best.
        errors: share of the validation rows' variance left unexplained, before the first epoch
            (PCA) and after each.
    """

    network: Network
    errors: tuple[float, ...]

    @property
    def error(self) -> float:
        """The least of the errors: that of the network."""
        return min(self.errors)


def principal(x: Floats, count: int) -> Floats:
    """First principal directions (D, count) of standardised rows (N, D)."""
    directions: Floats = np.linalg.eigh(x.T @ x)[1][:, ::-1][:, :count]
    return directions


def unexplained(x: Floats, reconstructed: Floats) -> float:
    """Squared error over squared length of standardised rows (N, D); their mean is 0 by scaling."""
    return float(((x - reconstructed) ** 2).sum() / max(float((x**2).sum()), np.finfo(float).tiny))


@contextmanager
def torch_on_one_thread() -> Iterator[None]:
    """Run torch and linear algebra on one thread, so that sums do not depend on the cores."""
    import torch  # noqa: PLC0415

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with one_thread():
            yield
    finally:
        torch.set_num_threads(before)


@torch_on_one_thread()
def train(training: Floats, validation: Floats, latent: int, options: Training) -> Trained:
    """Train one network, and keep the state that validates best; the same bits for the same seed.

    Args:
        training: standardised rows (N, D) that the loss is taken over.
        validation: standardised rows (V, D) that say when to stop.
        latent: dimensions, fewer than D.
        options: of the training.
    """
    networks = _epochs(training, latent, options)
    best = next(networks)
    errors = [unexplained(validation, best.decode(best.encode(validation)))]
    for network in networks:
        error = unexplained(validation, network.decode(network.encode(validation)))
        best = network if error < min(errors) else best
        errors.append(error if np.isfinite(error) else np.inf)
        if len(errors) - 1 - int(np.argmin(errors)) >= options.patience:
            break
    return Trained(best, tuple(errors))


@torch_on_one_thread()
def train_on_all(rows: Floats, trained: Trained, options: Training) -> Network:
    """Train anew on training and validation rows, for as many epochs as validated best.

    Args:
        rows: standardised rows (N, D) of both kinds.
        trained: what validation chose; kept where the new network, having come to rest elsewhere,
            reconstructs these rows less well.
        options: of the training.
    """
    epochs, latent = int(np.argmin(trained.errors)), trained.network.encoder.linear.shape[1]
    anew = next(islice(_epochs(rows, latent, options), epochs, None))
    errors = [unexplained(rows, each.decode(each.encode(rows))) for each in (anew, trained.network)]
    return anew if errors[0] <= errors[1] else trained.network


def hold_out(groups: Ints, wanted: int, rng: np.random.Generator) -> Bools:
    """Mask (N,) of rows held out: whole groups as they are drawn, up to half of all rows.

    Args:
        groups: (N,) group of each row.
        wanted: rows after which no further group is held out.
        rng: draws the groups.

    Raises:
        CannotLearnError: fewer than two groups.
    """
    names, sizes = np.unique(groups, return_counts=True)
    if names.size < 2:
        message = f"{names.size} group of rows: validation needs specimens of two groups or more"
        raise CannotLearnError(message)
    held, chosen = 0, []
    for place in rng.permutation(names.size):
        if held < wanted and 2 * (held + sizes[place]) <= len(groups):
            held += int(sizes[place])
            chosen.append(names[place])
    mask: Bools = np.isin(groups, chosen)
    return mask


def _epochs(rows: Floats, latent: int, options: Training) -> Iterator[Network]:
    """The network before the first epoch, and after each."""
    import torch  # noqa: PLC0415

    start = _started(principal(rows, latent), options)
    encoder, decoder = start.encoder.map(_parameter), start.decoder.map(_parameter)
    optimiser = torch.optim.LBFGS(
        [*encoder.arrays(), *decoder.arrays()],
        lr=options.learning_rate,
        max_iter=options.iterations,
        history_size=20,
        line_search_fn="strong_wolfe",
    )
    inputs = torch.from_numpy(rows.astype(np.float32))

    def closure() -> "Tensor":
        optimiser.zero_grad()
        loss = _loss(encoder, decoder, inputs, options)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    yield start
    for _ in range(options.epochs):
        optimiser.step(closure)  # type: ignore[no-untyped-call]
        yield Network(encoder.map(_plain), decoder.map(_plain), options.activation)


def _loss(
    encoder: "Half[Tensor]", decoder: "Half[Tensor]", rows: "Tensor", options: Training
) -> "Tensor":
    """Squared error, squared weights and sparsity, as Li et al. sum them."""
    import torch  # noqa: PLC0415

    target = options.activation
    latent, encoding = encoder.forward(rows, torch.sigmoid, target)
    reconstructed, decoding = decoder.forward(latent, torch.sigmoid, target)
    loss = (reconstructed - rows).square().sum() / len(rows)
    if options.l2:
        weights = [weight for half in (encoder, decoder) for weight in (half.linear, *half.weights)]
        loss = loss + options.l2 * torch.stack([weight.square().sum() for weight in weights]).sum()
    if options.sparsity and options.hidden:
        mean = torch.cat([each.mean(0) for each in (*encoding, *decoding)]).clamp(_EDGE, 1 - _EDGE)
        divergence = target * torch.log(target / mean) + (1 - target) * torch.log(
            (1 - target) / (1 - mean)
        )
        loss = loss + options.sparsity * divergence.sum()
    return loss


def _started(directions: Floats, options: Training) -> Network:
    """PCA by directions (D, L), and perceptrons that do not yet add to it."""
    rng = np.random.default_rng(options.seed)
    columns, latent = directions.shape
    return Network(
        _half(directions, (columns, *options.hidden, latent), options, rng),
        _half(directions.T, (latent, *options.hidden[::-1], columns), options, rng),
        options.activation,
    )


def _half(
    linear: Floats, sizes: tuple[int, ...], options: Training, rng: np.random.Generator
) -> Half[Floats]:
    if not options.hidden:
        return Half(linear, (), (np.zeros(sizes[-1]),))
    pairs = list(pairwise(sizes[:-1]))
    level = float(np.log(options.activation / (1 - options.activation)))
    return Half(
        linear,
        (
            *(rng.normal(size=pair) / np.sqrt(pair[0]) for pair in pairs),
            np.zeros((sizes[-2], sizes[-1])),
        ),
        (*(np.full(width, level) for width in sizes[1:-1]), np.zeros(sizes[-1])),
    )


def _parameter(array: Floats) -> "Tensor":
    import torch  # noqa: PLC0415

    return torch.tensor(np.ascontiguousarray(array, np.float32), requires_grad=True)


def _plain(tensor: "Tensor") -> Floats:
    return tensor.detach().numpy().astype(np.float64)
