"""Images that show the same place and should not: repeated fields, and fields of two specimens.

Out of scope: finding them (`graindex.duplicates`).
"""

from collections.abc import Sequence

from graindex.check_rows import problem, read
from graindex.checking import Problem
from graindex.records import Record
from graindex.store import Store


def repeated(store: Store, dataset: str) -> Sequence[Problem]:
    """Images that show the field of another one again, perhaps re-encoded or brightened."""
    rows = read(store, "near_duplicates", dataset).to_pylist()
    return problem(
        "a field of its own",
        (
            (row["micrograph_id"], f"{row['duplicate_kind']} duplicate of {row['other_id']}")
            for row in rows
            if row["duplicate_kind"] != "overlapping"
        ),
    )


def duplicates_across_specimens(store: Store, dataset: str) -> Sequence[Problem]:
    """Images that show the same place but are of different specimens or contradicting labels.

    Within a collection specimens are compared, across collections the labels that both have.
    """
    pairs = read(store, "near_duplicates", dataset).to_pylist()
    if not pairs:
        return []
    names = {str(row[side]) for row in pairs for side in ("dataset", "other_dataset")}
    specimens = {
        name: {row["sample_id"]: row for row in store.read("samples", name).to_pylist()}
        for name in names
    }
    of_image = {
        row["micrograph_id"]: specimens[name].get(row["sample_id"])
        for name in names
        for row in read(store, "micrographs", name, "micrograph_id", "sample_id").to_pylist()
    }
    told = (
        (row, _contradiction(of_image.get(row["micrograph_id"]), of_image.get(row["other_id"])))
        for row in pairs
    )
    return problem(
        "images of one place are of one specimen",
        (
            (row["micrograph_id"], f"{row['duplicate_kind']} {row['other_id']}: {difference}")
            for row, difference in told
            if difference
        ),
    )


def _contradiction(one: Record | None, other: Record | None) -> str:
    """How two specimens differ; "" where they do not, or too little is known of them."""
    if one is None or other is None:
        return ""
    if one["dataset"] == other["dataset"] and one["sample_id"] == other["sample_id"]:
        return ""
    bookkeeping = {"dataset", "sample_id", "sample", "input_hash", "code_version"}
    labels = sorted((one.keys() & other.keys()) - bookkeeping)
    differing = [
        f"{name} {one[name]} against {other[name]}"
        for name in labels
        if one[name] is not None and other[name] is not None and one[name] != other[name]
    ]
    if not differing and one["dataset"] == other["dataset"]:
        return f"specimen {one['sample']} against {other['sample']}"
    return ", ".join(differing)
