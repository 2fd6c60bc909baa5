"""Precision and recall of the checks of labels, confounders and drift on faults planted at random.

The vectors and figures are those of the real collections; what is planted is a label, a place, a
shift of brightness. For each check also what it says where nothing was planted. Beside the rule
for suspected labels stand the filters of cleanlab on the same probabilities.
Out of scope: checks of images (`quality_images.py`).
"""

import argparse
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from common import Record, publish, real_data, register_real

if TYPE_CHECKING:
    from graindex.store import Store

NCM, LLZTO, UHCS = "ncm622_cycled_sem", "llzto_llto_sem", "uhcs"
LABELS = (
    (UHCS, "primary_microconstituent"),
    (LLZTO, "material"),
    (LLZTO, "conductivity_class"),
)
SWAPPED = 0.05
TOP = 0.1
FOREIGN = (1, 3, 8)
SHIFTS = (10, 20, 30)
AGREEMENT = (0.7, 0.9)


@dataclass(frozen=True)
class Labelled:
    """Images with a label: ids, vectors, codes, specimens and names of the classes."""

    ids: tuple[str, ...]
    x: np.ndarray
    codes: np.ndarray
    specimens: np.ndarray
    classes: tuple[str, ...]


def main() -> None:
    """Run and publish."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=40)
    parser.add_argument("--home", type=Path, help="home that holds the real collections already")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        store = catalogued(options.home or Path(scratch) / "home", given=options.home is not None)
        draws = options.draws
        rows = [
            *swapped_labels(store, draws),
            *swapped_specimens(store, draws),
            *foreign(store, max(draws // 4, 1)),
            *confounded(store, draws),
            *drifted(store, draws),
        ]
    publish("quality_labels", "Checks of labels, confounders and drift", rows)


def catalogued(home: Path, *, given: bool) -> "Store":
    """A store that holds the real collections with quality and vectors."""
    from graindex.store import init_store, open_store
    from orchestration.run import run_catalog

    if given:
        return open_store(home)
    store = init_store(home)
    register_real(store, real_data())
    report = run_catalog(store, [NCM, LLZTO, UHCS], "+key:micrograph_vectors or key:image_quality")
    assert not report.failures, report.failures
    return store


def labelled(store: "Store", dataset: str, name: str) -> Labelled:
    """Images of a collection that have a label."""
    from graindex.class_labels import class_labels, kinship
    from graindex.label_issues import vectors_by_image

    (label,) = (one for one in class_labels(store, dataset) if one.name == name)
    vectors = vectors_by_image(store, dataset)
    of = kinship(store, dataset).specimens
    x = np.stack([vectors[one] for one in label.ids]).astype(float)
    specimens = np.unique([str(of[one]) for one in label.ids], return_inverse=True)[1]
    return Labelled(label.ids, x, label.codes, specimens, label.classes)


def another(random: np.random.Generator, code: int, classes: int) -> int:
    """Another class at random."""
    return int((code + random.integers(1, classes)) % classes)


def swapped_labels(store: "Store", draws: int) -> Iterator[Record]:
    """One label in twenty swapped, image by image."""
    from models.learn.label_noise import label_noise, out_of_fold

    for dataset, name in LABELS:
        data = labelled(store, dataset, name)
        count, classes = len(data.codes), len(data.classes)
        tallies: dict[str, Tally] = {}
        top = []
        for seed in range(draws):
            random = np.random.default_rng(seed)
            places = random.choice(count, max(1, round(SWAPPED * count)), replace=False)
            codes = data.codes.copy()
            codes[places] = [another(random, code, classes) for code in codes[places]]
            planted = np.isin(np.arange(count), places)
            found = label_noise(data.x, codes, np.arange(count), seed)
            top.append((found.rank[places] <= np.ceil(TOP * count)).mean())
            tallies.setdefault("labels_fit", Tally()).add(planted, found.suspected)
            probabilities = out_of_fold(data.x, codes, np.arange(count), seed)
            for how, flagged in cleanlab_filters(codes, probabilities).items():
                tallies.setdefault(how, Tally()).add(planted, flagged)
        clean = label_noise(data.x, data.codes, np.arange(count))
        clean_by = {"labels_fit": clean.suspected} | cleanlab_filters(
            data.codes, out_of_fold(data.x, data.codes, np.arange(count))
        )
        for check, tally in tallies.items():
            record = tally.record(
                check, f"5 % of {name} swapped", f"{clean_by[check].sum()} of {count}"
            )
            yield record | ({"in top 10 %": float(np.mean(top))} if check == "labels_fit" else {})


def cleanlab_filters(codes: np.ndarray, probabilities: np.ndarray) -> dict[str, np.ndarray]:
    """What cleanlab holds to be wrong, by its filters."""
    from cleanlab.filter import find_label_issues

    names = ("confident_learning", "prune_by_noise_rate", "both")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            f"cleanlab {name}": find_label_issues(codes, probabilities, filter_by=name, n_jobs=1)
            for name in names
        }


def swapped_specimens(store: "Store", draws: int) -> Iterator[Record]:
    """Whole specimens of a wrong class, about one image in twenty, held out whole and not."""
    from models.learn.label_noise import label_noise

    data = labelled(store, *LABELS[0])
    classes, most = len(data.classes), round(SWAPPED * len(data.codes))
    for how, groups in (("specimen", data.specimens), ("image", np.arange(len(data.codes)))):
        tally, top = Tally(), []
        for seed in range(draws):
            random = np.random.default_rng(seed)
            codes, planted = data.codes.copy(), np.zeros(len(data.codes), bool)
            for specimen in random.permutation(data.specimens.max() + 1):
                inside = data.specimens == specimen
                code = data.codes[inside][0]
                of_class = len(np.unique(data.specimens[data.codes == code]))
                # The smallest class has two specimens, of which none can be spared.
                if planted.sum() + inside.sum() <= most + 1 and of_class > 2:
                    codes[inside] = another(random, codes[inside][0], classes)
                    planted |= inside
            found = label_noise(data.x, codes, groups, seed)
            tally.add(planted, found.suspected)
            top.append((found.rank[planted] <= np.ceil(TOP * len(codes))).mean())
        clean = label_noise(data.x, data.codes, groups).suspected.sum()
        record = tally.record(
            "labels_fit", f"specimens swapped, held out by {how}", f"{clean} of {len(data.codes)}"
        )
        yield record | {"in top 10 %": float(np.mean(top))}


def foreign(store: "Store", draws: int) -> Iterator[Record]:
    """Images of one collection put into another, for each pair of collections."""
    from graindex.foreign_images import MIN_RATIO
    from graindex.label_issues import vectors_by_image

    x = {
        name: np.stack(list(vectors_by_image(store, name).values())) for name in (NCM, LLZTO, UHCS)
    }
    clean = [(ratio_to_others(x, name) >= MIN_RATIO).sum() for name in x]
    told = f"{sum(clean)} of {sum(map(len, x.values()))}"
    for count in FOREIGN:
        tally = Tally()
        for seed in range(draws):
            random = np.random.default_rng(seed)
            for source, of_source in x.items():
                for target in sorted(x.keys() - {source}):
                    moved = random.choice(len(of_source), count, replace=False)
                    mixed = x | {target: np.concatenate((x[target], of_source[moved]))}
                    ratio = ratio_to_others(mixed, target)
                    planted = np.arange(len(ratio)) >= len(x[target])
                    tally.add(planted, ratio >= MIN_RATIO)
        yield tally.record("of_this_collection", f"{count} images of another material", told)


def ratio_to_others(x: dict[str, np.ndarray], target: str) -> np.ndarray:
    """Distance of each image to its own collection over that to the nearest other one."""
    from graindex.foreign_images import NEIGHBOURS
    from models.measure.vector_distance import nearest_distance

    own = x[target]
    home = nearest_distance(own, own, NEIGHBOURS, np.arange(len(own)))
    away = [nearest_distance(own, x[name], NEIGHBOURS) for name in x if name != target]
    return home / np.minimum(*away)


def confounded(store: "Store", draws: int) -> Iterator[Record]:
    """Labels that follow brightness in part, and labels that follow nothing."""
    from graindex.confounding import PREDICTORS

    columns = PREDICTORS["brightness and contrast"]
    for dataset, name in LABELS[:2]:
        data = labelled(store, dataset, name)
        x = numbers(store, dataset, columns, data.ids)
        clean = alarms(partial(follows, data, x, 0.5), draws)
        for agreement in AGREEMENT:
            found = alarms(partial(follows, data, x, agreement), draws)
            yield {
                "check": "not_confounded",
                "planted": f"label follows brightness in {agreement:.0%} of images of {dataset}",
                "recall": found,
                "clean": f"{clean:.1%} of draws with random labels",
            }


def follows(data: Labelled, x: np.ndarray, agreement: float, seed: int) -> bool:
    """Whether an alarm is raised where a label mostly says whether an image is bright."""
    from models.learn.predictability import predictability

    bright = (x[:, 0] > np.median(x[:, 0])).astype(int)
    random = np.random.default_rng(seed)
    # A label of chance is that of a specimen, as labels are.
    groups = data.specimens if agreement == 0.5 else np.arange(len(bright))
    keeps = (random.random(groups.max() + 1) < agreement)[groups]
    guess = random.integers(0, 2, groups.max() + 1)[groups]
    codes = guess if agreement == 0.5 else np.where(keeps, bright, 1 - bright)
    return predictability(x, codes, data.specimens, seed).alarm


def drifted(store: "Store", draws: int) -> Iterator[Record]:
    """Brightness of one half of the images raised at once, or more and more over time."""
    from graindex.drift import NUMBERS

    ids = tuple(
        store.table(
            f"SELECT micrograph_id FROM micrograph_catalog WHERE dataset = '{NCM}' "
            "ORDER BY acquired_at"
        )["micrograph_id"].to_pylist()
    )
    x = numbers(store, NCM, NUMBERS[:4], ids)

    def halves(seed: int, amount: float, *, gradual: bool) -> bool:
        """Whether a session is told from another one, or its later half from the earlier one."""
        random = np.random.default_rng(seed)
        values = x[random.permutation(len(x))]  # so that nothing but what is planted drifts
        later = np.arange(len(x)) >= len(x) // 2
        raised = np.linspace(0, amount, len(x)) if gradual else amount * later
        values[:, 0] += raised
        return drifts(values[later], values[~later], over_time=gradual)

    for gradual, what in ((False, "session brighter by"), (True, "session that gains")):
        clean = alarms(lambda seed, g=gradual: halves(seed, 0, gradual=g), 5 * draws)
        for amount in SHIFTS:
            found = alarms(lambda seed, by=amount, g=gradual: halves(seed, by, gradual=g), draws)
            yield {
                "check": "no_drift",
                "planted": f"{what} {amount} grey levels, 26 images of σ {x[:, 0].std():.0f}",
                "recall": found,
                "clean": f"{clean:.1%} of random halves",
            }


def drifts(values: np.ndarray, others: np.ndarray, *, over_time: bool) -> bool:
    """Whether any column raises an alarm."""
    from models.measure.distribution_shift import (
        SIGNIFICANCE,
        STABILITY_THRESHOLD,
        holm,
        shift,
        trend,
    )

    both = np.concatenate((others, values))
    trends = [trend(both[:, i])[1] for i in range(values.shape[1])] if over_time else []
    if any(p < SIGNIFICANCE for p in holm(trends)):
        return True

    found = [shift(values[:, i], others[:, i]) for i in range(values.shape[1])]
    p_values = holm([one.ks_p_value for one in found])
    return any(
        one.stability_index > STABILITY_THRESHOLD and p < SIGNIFICANCE
        for one, p in zip(found, p_values, strict=True)
    )


def numbers(
    store: "Store", dataset: str, columns: tuple[str, ...], ids: tuple[str, ...]
) -> np.ndarray:
    """Columns of the catalogue of some images, (N, C)."""
    rows = store.table(
        f"SELECT micrograph_id, {', '.join(columns)} FROM micrograph_catalog "
        f"WHERE dataset = '{dataset}'"
    ).to_pylist()
    by_id = {row["micrograph_id"]: [row[name] for name in columns] for row in rows}
    return np.array([by_id[one] for one in ids], np.float64)


def alarms(draw: Callable[[int], bool], draws: int) -> float:
    """Share of draws that raise an alarm."""
    return float(np.mean([draw(seed) for seed in range(draws)]))


class Tally:
    """What was planted, flagged, and both."""

    def __init__(self) -> None:
        self.planted = self.flagged = self.both = self.draws = 0

    def add(self, planted: np.ndarray, flagged: np.ndarray) -> None:
        """Count one draw."""
        self.draws += 1
        self.planted += int(planted.sum())
        self.flagged += int(flagged.sum())
        self.both += int((planted & flagged).sum())

    def record(self, check: str, planted: str, clean: str) -> Record:
        """Precision and recall over all draws."""
        return {
            "check": check,
            "planted": planted,
            "recall": self.both / self.planted,
            "precision": self.both / self.flagged if self.flagged else None,
            "clean": clean,
        }


if __name__ == "__main__":
    main()
