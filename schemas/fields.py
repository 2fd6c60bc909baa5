"""The dictionary of columns: every column stands here once, with type, unit, meaning and bounds.

Out of scope: which table holds which column (`schemas.tables`) and how a column is rendered
(`schemas.arrow`, `schemas.ddl`, `schemas.expectations`, `schemas.dictionary`).
"""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a column holds; each renders to one Arrow, one SQL and one Dagster type."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    LOCAL_TIME = "local time"
    """Wall-clock time without a zone, as instruments print it."""
    INSTANT = "instant"
    """A moment in UTC."""
    VECTOR = "vector"
    """A fixed number of 32-bit floats."""


@dataclass(frozen=True, slots=True)
class Field:
    """One column.

    Attributes:
        name: column name; ends in its unit where it has one.
        kind: what it holds.
        description: meaning, one sentence.
        unit: unit of the values; None for text, identifiers and flags; "1" for dimensionless.
        lower: smallest admissible value, in `unit`.
        upper: largest admissible value, in `unit`.
        exclusive_lower: whether `lower` itself is inadmissible.
        values: admissible texts, where the set is closed.
        pattern: regular expression that a text matches.
        formula: how the number is computed.
        source: paper, standard or manual that defines it.
    """

    name: str
    kind: Kind
    description: str
    unit: str | None = None
    lower: float | None = None
    upper: float | None = None
    exclusive_lower: bool = False
    values: tuple[str, ...] = ()
    pattern: str | None = None
    formula: str | None = None
    source: str | None = None


HEX_ID = r"^[0-9a-f]{16}$"
HEX_SHA256 = r"^[0-9a-f]{64}$"


def _text(name: str, description: str, **more: object) -> Field:
    return Field(name, Kind.TEXT, description, **more)  # type: ignore[arg-type]


def _number(name: str, unit: str, description: str, **more: object) -> Field:
    return Field(name, Kind.NUMBER, description, unit=unit, **more)  # type: ignore[arg-type]


def _count(name: str, description: str, unit: str = "1", lower: float = 0) -> Field:
    return Field(name, Kind.INTEGER, description, unit=unit, lower=lower)


_IDENTITY = (
    _text("dataset", "Name of the collection.", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"),
    _text("sample_id", "Key of the specimen, stable across runs.", pattern=HEX_ID),
    _text(
        "micrograph_id",
        "Key of the image within the store, stable across runs and renaming.",
        pattern=HEX_ID,
        formula="first 16 hex digits of SHA-256(dataset, content_hash, page)",
    ),
    _text("uri", "Where the original lies; originals are referenced in place."),
    _text("path", "Path of the original relative to the collection's location."),
    _text("content_hash", "SHA-256 of the original's bytes.", pattern=HEX_SHA256),
    _text(
        "input_hash",
        "SHA-256 of everything the row was computed from: content, sidecar and settings.",
        pattern=HEX_SHA256,
    ),
    _text("code_version", "Version of the code that computed the row."),
)

_COLLECTION = (
    _text("location_uri", "Folder or bucket prefix that the collection was registered from."),
    _text("kind", "What the collection holds.", values=("micrographs",)),
    _text("label_pattern", "Regular expression whose named groups label each relative path."),
    _text("samples_uri", "Table of specimens or images joined at registration."),
    _number(
        "declared_pixel_size_um",
        "µm",
        "Pixel size that the user gave for the whole collection.",
        lower=0,
        exclusive_lower=True,
    ),
    _text("description", "What the collection is, in a sentence."),
    _text("source", "Where the collection comes from: publication, repository or laboratory."),
    _text("licence", "Terms under which the collection may be used."),
    _text("citation", "How to cite the collection."),
    _count("file_count", "Files under the location that are named like images."),
    Field("registered_at", Kind.INSTANT, "When the collection was registered."),
    _text("sample", "Name of the specimen as the laboratory writes it."),
    _text("material", "Material of the specimen."),
    _text("composition", "Chemical composition of the specimen."),
    _text("state", "State of the specimen, such as pristine, formation or cycled."),
)

_FILE = (
    _count("page", "Frame within the file, from 0."),
    _count("file_size_bytes", "Size of the original.", "B"),
    Field("file_modified_at", Kind.INSTANT, "When the original was last modified."),
    _text("sidecar_uri", "Text file that the instrument wrote beside the image."),
    _text("file_format", "Format by the file's own first bytes, such as jpeg or tiff."),
    _text("modality", "Imaging modality.", values=("SEM", "TEM", "optical")),
    _text("colour_mode", "How grey values are stored, such as grey, palette or rgb_grey."),
    _count("width_px", "Width of the frame, databar included.", "px", lower=1),
    _count("height_px", "Height of the frame, databar included.", "px", lower=1),
    _count("bit_depth", "Bits per sample as stored.", "bit", lower=1),
    _count("bits_used", "Bits per sample that hold signal.", "bit", lower=1),
    _count("nonfinite_pixels", "Pixels that were not finite, replaced by the median.", "px"),
    _count("content_x0_px", "First column of the content box.", "px"),
    _count("content_y0_px", "First row of the content box.", "px"),
    _count("content_x1_px", "Column after the last of the content box.", "px", lower=1),
    _count("content_y1_px", "Row after the last of the content box.", "px", lower=1),
    _text("thumbnail", "Content address of a JPEG preview of the content box.", pattern=HEX_SHA256),
)

_ACQUISITION = (
    _number(
        "pixel_size_um",
        "µm",
        "Edge length of one pixel; null where no source states it.",
        lower=0,
        exclusive_lower=True,
        upper=1000,
    ),
    _number(
        "pixel_size_uncertainty_um", "µm", "One standard deviation of the pixel size.", lower=0
    ),
    _text(
        "pixel_size_source",
        "Which source the pixel size was taken from.",
        values=("user", "tag", "scale_bar", "sidecar"),
    ),
    _number("magnification", "1", "Magnification as the instrument states it.", lower=1, upper=5e6),
    _number("accelerating_voltage_kv", "kV", "Accelerating voltage.", lower=0.01, upper=400),
    _number("working_distance_mm", "mm", "Working distance.", lower=0, upper=200),
    Field("acquired_at", Kind.LOCAL_TIME, "Acquisition time by the instrument's own clock."),
    _text("instrument", "Make or model of the instrument."),
    _text("detector", "Detector, such as SE, BSE or LED."),
    _text("quantity", "Which acquisition quantity a reading is of."),
    _text(
        "reading_source",
        "Which source states it.",
        values=("user", "tag", "sidecar", "scale_bar", "databar"),
    ),
    Field("value_number", Kind.NUMBER, "Value, in the unit of the quantity's name."),
    _text("value_text", "Value, where the quantity is a text."),
    Field("value_time", Kind.LOCAL_TIME, "Value, where the quantity is a time."),
    Field(
        "uncertainty",
        Kind.NUMBER,
        "One standard deviation, in the unit of the quantity; seconds for times.",
        lower=0,
    ),
    _number("confidence", "1", "Confidence of text recognition.", lower=0, upper=1),
    Field("used", Kind.BOOLEAN, "Whether this reading was the one chosen."),
    _text("detail", "Where exactly and how, for people."),
    _text("finding", "Short, stable name of what was found."),
    _text("reason", "Why the input was refused."),
)

_QUALITY = (
    _number("brightness_mean", "grey", "Mean grey value of the content.", lower=0, upper=255),
    _number(
        "contrast_std",
        "grey",
        "Standard deviation of the grey values of the content.",
        lower=0,
        upper=127.5,
    ),
    _number(
        "sharpness_laplacian",
        "grey²",
        "Sharpness as the variance of the Laplacian; blur lowers it.",
        lower=0,
        formula="var(∇² I), 4-neighbour kernel",
        source="Pech-Pacheco et al., ICPR 2000",
    ),
    _number(
        "sharpness_tenengrad",
        "grey²",
        "Sharpness as the mean squared gradient magnitude; blur lowers it.",
        lower=0,
        formula="mean(Gx² + Gy²), 3 × 3 Sobel",
        source="Krotkov, Int. J. Comput. Vision 1, 223 (1987)",
    ),
    _number(
        "noise_std",
        "grey",
        "Standard deviation of the noise.",
        lower=0,
        formula="√(π/2) · mean|I ∗ N| / 6",
        source="Immerkær, Comput. Vis. Image Underst. 64, 300 (1996)",
    ),
    _number("saturation_fraction_low", "1", "Share of pixels at grey value 0.", lower=0, upper=1),
    _number(
        "saturation_fraction_high", "1", "Share of pixels at grey value 255.", lower=0, upper=1
    ),
    _number(
        "entropy_bits",
        "bit",
        "Shannon entropy of the 256-bin grey histogram.",
        lower=0,
        upper=8,
        formula="−Σ p log₂ p",
    ),
)

_VECTORS = (
    _text("encoder_id", "Backbone, weights, pooling, input, precision and version in one name."),
    Field(
        "vector",
        Kind.VECTOR,
        "Pooled features of the content, scaled to length 1.",
        unit="1",
    ),
    _number(
        "vector_norm",
        "1",
        "Length of the pooled features before scaling: vector × vector_norm are the features.",
        lower=0,
        exclusive_lower=True,
    ),
)

FIELDS: dict[str, Field] = {
    field.name: field
    for field in (*_IDENTITY, *_COLLECTION, *_FILE, *_ACQUISITION, *_QUALITY, *_VECTORS)
}
