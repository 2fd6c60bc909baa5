"""Regularised autoencoder of tabular rows: Li et al., Science 376 (2022) 517, SI, Fig. S8.

Rows held out are reconstructed ever better by more latent dimensions, which in the end carry the
noise of single columns; so a further dimension is taken only for what it explains.
Out of scope: the network and its training (`models.learn.autoencoder_fit`), correlations of what is
reconstructed (`models.explain.correlations`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.learn.autoencoder_fit import (
    Trained,
    Training,
    hold_out,
    principal,
    torch_on_one_thread,
    train,
    train_on_all,
    unexplained,
)
from models.learn.autoencoder_network import Network, Standard
from models.learn.learner import Bools, CannotLearnError, Curve, Floats, Ints, Tensors, one_thread
from models.progress import Counter, Progress

_ROWS = 20
"""Fewer rows than this are refused."""


@dataclass(frozen=True, slots=True)
class AutoencoderFit:
    """A fitted autoencoder; its latent dimensions stand in order of significance.

    Attributes:
        standard: scales of the columns.
        network: of standardised rows.
        latent_mean: (L,) mean latent row of the fitted rows.
        significance: (L,) share of the fitted rows' variance that is lost when only this latent
            dimension is put to its mean; falling.
        chosen: latent dimensions, their validation error, rows held out for it.
        curves: validation error over latent dimensions, and over the epochs of the one chosen; as
            share of the variance left unexplained.
    """

    standard: Standard
    network: Network
    latent_mean: Floats
    significance: Floats
    chosen: Mapping[str, float | str]
    curves: tuple[Curve, ...] = ()

    def encode(self, x: Floats) -> Floats:
        """Latent rows (N, L) of rows (N, D)."""
        with one_thread():
            return self.network.encode(self.standard.apply(x))

    def decode(self, latent: Floats) -> Floats:
        """Rows (N, D), in the columns' own units, of latent rows (N, L)."""
        with one_thread():
            return self.standard.undo(self.network.decode(latent))

    def reconstruct(self, x: Floats, keep: int | None = None) -> Floats:
        """Rows (N, D) encoded and decoded.

        Args:
            x: rows (N, D).
            keep: most significant latent dimensions that are kept, the others being put to their
                mean; None: all.

        Raises:
            ValueError: `keep` is not from 0 to L.
        """
        size = len(self.latent_mean)
        if keep is not None and not 0 <= keep <= size:
            raise ValueError(f"keep is {keep}: the autoencoder has {size} latent dimensions")
        latent = self.encode(x)
        kept = np.arange(size) < (size if keep is None else keep)
        return self.decode(np.where(kept, latent, self.latent_mean))

    def tensors(self) -> dict[str, Floats]:
        """Everything that encoding and decoding need."""
        return {
            "autoencoder.centre": self.standard.centre,
            "autoencoder.spread": self.standard.spread,
            "autoencoder.latent_mean": self.latent_mean,
            "autoencoder.significance": self.significance,
            **self.network.tensors(),
        }


@dataclass(frozen=True, slots=True)
class Autoencoder(Training):
    """A regularised autoencoder with the sizes that validation chooses from.

    Attributes:
        latent: latent dimensions tried; those not below the varying columns are left out.
        gain: share of the variance that each further latent dimension must explain; 0: the size
            with the least validation error, as published.
        validation_share: of the rows, held out to stop each training and to choose; 0.05 as
            published.
        validation_rows: at least so many, up to a quarter of the rows.
    """

    latent: tuple[int, ...] = tuple(range(1, 16))
    gain: float = 0.01
    validation_share: float = 0.05
    validation_rows: int = 50

    def __post_init__(self) -> None:
        """Refuse what chooses or validates nothing.

        Raises:
            ValueError: names the option.
        """
        Training.__post_init__(self)
        if not self.latent or min(self.latent) < 1 or len(set(self.latent)) < len(self.latent):
            raise ValueError(f"latent is {self.latent}: take different sizes of at least 1")
        if not 0 < self.validation_share <= 0.5 or self.validation_rows < 1:
            raise ValueError(
                f"validation_share {self.validation_share}, validation_rows "
                f"{self.validation_rows}: take a share up to 0.5 and at least 1 row"
            )
        if not 0 <= self.gain < 1:
            raise ValueError(f"gain is {self.gain}: take 0 up to 1")

    @torch_on_one_thread()
    def fit(
        self, x: Floats, groups: Ints | None = None, *, progress: Progress | None = None
    ) -> AutoencoderFit:
        """Train every size, choose one by validation, and train that one on all rows.

        Args:
            x: rows (N, D), each column in its own unit; finite, 20 rows or more.
            groups: (N,) group of each row, such as its electrode; rows of one group never stand on
                both sides of the validation. None: every row is its own.
            progress: told how many networks are trained, and of how many.

        Raises:
            CannotLearnError: too few rows, groups or varying columns, or values that are not
                finite.
        """
        x, groups = _checked(x, groups)
        held = self._held(groups, np.random.default_rng(self.seed))
        standard = Standard.of(x)
        rows = standard.apply(x)
        sizes = self._sizes(rows)
        done = Counter(progress, len(sizes) + 1)
        trained = self._train(rows, held, sizes, done)
        errors = np.array([each.error for each in trained])
        best = int((errors + self.gain * np.array(sizes)).argmin())
        network, mean, significance = _ranked(train_on_all(rows, trained[best], self), rows)
        done()
        history = trained[best].errors
        return AutoencoderFit(
            standard=standard,
            network=network,
            latent_mean=mean,
            significance=significance,
            chosen={
                "latent": float(sizes[best]),
                "validation_unexplained": float(errors[best]),
                "validation_rows": float(held.sum()),
            },
            curves=(
                Curve("validation error over latent dimensions", sizes, tuple(errors.tolist())),
                Curve("validation error over epochs", tuple(range(len(history))), history),
            ),
        )

    def restore(self, tensors: Tensors) -> AutoencoderFit:
        """The fit whose `tensors()` these are.

        Raises:
            KeyError: a tensor is missing.
        """
        return AutoencoderFit(
            standard=Standard(tensors["autoencoder.centre"], tensors["autoencoder.spread"]),
            network=Network.restore(tensors),
            latent_mean=tensors["autoencoder.latent_mean"],
            significance=tensors["autoencoder.significance"],
            chosen={},
        )

    def _held(self, groups: Ints, rng: np.random.Generator) -> Bools:
        count = len(groups)
        least = min(self.validation_rows, count // 4)
        return hold_out(groups, max(round(self.validation_share * count), least), rng)

    def _sizes(self, rows: Floats) -> tuple[int, ...]:
        """Sizes below the columns of rows (N, D) that vary."""
        varying = int((rows != 0).any(0).sum())
        sizes = tuple(sorted(size for size in self.latent if size < varying))
        if not sizes:
            message = f"{varying} columns vary: {min(self.latent)} latent dimensions need more"
            raise CannotLearnError(message)
        return sizes

    def _train(
        self, rows: Floats, held: Bools, sizes: Sequence[int], done: Callable[[], None]
    ) -> list[Trained]:
        """A network of every size; tells when each is trained."""
        trained = []
        for size in sizes:
            trained.append(train(rows[~held], rows[held], size, self))
            done()
        return trained


@dataclass(frozen=True, slots=True)
class ReconstructionCurve:
    """Share of the held-out rows' variance left unexplained, over latent dimensions (Fig. S8B-D).

    Attributes:
        latent: (K,) latent dimensions.
        regularised: (K,) of the autoencoder.
        plain: (K,) of the same network without penalties.
        pca: (K,) of as many principal components.
        variance: mean squared standardised value of the held-out rows, about the training rows'
            mean: a share times this is the mean squared error in standardised units.
        training_rows: that all three were fitted on.
        held_rows: that all three are scored on, and that no fit has seen.
    """

    latent: tuple[int, ...]
    regularised: tuple[float, ...]
    plain: tuple[float, ...]
    pca: tuple[float, ...]
    variance: float
    training_rows: int
    held_rows: int


@torch_on_one_thread()
def reconstruction_curve(
    x: Floats,
    options: Autoencoder,
    groups: Ints | None = None,
    *,
    progress: Progress | None = None,
) -> ReconstructionCurve:
    """Autoencoder with and without penalties, and PCA, on rows that none of them has seen.

    Both networks hold out some of the training rows to find when to stop, and are then trained on
    all of them, as PCA is.

    Args:
        x: rows (N, D), as for `Autoencoder.fit`.
        options: sizes, training, rows held out (twice).
        groups: (N,) group of each row; None: every row is its own.
        progress: told how many networks are trained, and of how many.

    Raises:
        CannotLearnError: as `Autoencoder.fit`, and fewer than three groups.
    """
    x, groups = _checked(x, groups)
    rng = np.random.default_rng(options.seed)
    scored = options._held(groups, rng)
    standard = Standard.of(x[~scored])
    rows, target = standard.apply(x[~scored]), standard.apply(x[scored])
    held = options._held(groups[~scored], rng)
    sizes = options._sizes(rows)
    done = Counter(progress, 4 * len(sizes))
    errors: list[tuple[float, ...]] = []
    for penalties in (options, replace(options, l2=0.0, sparsity=0.0)):
        own = []
        for each in penalties._train(rows, held, sizes, done):
            network = train_on_all(rows, each, penalties)
            own.append(unexplained(target, network.decode(network.encode(target))))
            done()
        errors.append(tuple(own))
    components = (principal(rows, size) for size in sizes)
    return ReconstructionCurve(
        latent=sizes,
        regularised=errors[0],
        plain=errors[1],
        pca=tuple(unexplained(target, target @ each @ each.T) for each in components),
        variance=float((target**2).mean()),
        training_rows=len(rows),
        held_rows=len(target),
    )


def _ranked(network: Network, rows: Floats) -> tuple[Network, Floats, Floats]:
    """Network with the most significant latent dimension first, their means and significance."""
    latent = network.encode(rows)
    mean = latent.mean(0)
    whole = unexplained(rows, network.decode(latent))
    without = np.where(np.eye(len(mean), dtype=bool)[:, None], mean, latent)  # (L, N, L)
    lost = np.array([unexplained(rows, network.decode(each)) for each in without]) - whole
    order = np.argsort(-lost, kind="stable")
    return network.ordered(order), mean[order], lost[order]


def _checked(x: Floats, groups: Ints | None) -> tuple[Floats, Ints]:
    x = np.asarray(x, float)
    groups = np.arange(len(x)) if groups is None else np.asarray(groups)
    if x.ndim != 2 or groups.shape != x.shape[:1]:
        raise ValueError(f"rows {x.shape} and groups {groups.shape}: take (N, D) and (N,)")
    if len(x) < _ROWS:
        raise CannotLearnError(f"{len(x)} rows: an autoencoder needs {_ROWS} or more")
    wrong = ~np.isfinite(x)
    if wrong.any():
        column = int(np.flatnonzero(wrong.any(0))[0])
        count = int(wrong[:, column].sum())
        raise CannotLearnError(f"column {column} is not finite in {count} of {len(x)} rows")
    return x, groups
