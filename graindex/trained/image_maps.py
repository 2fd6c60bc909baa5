"""Where networks on images look: channels that go with the number, and Grad-CAM, as pictures.

Out of scope: both kinds of maps (`models.explain`), those of a kept model
(`graindex.trained.kept_maps`), classes (`graindex.trained.class_maps`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from graindex.originals import Grey8
from graindex.pictures import new_figure, png
from graindex.trained.image_rows import FittedOverImages
from graindex.trained.learning import Learning
from models.explain.channel_maps import channel_correlations, channel_maps, segmented
from models.explain.grad_cam import grad_cam
from models.learn.learner import Floats, Ints

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HIGH, _LOW = "#0072B2", "#D55E00"  # Okabe and Ito
_SHUFFLES = 200
_PANELS = ("image", "channels of high numbers", "channels of low numbers", "Grad-CAM")


@dataclass(frozen=True, slots=True, eq=False)
class Channels:
    """Correlations of channels (K, C) with the label, and (S, K, C) with shuffled ones."""

    correlations: Floats
    shuffled: Floats


@dataclass(frozen=True, slots=True, eq=False)
class ImageMaps:
    """Where networks look in an image; all of one shape (Y, X), that of what they see of it.

    Attributes:
        seen: grey levels.
        high: of channels that go with high numbers, each network's of mean 0 and deviation 1.
        low: of channels that go with low numbers, likewise.
        evidence: Grad-CAM, that for a higher number less that for a lower one, in its unit.
    """

    seen: npt.NDArray[Any]
    high: Floats
    low: Floats
    evidence: Floats


def map_pictures(
    learning: Learning, fitted: FittedOverImages, matrix: Floats, seed: int
) -> Iterator[tuple[str, bytes]]:
    """Captions with PNGs: the channels, and where they answer in three images.

    Args:
        learning: the training set, whose rows name the images.
        fitted: networks that were trained on all of its rows that train.
        matrix: (N, 1 + D) rows.
        seed: of the shuffles.
    """
    rows = np.flatnonzero(learning.final)
    images = [fitted.images[int(row)] for row in rows]
    channels = channels_of(fitted, images, learning.target[rows], learning.groups[rows], seed)
    yield (
        "Correlation of each channel of the last feature maps with the label, and, grey, with "
        f"labels that were shuffled between specimens {_SHUFFLES} times: what chance alone gives.",
        _histogram(channels),
    )
    order = rows[np.argsort(learning.target[rows], kind="stable")]
    places = {"lowest": order[0], "median": order[len(order) // 2], "highest": order[-1]}
    paths = learning.training_set.rows["path"].to_pylist()
    for name, row in places.items():
        told = f"{name} label: {paths[row]}, {learning.target[row]:.3g}"
        yield (
            f"{told}. Pixels above the median of the map stay bright. Networks were trained on it.",
            _picture(_of_row(fitted, channels, matrix[row])),
        )


def channels_of(
    fitted: FittedOverImages,
    images: Sequence[Grey8],
    target: Floats,
    groups: Ints,
    seed: int = 0,
    shuffles: int = _SHUFFLES,
) -> Channels:
    """Correlations of channels with the label over the N images that networks learned from.

    Args:
        fitted: K networks.
        images: N images (Y, X).
        target: (N,) labels.
        groups: (N,) specimen of each image, between which labels are shuffled.
        seed: of the shuffles.
        shuffles: how many.
    """
    pooled = fitted.networks.pooled(images)  # (K, N, C)
    numbers, group = np.unique(groups, return_inverse=True)
    of_group = np.array([target[group == number].mean() for number in range(len(numbers))])
    rng = np.random.default_rng(seed)
    shuffled = [
        [channel_correlations(one, rng.permutation(of_group)[group]) for one in pooled]
        for _ in range(shuffles)
    ]
    found = [channel_correlations(one, target) for one in pooled]
    return Channels(np.array(found), np.array(shuffled))


def maps_of(
    fitted: FittedOverImages, correlations: Floats, grey: Grey8, descriptors: Floats
) -> ImageMaps:
    """Where networks look in an image (Y, X).

    Args:
        fitted: K networks.
        correlations: (K, C) of channels with the label.
        grey: the image.
        descriptors: (D,) that come with it; none where the networks take none.
    """
    seen = fitted.networks.seen(grey)
    high, low = _mean_maps(fitted, correlations, grey, seen.shape)
    return ImageMaps(seen, high, low, evidence_in(fitted, grey, descriptors))


def _of_row(fitted: FittedOverImages, channels: Channels, row: Floats) -> ImageMaps:
    return maps_of(fitted, channels.correlations, fitted.images[int(row[0])], row[1:])


def _histogram(channels: Channels) -> bytes:
    figure = new_figure(5.6, 3.2)
    axes = figure.add_subplot()
    edges = np.linspace(-1, 1, 41).tolist()
    known = channels.correlations[np.isfinite(channels.correlations)]
    chance = channels.shuffled[np.isfinite(channels.shuffled)]
    share = known.size / max(chance.size, 1)
    axes.hist(chance, edges, weights=np.full(chance.size, share), color="#bbbbbb", label="shuffled")
    for sign, colour, name in ((known > 0, _HIGH, "positive"), (known < 0, _LOW, "negative")):
        axes.hist(known[sign], edges, color=colour, alpha=0.7, label=name)
    axes.set_xlabel("Pearson correlation with the label")
    axes.set_ylabel("channels")
    axes.legend(fontsize=7, frameon=False)
    axes.grid(alpha=0.3)
    return png(figure, all_colours=True)


def _picture(maps: ImageMaps) -> bytes:
    """The image, its two segmentations and its evidence side by side."""
    figure = new_figure(10.4, 3.0)
    panels = figure.subplots(1, len(_PANELS))
    for axes, title in zip(panels, _PANELS, strict=True):
        axes.imshow(maps.seen, cmap="gray")
        axes.set_title(title, fontsize=8)
        axes.set_axis_off()
    for axes, values, colour in ((panels[1], maps.high, _HIGH), (panels[2], maps.low, _LOW)):
        _covered(axes, values, colour)
        if np.ptp(values) == 0:
            axes.set_title(f"{axes.get_title()}: none", fontsize=8)
    draw_evidence(panels[3], maps.evidence, ("lower", "higher"))
    return png(figure, all_colours=True)


def draw_evidence(axes: "Axes", evidence: Floats, ends: tuple[str, str]) -> None:
    """Evidence (Y, X) in colours over an image, with a bar whose ends are named."""
    most = float(np.abs(evidence).max()) or 1.0
    drawn = axes.imshow(evidence, cmap="RdBu", vmin=-most, vmax=most, alpha=0.6)
    bar = axes.figure.colorbar(drawn, ax=axes, ticks=[-most, most], shrink=0.8)
    bar.ax.set_yticklabels(ends, fontsize=7)


def _mean_maps(
    fitted: FittedOverImages, correlations: Floats, grey: Grey8, shape: tuple[int, ...]
) -> tuple[Floats, Floats]:
    """Positive and negative map, each network's brought to one scale before the mean."""
    both = [
        channel_maps(maps, own, (shape[0], shape[1]))
        for maps, own in zip(fitted.networks.maps(grey), correlations, strict=True)
    ]
    high, low = (np.mean([_standard(pair[sign]) for pair in both], axis=0) for sign in (0, 1))
    return high, low


def _standard(values: Floats) -> Floats:
    spread = float(values.std())
    return np.asarray((values - values.mean()) / (spread if spread > 0 else 1.0))


def evidence_in(
    fitted: FittedOverImages, grey: Grey8, descriptors: Floats, code: int | None = None
) -> Floats:
    """Positive less negative evidence, the mean over networks; of a class, its code given."""
    networks = fitted.networks
    given = networks.inputs(grey, descriptors if networks.config.descriptors else None)
    found = []
    for member, (image, own) in zip(networks.members, given, strict=True):
        positive, negative = grad_cam(member.network, image, own, code)
        found.append(positive - negative)
    return np.asarray(np.mean(found, axis=0))


def _covered(axes: "Axes", values: Floats, colour: str) -> None:
    """Darken what lies at or below the median, and outline the rest."""
    mask = segmented(values)
    veil = np.zeros((*mask.shape, 4))
    veil[~mask] = (0, 0, 0, 0.75)
    axes.imshow(veil)
    if mask.any() and not mask.all():
        axes.contour(mask, levels=[0.5], colors=[colour], linewidths=0.6)
