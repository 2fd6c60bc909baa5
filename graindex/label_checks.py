"""Checks of labels: suspected, contradictory or confounded ones, foreign images, and drift.

Out of scope: how they are found (`graindex.label_issues`, `graindex.label_conflicts`,
`graindex.confounding`, `graindex.drift`, `graindex.foreign_images`).
"""

from collections.abc import Mapping, Sequence

from graindex import label_conflicts
from graindex.checking import SHOWN, Check, Problem
from graindex.foreign_images import foreign_images
from graindex.label_conflicts import Line
from graindex.store import Store

NOT_OF_SAMPLES = "statements and samples say the same"


def labels_contradict(store: Store, dataset: str) -> list[Problem]:
    """Labels that names, readings, statements and samples state differently."""
    return [
        *_problem(
            "name and readings agree", label_conflicts.names_against_readings(store, dataset)
        ),
        *_problem("name and label agree", label_conflicts.names_against_labels(store, dataset)),
        *_problem(NOT_OF_SAMPLES, label_conflicts.statements_against_samples(store, dataset)),
        *_problem("labellers agree", label_conflicts.labellers_against_each_other(store, dataset)),
    ]


def labels_suspected(store: Store, dataset: str) -> list[Problem]:
    """Images whose vector speaks against their label, a problem for each label."""
    rows = store.lake.query(
        "SELECT * FROM lake.label_issues WHERE dataset = ? AND suspected "
        "ORDER BY label_name, issue_rank",
        [dataset],
    ).to_pylist()
    lines: dict[str, list[Line]] = {}
    for row in rows:
        found = (
            f"labelled {row['label_text']}, looks like {row['suggested_text']}; probability of "
            f"the label {row['label_confidence']:.2f}, rank {row['issue_rank']}"
        )
        lines.setdefault(row["label_name"], []).append((row["micrograph_id"], found))
    return [one for name, of in lines.items() for one in _problem(f"{name} fits the image", of)]


def labels_confounded(store: Store, dataset: str) -> list[Problem]:
    """Labels that settings, brightness, date or session alone predict."""
    rows = store.lake.query(
        "SELECT * FROM lake.confounders WHERE dataset = ? AND alarm ORDER BY ALL", [dataset]
    ).to_pylist()
    lines = [
        (
            row["label_name"],
            f"predicted by {row['predictors']} alone with a balanced accuracy of "
            f"{row['predictability']:.2f}, by guessing with {row['chance_level']:.2f} "
            f"({row['row_count']} images)",
        )
        for row in rows
    ]
    return _problem("no setting predicts a label", lines)


def parts_drift(store: Store, dataset: str) -> list[Problem]:
    """Parts of a collection whose images differ from the others'."""
    rows = store.lake.query(
        "SELECT * FROM lake.drift WHERE dataset = ? AND alarm ORDER BY ks_p_value, variable",
        [dataset],
    ).to_pylist()
    return _problem("parts are alike", [(row["compared"], _difference(row)) for row in rows])


def _difference(row: Mapping[str, object]) -> str:
    """How a part differs, in words."""
    told = (
        f"{row['variable']} differs from {row['reference']}: stability index "
        f"{row['stability_index']:.2f}, KS {row['ks_statistic']:.2f}, p {row['ks_p_value']:.1g}"
    )
    if row["trend"] is not None:
        told += f", trend {row['trend']:+.2f}, p {row['trend_p_value']:.1g}"
    return f"{told} ({row['row_count']} images)"


def images_foreign(store: Store, dataset: str) -> list[Problem]:
    """Images that resemble another collection of the store more than their own."""
    lines = [
        (
            one.micrograph_id,
            f"{one.ratio:.1f} times nearer to images of {one.other_dataset} than to its own",
        )
        for one in foreign_images(store, dataset)
    ]
    return _problem("images resemble their collection", lines)


def _problem(rule: str, lines: Sequence[Line]) -> list[Problem]:
    return [Problem(rule, len(lines), tuple(lines[:SHOWN]))] if lines else []


LABEL_CHECKS = (
    Check(
        "label_issues",
        "labels_agree",
        labels_contradict,
        "Names, readings, statements of labels and columns of samples do not contradict each "
        "other.",
        "Find out which is right; correct the samples table or the statement "
        "(`graindex label`), or rename the file.",
    ),
    Check(
        "label_issues",
        "labels_fit",
        labels_suspected,
        "No label is one that the image's vector speaks against.",
        "Look at the images, most suspicious first: SELECT * FROM label_issues WHERE suspected "
        "ORDER BY label_name, issue_rank.",
    ),
    Check(
        "confounders",
        "not_confounded",
        labels_confounded,
        "No label is predicted by brightness, date, session or settings alone.",
        "Split by session, or image all classes in each session; a model may learn the setting "
        "instead of the specimen.",
    ),
    Check(
        "drift",
        "no_drift",
        parts_drift,
        "Sessions, collections of one material and sides of training sets do not differ.",
        "Look at the figures of the asset `drift`; leave the part out, or normalise within "
        "sessions.",
    ),
    Check(
        "micrograph_vectors",
        "of_this_collection",
        images_foreign,
        "No image resembles another collection of the store more than its own.",
        "Look at the image: if it is of another material, move its file to where it belongs.",
    ),
)
