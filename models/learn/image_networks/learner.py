"""Networks on images as learners: micrographs with a number or a class each in, networks out.

Numbers reproduce Murakami et al., Digital Discovery 2025, doi 10.1039/d5dd00232j. Classes take the
same networks, trained for the cross-entropy, as Oh et al. transfer theirs to NCM cathodes.
Out of scope: the training itself (`ensemble`, `training`), outer folds, the mean over the images
of a specimen. torch is imported where something is trained.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from models.learn.image_networks.config import (
    TABLE_2,
    Architecture,
    ImageNetworkError,
    NetworkConfig,
)
from models.learn.image_networks.examples import ImageExample, rows_of, weighted
from models.learn.image_networks.fitted import FittedImageNetworks
from models.learn.image_networks.levels import Equalise, levels_of, parse_equalise
from models.learn.image_networks.options import Optimiser, TrainingOptions
from models.learn.learner import CannotLearnError, Rows, TargetKind
from models.learn.weights import balanced_weights
from models.progress import Progress
from models.segment.learner import parameters_of
from models.training.errors import TrainingError

__all__ = ["FittedImageNetworks", "ImageClassification", "ImageExample", "ImageRegression"]


@dataclass(frozen=True, slots=True)
class ImageRegression:
    """Parameters of a training.

    Attributes:
        architecture: see `NetworkConfig`. Descriptors of images are used by "descriptors" alone,
            so that all four can learn from the same examples.
        filters: see `NetworkConfig`.
        backbone: of "efficientnet-b3"; the published one needs `weights`.
        weights: local file with weights of the backbone; None: the packaged ones.
        equalise: "standard" brings each image to mean 0 and standard deviation 1; "clahe" evens
            out its contrast in parts first; "none" leaves brighter images brighter, where that
            means something: all were taken at the same settings, on one scale of grey levels.
        inner_folds: of the validation by group within the training images, a network for each,
            which predict together; 1: a single network, which a quarter of the groups stops.
        crop_px: side of the square that is cut out of each image.
        epochs: at most, of each network.
        batch: images in a step.
        learning_rate: at its highest; 1e-4 suits a backbone that is fine-tuned.
        warmup: steps over which it rises.
        optimiser: "adam" or "adamw".
        weight_decay: of the weights.
        patience: epochs without a lower validation loss after which training ends.
        fine_tune: whether a backbone is trained too, or the last layer alone.
        mixed: convolutions in bfloat16 in training.
        device: of torch; trainings are repeatable to the bit on "cpu".
        threads: of torch on a CPU; the outcome depends on them in the last bits.
    """

    architecture: Architecture = "baseline"
    filters: tuple[int, int, int] = TABLE_2
    backbone: str = "tf_efficientnet_b3"
    weights: str | None = None
    equalise: Equalise = "standard"
    inner_folds: int = 4
    crop_px: int = 512
    epochs: int = 30
    batch: int = 8
    learning_rate: float = 1e-3
    warmup: int = 10
    optimiser: Optimiser = "adam"
    weight_decay: float = 0.0
    patience: int = 10
    fine_tune: bool = True
    mixed: bool = False
    device: str = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        """Refuse what trains nothing."""
        self.options(0)
        self.config(1)
        parse_equalise(self.equalise)
        if self.inner_folds < 1:
            raise ImageNetworkError(f"inner_folds is {self.inner_folds}: take at least 1")

    @property
    def kind(self) -> TargetKind:
        """What it predicts."""
        return "number"

    def config(self, descriptors: int, classes: int = 0) -> NetworkConfig:
        """Each network, for images that come with so many descriptors, of so many classes."""
        used = descriptors if self.architecture == "descriptors" else 0
        return NetworkConfig(self.architecture, used, self.filters, self.backbone, classes)

    def options(self, seed: int) -> TrainingOptions:
        """The same as a training takes them."""
        return TrainingOptions(**parameters_of(self, TrainingOptions), seed=seed)

    def fit(
        self,
        images: Sequence[ImageExample],
        seed: int,
        *,
        classes: int = 0,
        checkpoints: Path | None = None,
        progress: Progress | None = None,
    ) -> FittedImageNetworks:
        """Train the networks, one after the other.

        Args:
            images: of two groups or more, in an order on which the outcome depends.
            seed: of everything random; the same one gives the same networks, to the bit.
            classes: that the targets are codes of; 0 for numbers.
            checkpoints: folder to go on from where a training was interrupted; None: none.
            progress: told how many epochs of all networks are done, and how many there are at most.

        Raises:
            CannotLearnError: images, targets, groups or descriptors that nothing can be learnt
                from, no weights of the backbone, a checkpoint of another training, or a training
                that diverged; one line.
        """
        from models.encode.config import EncoderUnavailableError  # noqa: PLC0415
        from models.learn.image_networks.ensemble import fit_members  # noqa: PLC0415

        try:
            used = weighted(images)
            rows = self._weighed(rows_of(used, self.architecture, classes), classes)
            config = self.config(rows.x.shape[1], classes)
            members, left_out = fit_members(
                rows,
                [levels_of(image.grey, self.equalise) for image in used],
                config,
                self.options(seed),
                equalise=self.equalise,
                networks=self.inner_folds,
                checkpoints=checkpoints,
                progress=progress,
            )
        except (ImageNetworkError, TrainingError, EncoderUnavailableError) as error:
            raise CannotLearnError(str(error)) from error
        return FittedImageNetworks(
            config,
            members,
            left_out.noise,
            self.crop_px,
            self.equalise,
            self.threads,
            left_out.temperature,
        )

    def _weighed(self, rows: Rows, classes: int) -> Rows:
        """Rows with the weights that they are learnt with."""
        del classes
        return rows


@dataclass(frozen=True, slots=True)
class ImageClassification(ImageRegression):
    """Parameters of a training of networks that tell classes apart.

    Attributes:
        balanced: whether classes weigh alike, or by their images.
    """

    balanced: bool = True

    @property
    def kind(self) -> TargetKind:
        """What it predicts."""
        return "class"

    def _weighed(self, rows: Rows, classes: int) -> Rows:
        if not self.balanced:
            return rows
        return replace(rows, weight=balanced_weights(rows.target, rows.weight, classes))
