"""Which files are one volume, by their names."""

import io

import fsspec
import numpy as np
import pytest
import tifffile

from graindex.recipes import VolumeSettings
from graindex.scan import list_collection
from graindex.volume_scan import list_volumes

PLANE = np.zeros((4, 5), np.uint8)
RAW = VolumeSettings(shape=(3, 4, 5), dtype="uint8")


def tiff(pages=1, **options):
    data = io.BytesIO()
    tifffile.imwrite(data, np.stack([PLANE] * pages), photometric="minisblack", **options)
    return data.getvalue()


STACK, SLICE = tiff(3), tiff()


def put(place, **files):
    """Files by name, below a folder or URL; bytes, or nothing in particular."""
    for name, data in files.items():
        with fsspec.open(f"{place}/{name}", "wb", auto_mkdir=True) as handle:
            handle.write(data or b"x")


@pytest.fixture
def listed(tmp_path):
    """Make files and list their volumes."""

    def make(files, settings=None, below=""):
        names = files if isinstance(files, dict) else dict.fromkeys(files, b"")
        put(tmp_path / "c", **names)
        place = str(tmp_path / "c" / below)
        return list_volumes(place, list_collection(place), settings or VolumeSettings())

    return make


def groups(listing):
    """Contents and member paths by the path of each group."""
    return {
        group.path: {content: member.path for content, member in group.members.items()}
        for group in listing.groups
    }


def names(entries):
    return {entry.path for entry in entries}


class TestWhatIsAVolume:
    def test_by_suffix(self, listed):
        found = ["a.H5", "b.hdf5", "c.nxs", "d.emd", "e.mrc", "f.REC", "g.map", "h.zarr/0/0"]
        others = ["n.txt", "o.raw", "p.csv", "q.png", "r.bin", "s.jpg", "t.zarr.zip"]
        listing = listed([*found, *others])
        assert set(groups(listing)) == {*found[:-1], "h.zarr"}
        assert names(listing.ignored) == set(others)
        assert listing.refusals == ()
        assert [group.path for group in listing.groups] == sorted(groups(listing))

    def test_raw_files_where_their_shape_is_known(self, listed):
        files = ["a.raw", "b.bin", "c.dat", "d.vol", "e.mrc"]
        listing = listed(files, RAW)
        assert set(groups(listing)) == set(files)
        options = {group.path: dict(group.primary.options) for group in listing.groups}
        assert options["a.raw"] == {"shape": (3, 4, 5), "dtype": "uint8", "offset": 0}
        assert options["e.mrc"] == {}

    def test_the_dataset_is_of_hdf5_and_zarr_only(self, listed):
        listing = listed(["a.h5", "b.zarr/zarr.json", "c.mrc"], VolumeSettings(dataset_path="x/y"))
        options = {group.path: dict(group.primary.options) for group in listing.groups}
        named = {"dataset_path": "x/y"}
        assert options == {"a.h5": named, "b.zarr": named, "c.mrc": {}}

    def test_packed_files_are_refused(self, listed):
        packed = ["a.mrc.gz", "b.tif.BZ2", "c.h5.gz"]
        listing = listed(
            [*packed, "notes.txt.gz", "d.raw.gz", "e.zarr/0.tif.gz", "e.zarr/zarr.json"]
        )
        assert {refusal.path for refusal in listing.refusals} == set(packed)
        assert all("unpack it first" in refusal.reason for refusal in listing.refusals)
        assert names(listing.ignored) == {"notes.txt.gz", "d.raw.gz"}
        assert "d.raw.gz" in {refusal.path for refusal in listed([], RAW).refusals}

    @pytest.mark.parametrize("member", ["zarr.json", ".zgroup", ".zarray"])
    def test_a_zarr_store_by_its_metadata(self, listed, member):
        files = [f"s/cell/{member}", "s/cell/0/c/0/0", "s/cell/0/zarr.json", "s/cell/0/1.tif"]
        listing = listed([*files, "s/other/0.0.0"])
        assert groups(listing) == {"s/cell": {"grey": "s/cell"}}
        assert names(listing.groups[0].primary.files) == set(files)


class TestSlices:
    def test_a_folder_of_numbered_images_is_one_volume(self, listed):
        slices = {f"scan/rec_{n:03}.tif": SLICE for n in range(12)}
        listing = listed({**slices, "scan/rec.log": b"", "scan/sub/cell.mrc": b""})
        assert groups(listing) == {
            "scan": {"grey": "scan"},
            "scan/sub/cell.mrc": {"grey": "scan/sub/cell.mrc"},
        }
        assert names(listing.groups[0].primary.files) == set(slices)
        assert names(listing.ignored) == {"scan/rec.log"}

    @pytest.mark.parametrize("suffix", ["png", "bmp", "JPG"])
    def test_other_images_need_no_look_inside(self, listed, suffix):
        listing = listed([f"scan/{n}.{suffix}" for n in range(3)])
        assert set(groups(listing)) == {"scan"}

    def test_a_folder_of_stacks_is_several(self, listed):
        files = {f"cell{n}.tif": STACK for n in range(3)}
        assert set(groups(listed({**files, "preview1.png": b"", "preview2.png": b""}))) == set(
            files
        )

    def test_previews_never_outvote_stacks(self, listed):
        previews = dict.fromkeys([f"preview{n}.png" for n in range(5)], b"")
        assert set(groups(listed({**previews, "cell.tif": STACK}))) == {"cell.tif"}

    def test_a_stack_of_imagej_behind_one_page(self, listed):
        text = "ImageJ=1.53\nimages=5\nslices=5\n"
        page = tiff(description=text, metadata=None)
        assert len(groups(listed({"a1.tif": page + bytes(80), "a2.tif": page + bytes(80)}))) == 2

    def test_a_thumbnail_makes_no_stack(self, listed):
        data = io.BytesIO()
        with tifffile.TiffWriter(data) as tif:
            tif.write(PLANE)
            tif.write(PLANE[::2, ::2], subfiletype=1)
        assert set(groups(listed({f"s/{n}.tif": data.getvalue() for n in "12"}))) == {"s"}

    def test_single_pages_that_do_not_number_up_are_volumes_of_one_slice(self, listed):
        files = {"s/left.tif": SLICE, "s/right.tif": SLICE}
        assert set(groups(listed(files))) == set(files)

    def test_a_stray_leaves_the_folder_to_the_reader(self, listed):
        files = {f"s/{n}.tif": SLICE for n in range(3)} | {"s/overview.tif": SLICE}
        listing = listed(files)
        assert set(groups(listing)) == {"s"}
        assert names(listing.groups[0].primary.files) == set(files)

    def test_a_damaged_first_file_does_not_decide(self, listed):
        damaged = {"s/0.tif": b"not a TIFF"}
        assert set(groups(listed(damaged | {f"s/{n}.tif": SLICE for n in (1, 2)}))) == {"s"}
        files = damaged | {f"s/{n}.tif": STACK for n in (1, 2)}
        assert set(groups(listed(files))) == set(files)


class TestTheLocationItself:
    @pytest.mark.parametrize("files", [["zarr.json", "0/c/0"], [".zgroup", "0/0.0.0"], ["0/0.0"]])
    def test_is_a_zarr_store(self, listed, files):
        listing = listed([f"cell_labels.zarr/{name}" for name in files], below="cell_labels.zarr/")
        assert groups(listing) == {"cell_labels.zarr": {"labels": "cell_labels.zarr"}}
        (group,) = listing.groups
        assert group.primary.uri.endswith("/c/cell_labels.zarr")
        assert names(group.primary.files) == {f"cell_labels.zarr/{name}" for name in files}

    def test_is_a_folder_of_slices(self, listed):
        files = {f"scan/{n}.tif": SLICE for n in range(3)} | {
            "scan/x/a.mrc": b"",
            "scan/b.h5.gz": b"",
        }
        listing = listed(files, below="scan")
        assert set(groups(listing)) == {"scan", "scan/x/a.mrc"}
        assert [refusal.path for refusal in listing.refusals] == ["scan/b.h5.gz"]

    @pytest.mark.parametrize("name", ["cell_phases.tif", "v.mrc", "v.zarr"])
    def test_is_a_file(self, listed, tmp_path, name):
        listed({name: STACK})
        listing = list_volumes(
            str(tmp_path / "c" / name),
            list_collection(str(tmp_path / "c" / name)),
            VolumeSettings(),
        )
        if name == "v.zarr":  # a file of that name is no store
            assert listing.groups == ()
        else:
            (group,) = listing.groups
            assert (group.path, group.primary.uri) == (name, str(tmp_path / "c" / name))

    def test_behind_a_url(self):
        place = "memory://scan-of-volumes"
        try:
            put(
                place,
                **{f"s/{n}.tif": SLICE for n in range(3)},
                **{"v.zarr/zarr.json": b"", "a.h5": b""},
            )
            listing = list_volumes(place, list_collection(place), VolumeSettings())
            assert set(groups(listing)) == {"a.h5", "s", "v.zarr"}
            for group in listing.groups:
                assert fsspec.core.url_to_fs(group.primary.uri)[0].exists(group.primary.uri)
            listing = list_volumes(f"{place}/s", list_collection(f"{place}/s"), VolumeSettings())
            assert set(groups(listing)) == {"s"}
        finally:
            fsspec.filesystem("memory").rm("/scan-of-volumes", recursive=True)


class TestGroups:
    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("cell_grey.tif", "grey"),
            ("cell-GRAY.mrc", "grey"),
            ("cell.phases.h5", "phases"),
            ("cell phase.rec", "phases"),
            ("cell_Labels.ome.tif", "labels"),
            ("cell_label.ome.zarr/zarr.json", "labels"),
            ("labels.tif", "labels"),
            ("cell_labels_grey.tif", "grey"),
            ("celllabels.tif", "grey"),
            ("labels_cell.tif", "grey"),
        ],
    )
    def test_the_end_of_a_name_tells_the_content(self, listed, name, content):
        (group,) = listed({name: STACK}).groups
        assert list(group.members) == [content]

    @pytest.mark.parametrize("usual", ["grey", "phases", "labels"])
    def test_other_names_are_what_the_recipe_says(self, listed, usual):
        (group,) = listed(["cell.mrc"], VolumeSettings(content=usual)).groups
        assert list(group.members) == [usual]

    def test_what_is_left_of_the_names_tells_the_grid(self, listed):
        listing = listed(
            {
                "a/cell1_labels.tif": STACK,
                "a/cell1_grey.h5": b"",
                "a/cell1_phases.zarr/zarr.json": b"",
                "a/cell2.mrc": b"",
                "a/cell2_labels/1.tif": SLICE,
                "a/cell2_labels/2.tif": SLICE,
                "b/cell1_phases.tif": STACK,
                "b/cell1-labels.tif": STACK,
                "c/labels.mrc": b"",
                "c/grey.mrc": b"",
            }
        )
        assert groups(listing) == {
            "a/cell1_grey.h5": {
                "grey": "a/cell1_grey.h5",
                "phases": "a/cell1_phases.zarr",
                "labels": "a/cell1_labels.tif",
            },
            "a/cell2.mrc": {"grey": "a/cell2.mrc", "labels": "a/cell2_labels"},
            "b/cell1_phases.tif": {"phases": "b/cell1_phases.tif", "labels": "b/cell1-labels.tif"},
            "c/grey.mrc": {"grey": "c/grey.mrc", "labels": "c/labels.mrc"},
        }
        for group in listing.groups:
            assert list(group.members) == [
                c for c in ("grey", "phases", "labels") if c in group.members
            ]

    def test_two_of_one_content_are_refused_with_all_that_belongs_to_them(self, listed):
        listing = listed(["cell.mrc", "cell_grey.h5", "cell_labels.mrc", "other.mrc"])
        assert set(groups(listing)) == {"other.mrc"}
        reasons = {refusal.path: refusal.reason for refusal in listing.refusals}
        assert set(reasons) == {"cell.mrc", "cell_grey.h5", "cell_labels.mrc"}
        assert "cell.mrc and cell_grey.h5 are both grey" in reasons["cell.mrc"]
        assert reasons["cell_labels.mrc"] == "belongs to 'cell.mrc', which was refused"
        assert listing.ignored == ()


class TestListingHash:
    def test_changes_when_a_file_does_or_is_read_otherwise(self, listed, tmp_path):
        def digest(settings=RAW, more=()):
            (group,) = listed([*more], settings).groups
            return group.listing_hash

        seen = [digest(more=["cell.raw", "notes.txt"])]
        assert digest() == seen[0]
        with (tmp_path / "c" / "cell.raw").open("ab") as file:
            file.write(b"more")
        for next_one in (
            digest,
            lambda: digest(more=["cell_labels.raw"]),
            lambda: digest(RAW.model_copy(update={"offset": 1})),
            lambda: digest(RAW.model_copy(update={"shape": (3, 5, 4)})),
        ):
            assert next_one() not in seen
            seen.append(next_one())
        put(tmp_path / "c", **{"notes.txt": b"other"})
        assert digest() == seen[2]
        (group,) = listed([], RAW).groups
        assert group.size_bytes == 6

    def test_of_slices_and_stores_every_file_counts(self, listed, tmp_path):
        files = {f"s/{n}.tif": SLICE for n in range(3)} | {"v.zarr/.zarray": b"", "v.zarr/0.0": b""}
        before = {group.path: group.listing_hash for group in listed(files).groups}
        put(tmp_path / "c", **{"s/1.tif": SLICE + b"x", "v.zarr/.zarray": b"{}"})
        after = {group.path: group.listing_hash for group in listed([]).groups}
        assert all(before[path] != after[path] for path in ("s", "v.zarr"))
