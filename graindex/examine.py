"""One file to the facts that its bytes hold: frames, content box, readings, preview.

Out of scope: what depends on the collection (specimen, declared pixel size) and on the rest of
the catalog (`graindex.catalogue`).
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass

from PIL import Image

from graindex.files import FileStore, sha256
from graindex.originals import Grey8, content_hash, read_bytes
from graindex.readers.frame import Frame, Limits
from graindex.readers.images import read_frames
from graindex.readers.sidecars import UnknownSidecarError, parse_sidecar, sidecar_names
from graindex.readers.sniff import sniff
from graindex.scan import Listing, Original
from graindex.settings import ReaderSettings
from models.calibrate import acquisition
from models.calibrate.readings import Finding, Reading
from models.measure.grey import to_uint8

# Raise when a reader, the calibration or a column changes: every row is then computed anew.
CODE_VERSION = f"2+calibrate.{acquisition.CODE_VERSION}"
THUMBNAIL_SIDE_PX = 256


@dataclass(frozen=True)
class Examination:
    """What one frame's bytes say.

    Attributes:
        facts: columns of `micrographs` that follow from the file alone.
        readings: acquisition values by tags, sidecar and pixels; never the user's.
        findings: what a person should know about the file.
    """

    facts: dict[str, object]
    readings: tuple[Reading, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Source:
    """An original with what else decides its examination.

    Attributes:
        original: the file.
        content_hash: SHA-256 of its bytes.
        sidecar: the text file beside it, if there is one.
        input_hash: SHA-256 over the content, the sidecar and the settings.
    """

    original: Original
    content_hash: str
    sidecar: Original | None
    input_hash: str


def find_sidecar(path: str, others: Mapping[str, Original]) -> Original | None:
    """The instrument's text file beside an image, by its name."""
    folder, _, name = path.rpartition("/")
    prefix = f"{folder}/" if folder else ""
    for candidate in sidecar_names(name):
        if prefix + candidate in others:
            return others[prefix + candidate]
    return None


def identify(
    original: Original,
    listing: Listing,
    settings: ReaderSettings,
    known: tuple[int, object, str] | None,
) -> Source:
    """An original with its hashes; the content is read only when its size or time changed.

    Args:
        original: the file.
        listing: the collection, for sidecars.
        settings: how files are read.
        known: size, modification time and content hash as catalogued before.

    Raises:
        OSError: it cannot be read.
    """
    if known is not None and known[:2] == (original.size_bytes, original.modified_at):
        digest = known[2]
    else:
        digest = content_hash(read_bytes(original.uri))
    sidecar = find_sidecar(original.path, listing.others)
    beside = None if sidecar is None else read_bytes(sidecar.uri)
    return Source(original, digest, sidecar, sha256(digest, beside, settings.model_dump_json()))


def examine(source: Source, settings: ReaderSettings, files: FileStore) -> list[Examination]:
    """Everything that one file says, frame by frame; thumbnails go to `files`.

    Raises:
        UnreadableImageError: it holds no usable image.
        OSError: it cannot be read.
    """
    name = source.original.path.rsplit("/", 1)[-1]
    data = read_bytes(source.original.uri)
    limits = Limits(max_megapixels=settings.max_megapixels, min_side_px=settings.min_side_px)
    frames = read_frames(data, name, limits)
    readings, findings = _read_sidecar(source, name)
    kind = sniff(data)
    return [
        _examine_frame(frame, str(kind), source, settings, files, readings, findings)
        for frame in frames
    ]


def _read_sidecar(
    source: Source, image_name: str
) -> tuple[tuple[Reading, ...], tuple[Finding, ...]]:
    if source.sidecar is None:
        return (), ()
    name = source.sidecar.path.rsplit("/", 1)[-1]
    try:
        sidecar = parse_sidecar(read_bytes(source.sidecar.uri), name, image_name=image_name)
    except UnknownSidecarError as error:
        return (), (Finding("sidecar_unknown", str(error)),)
    return tuple(sidecar.readings), tuple(sidecar.findings)


def _examine_frame(
    frame: Frame,
    kind: str,
    source: Source,
    settings: ReaderSettings,
    files: FileStore,
    readings: tuple[Reading, ...],
    findings: tuple[Finding, ...],
) -> Examination:
    grey = to_uint8(frame.pixels, frame.bits_used)
    seen = acquisition.read_acquisition(grey, overlay=settings.overlaid_scale_bars)
    box = seen.content_box
    facts: dict[str, object] = {
        "page": frame.page,
        "content_hash": source.content_hash,
        "sidecar_uri": source.sidecar.uri if source.sidecar else None,
        "file_format": kind,
        "colour_mode": frame.colour_mode,
        "width_px": grey.shape[1],
        "height_px": grey.shape[0],
        "bit_depth": frame.bit_depth,
        "bits_used": frame.bits_used,
        "nonfinite_pixels": frame.nonfinite_pixels,
        "content_x0_px": box.x0,
        "content_y0_px": box.y0,
        "content_x1_px": box.x1,
        "content_y1_px": box.y1,
        "thumbnail": files.put(thumbnail(grey[box.y0 : box.y1, box.x0 : box.x1])),
        "input_hash": source.input_hash,
        "code_version": CODE_VERSION,
    }
    return Examination(
        facts,
        (*frame.readings, *readings, *seen.readings),
        (*frame.findings, *findings, *seen.findings),
    )


def thumbnail(grey: Grey8) -> bytes:
    """A JPEG preview whose longer side is 256 px at most."""
    image = Image.fromarray(grey)
    image.thumbnail((THUMBNAIL_SIDE_PX, THUMBNAIL_SIDE_PX), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
