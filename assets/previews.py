"""Small pictures for asset metadata, from the store's thumbnails.

Out of scope: full-size figures.
"""

import base64
import io
from collections.abc import Iterable, Sequence
from typing import TypeVar

import dagster as dg
import numpy as np
import pyarrow as pa
from PIL import Image, ImageDraw, ImageFont

from graindex.store import Store

T = TypeVar("T")
TILE_PX = 120
_LABEL_PX = 14
_GAP_PX = 4
_CAPTION_LETTERS = 20


def contact_sheet(
    store: Store, tiles: Iterable[tuple[str, str]], columns: int = 6, tile_px: int = TILE_PX
) -> dg.MetadataValue:
    """Thumbnails side by side.

    Args:
        store: where the thumbnails lie.
        tiles: content address of each thumbnail, and its caption.
        columns: tiles in a row.
        tile_px: longer side of a tile.
    """
    letters = _CAPTION_LETTERS * tile_px // TILE_PX
    cells = [(_tile(store, address, tile_px), _short(text, letters)) for address, text in tiles]
    if not cells:
        return dg.MetadataValue.md("no images")
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    heights = [max(tile.height for tile, _ in row) + _LABEL_PX + _GAP_PX for row in rows]
    cell = tile_px + _GAP_PX
    size = (min(columns, len(cells)) * cell, sum(heights))
    sheet = Image.new("RGB", size, (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=11)
    foot = 0
    for row, height in zip(rows, heights, strict=True):
        foot += height
        for column, (tile, caption) in enumerate(row):
            sheet.paste(tile, (column * cell, foot - height))
            draw.text(
                (column * cell, foot - _GAP_PX - _LABEL_PX), caption, fill=(0, 0, 0), font=font
            )
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=80)
    encoded = base64.b64encode(buffer.getvalue()).decode()
    return dg.MetadataValue.md(f"![preview](data:image/jpeg;base64,{encoded})")


def _tile(store: Store, address: str, side_px: int) -> Image.Image:
    tile = Image.open(io.BytesIO(store.files.get(address)))
    tile.thumbnail((side_px, side_px))
    return tile


def _short(caption: str, letters: int) -> str:
    """The end of a caption, which tells files of one folder apart."""
    return caption if len(caption) <= letters else f"…{caption[1 - letters :]}"


def spread(rows: Sequence[T], count: int) -> list[T]:
    """At most `count` rows, evenly spread over all of them."""
    if not rows:
        return []
    positions = np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int))
    return [rows[position] for position in positions]


def markdown_table(rows: pa.Table) -> dg.MetadataValue:
    """A few rows as a Markdown table."""
    names = rows.column_names
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for record in rows.to_pylist():
        cells = (_cell(record[name]) for name in names)
        lines.append("| " + " | ".join(cells) + " |")
    return dg.MetadataValue.md("\n".join(lines))


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|")
