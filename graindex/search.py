"""Similarity search: exact cosine distance in SQL, so that any condition can join in.

Out of scope: making vectors in bulk (`graindex.derive`).
"""

import re
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from graindex.errors import OriginalError, QueryError
from graindex.originals import read_bytes
from graindex.query import VECTORS, QueryConnection
from graindex.readers.frame import UnreadableImageError
from graindex.readers.images import read_frames
from models.calibrate.databar import find_content_box
from models.measure.grey import to_uint8
from schemas.ddl import quote
from schemas.field import HEX_ID

if TYPE_CHECKING:
    from graindex.store import Store

MAX_NEIGHBOURS = 10_000


def similar(
    store: "Store", queries: QueryConnection, image: str, k: int, where: str | None
) -> pa.Table:
    """Nearest neighbours; see `graindex.store.Store.similar`."""
    if not 1 <= k <= MAX_NEIGHBOURS:
        message = f"k is {k}: ask for 1 to {MAX_NEIGHBOURS} neighbours"
        raise QueryError(message)
    name = store.settings.encoder.vector_table
    if not store.vectors.has(name):
        message = "the store has no vectors yet; run: graindex materialize"
        raise QueryError(message)
    source = f"{VECTORS}.main.{quote(name)}"
    known = _stored(queries, source, image) if re.fullmatch(HEX_ID, image) else None
    if known is not None:
        vector, encoder_id = known
        itself = image
    else:
        vector, encoder_id = encode_file(store, image), store.encoder_id
        itself = ""
    # Parsed on its own first, so that it cannot close the bracket it will stand in.
    condition = where or "true"
    queries.check(f"SELECT 1 FROM micrograph_catalog WHERE ({condition}\n)")
    return queries.table(
        f"""
        SELECT v.micrograph_id AS id,
               array_cosine_distance(v.vector, ?::FLOAT[{len(vector)}])::DOUBLE AS distance,
               m.dataset, m.sample, m.path, m.uri, m.pixel_size_um
        FROM {source} v
        JOIN (SELECT * FROM micrograph_catalog WHERE ({condition}
        )) m ON m.micrograph_id = v.micrograph_id
        WHERE v.encoder_id = ? AND v.micrograph_id <> ?
        ORDER BY distance, id LIMIT {k:d}
        """,
        [vector.tolist(), encoder_id, itself],
    )


def encode_file(store: "Store", uri: str) -> npt.NDArray[np.float32]:
    """Vector of an image file that need not be in the store: (D,), its databar cropped.

    Raises:
        OriginalError: it is not there, or no image.
    """
    try:
        frames = read_frames(read_bytes(uri), uri.rsplit("/", 1)[-1], store.limits)
    except FileNotFoundError as error:
        message = f"{uri!r} is neither a micrograph_id of the store nor a file"
        raise OriginalError(message) from error
    except UnreadableImageError as error:
        raise OriginalError(str(error)) from error
    except OSError as error:
        message = f"{uri} cannot be read: {error.strerror or error}"
        raise OriginalError(message) from error
    grey = to_uint8(frames[0].pixels, frames[0].bits_used)
    box = find_content_box(grey)
    return store.encoder.encode(grey[box.y0 : box.y1, box.x0 : box.x1])


def _stored(
    queries: QueryConnection, source: str, micrograph_id: str
) -> tuple[npt.NDArray[np.float32], str] | None:
    sql = f"SELECT vector, encoder_id FROM {source} WHERE micrograph_id = ?"
    rows = queries.table(sql, [micrograph_id]).to_pylist()
    if not rows:
        return None
    return np.asarray(rows[0]["vector"], np.float32), str(rows[0]["encoder_id"])
