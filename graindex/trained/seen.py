"""Images that a model is asked about and no store knows: content without databar, and pixel size.

Out of scope: features of them (`graindex.trained.image_features`).
"""

import tempfile
from dataclasses import dataclass

from graindex.errors import CollectionError, OriginalError
from graindex.examine import examine, identify
from graindex.files import FileStore
from graindex.location import Location
from graindex.originals import Grey8, read_bytes
from graindex.readers.frame import Limits, UnreadableImageError
from graindex.readers.images import read_frames
from graindex.scan import Listing, Original, list_collection
from graindex.settings import ReaderSettings
from models.calibrate.databar import find_content_box
from models.calibrate.readings import Quantity
from models.calibrate.reconcile import reconcile
from models.measure.grey import to_uint8


@dataclass(frozen=True, slots=True)
class SeenImage:
    """An image as a model sees it.

    Attributes:
        uri: where it lies.
        content: (Y, X) grey values without the databar.
        pixel_size_um: as its tags, its sidecar or its scale bar say; None where none does, or
            nobody asked.
    """

    uri: str
    content: Grey8
    pixel_size_um: float | None


def see_image(uri: str, settings: ReaderSettings, *, calibrate: bool) -> SeenImage:
    """Read an image file: its first frame, as the catalogue would.

    Args:
        uri: path or URL.
        settings: how files are read.
        calibrate: whether to look for its pixel size, which takes a second.

    Raises:
        OriginalError: it is not there, or no image.
    """
    limits = Limits(max_megapixels=settings.max_megapixels, min_side_px=settings.min_side_px)
    try:
        frame = read_frames(read_bytes(uri), uri, limits)[0]
        size = _pixel_size_um(uri, settings) if calibrate else None
    except FileNotFoundError as error:
        message = f"{uri!r} is neither a micrograph_id of the store nor a file"
        raise OriginalError(message) from error
    except UnreadableImageError as error:
        told = str(error)  # which names the file where the reader itself failed
        message = told if told.startswith(uri) else f"{uri}: {told}"
        raise OriginalError(message) from error
    except OSError as error:
        message = f"{uri} cannot be read: {error.strerror or error}"
        raise OriginalError(message) from error
    grey = to_uint8(frame.pixels, frame.bits_used)
    box = find_content_box(grey)
    return SeenImage(uri, grey[box.y0 : box.y1, box.x0 : box.x1], size)


def _pixel_size_um(uri: str, settings: ReaderSettings) -> float | None:
    """Pixel size by the sources that the catalogue would believe, in its order."""
    original, listing = _found(uri)
    source = identify(original, listing, settings, None)
    with tempfile.TemporaryDirectory() as folder:  # for a thumbnail that nobody wants
        seen = examine(source, settings, FileStore(Location.parse(folder)))[0]
    chosen = reconcile(seen.readings).chosen.get(Quantity.PIXEL_SIZE_UM)
    return None if chosen is None else float(str(chosen.value))


def _found(uri: str) -> tuple[Original, Listing]:
    """The file, and the folder around it, where its sidecar may lie."""
    folder, _, name = uri.rpartition("/")
    alone = list_collection(uri)
    try:
        around = list_collection(folder or ".") if "://" not in uri else alone
    except CollectionError:
        around = alone
    images = [image for image in around.images if image.path == name] or list(alone.images)
    if not images:
        message = f"{uri} is not named like an image"
        raise OriginalError(message)
    return images[0], around
