"""The dictionary of columns: every column stands here once, with type, unit, meaning and bounds.

Out of scope: which table holds which column (`schemas.tables`) and how a column is rendered
(`schemas.arrow`, `schemas.ddl`, `schemas.expectations`, `schemas.dictionary`).
"""

from schemas.annotation_fields import ANNOTATION_FIELDS
from schemas.detachment_fields import DETACHMENT_FIELDS
from schemas.feature_fields import FEATURE_FIELDS
from schemas.field import HEX_ID, HEX_SHA256, Field, Kind, count, number, text
from schemas.history_fields import HISTORY_FIELDS
from schemas.model_fields import MODEL_FIELDS
from schemas.particle_fields import PARTICLE_FIELDS
from schemas.quality_fields import QUALITY_FIELDS
from schemas.score_fields import SCORE_FIELDS
from schemas.statistic_fields import STATISTIC_FIELDS
from schemas.volume_fields import VOLUME_FIELDS

__all__ = ["FIELDS", "Field", "Kind"]


_IDENTITY = (
    text("dataset", "Name of the collection.", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"),
    text("sample_id", "Key of the specimen, stable across runs.", pattern=HEX_ID),
    text(
        "micrograph_id",
        "Key of the image within the store, stable across runs and renaming.",
        pattern=HEX_ID,
        formula="first 16 hex digits of SHA-256(dataset, content_hash, page)",
    ),
    text("uri", "Where the original lies; originals are referenced in place."),
    text("path", "Path of the original relative to the collection's location."),
    text("content_hash", "SHA-256 of the original's bytes.", pattern=HEX_SHA256),
    text(
        "input_hash",
        "SHA-256 of everything the row was computed from: content, sidecar and settings.",
        pattern=HEX_SHA256,
    ),
    text("code_version", "Version of the code that computed the row."),
)

_COLLECTION = (
    text("location_uri", "Folder or bucket prefix that the collection was registered from."),
    text("kind", "What the collection holds.", values=("micrographs", "volumes")),
    text("label_pattern", "Regular expression whose named groups label each relative path."),
    text("samples_uri", "Table of specimens or images joined at registration."),
    number(
        "declared_pixel_size_um",
        "µm",
        "Pixel size that the user gave for the whole collection.",
        lower=0,
        exclusive_lower=True,
    ),
    text("description", "What the collection is, in a sentence."),
    text("source", "Where the collection comes from: publication, repository or laboratory."),
    text("licence", "Terms under which the collection may be used."),
    text("citation", "How to cite the collection."),
    count("file_count", "Images under the location by their names, or volumes."),
    Field("registered_at", Kind.INSTANT, "When the collection was registered."),
    text("sample", "Name of the specimen as the laboratory writes it."),
    text("material", "Material of the specimen."),
    text("composition", "Chemical composition of the specimen."),
    text("state", "State of the specimen, such as pristine, formation or cycled."),
)

_FILE = (
    count("page", "Frame within the file, from 0."),
    count("file_size_bytes", "Size of the original.", "B"),
    Field("file_modified_at", Kind.INSTANT, "When the original was last modified."),
    text("sidecar_uri", "Text file that the instrument wrote beside the image."),
    text("file_format", "Format by the file's own first bytes, such as jpeg or tiff."),
    text("modality", "Imaging modality.", values=("SEM", "TEM", "optical", "X-ray")),
    text("colour_mode", "How grey values are stored, such as grey, palette or rgb_grey."),
    count("width_px", "Width of the frame, databar included.", "px", lower=1),
    count("height_px", "Height of the frame, databar included.", "px", lower=1),
    count("bit_depth", "Bits per sample as stored.", "bit", lower=1),
    count("bits_used", "Bits per sample that hold signal.", "bit", lower=1),
    count("nonfinite_pixels", "Pixels that were not finite, replaced by the median.", "px"),
    count("content_x0_px", "First column of the content box.", "px"),
    count("content_y0_px", "First row of the content box.", "px"),
    count("content_x1_px", "Column after the last of the content box.", "px", lower=1),
    count("content_y1_px", "Row after the last of the content box.", "px", lower=1),
    text("thumbnail", "Content address of a JPEG preview.", pattern=HEX_SHA256),
)

_ACQUISITION = (
    number(
        "pixel_size_um",
        "µm",
        "Edge length of one pixel; null where no source states it.",
        lower=0,
        exclusive_lower=True,
        upper=1000,
    ),
    number("pixel_size_uncertainty_um", "µm", "One standard deviation of the pixel size.", lower=0),
    text(
        "pixel_size_source",
        "Which source the pixel size was taken from.",
        values=("user", "tag", "scale_bar", "sidecar"),
    ),
    number("magnification", "1", "Magnification as the instrument states it.", lower=1, upper=5e6),
    number("accelerating_voltage_kv", "kV", "Accelerating voltage.", lower=0.01, upper=400),
    number("working_distance_mm", "mm", "Working distance.", lower=0, upper=200),
    Field("acquired_at", Kind.LOCAL_TIME, "Acquisition time by the instrument's own clock."),
    text("instrument", "Make or model of the instrument."),
    text("detector", "Detector, such as SE, BSE or LED."),
    text("quantity", "Which acquisition quantity a reading is of."),
    text(
        "reading_source",
        "Which source states it.",
        values=("user", "tag", "sidecar", "scale_bar", "databar"),
    ),
    Field("value_number", Kind.NUMBER, "Value, in the unit of the quantity's name."),
    text("value_text", "Value, where the quantity is a text."),
    Field("value_time", Kind.LOCAL_TIME, "Value, where the quantity is a time."),
    Field(
        "uncertainty",
        Kind.NUMBER,
        "One standard deviation, in the unit of the quantity; seconds for times.",
        lower=0,
    ),
    number("confidence", "1", "Confidence of text recognition.", lower=0, upper=1),
    Field("used", Kind.BOOLEAN, "Whether this reading was the one chosen."),
    text("detail", "Where exactly and how, for people."),
    text("finding", "Short, stable name of what was found."),
    text("reason", "Why the input was refused."),
)

_QUALITY = (
    number("brightness_mean", "grey", "Mean grey value of the content.", lower=0, upper=255),
    number(
        "contrast_std",
        "grey",
        "Standard deviation of the grey values of the content.",
        lower=0,
        upper=127.5,
    ),
    number(
        "sharpness_laplacian",
        "grey²",
        "Sharpness as the variance of the Laplacian; blur lowers it.",
        lower=0,
        formula="var(∇² I), 4-neighbour kernel",
        source="Pech-Pacheco et al., ICPR 2000",
    ),
    number(
        "sharpness_tenengrad",
        "grey²",
        "Sharpness as the mean squared gradient magnitude; blur lowers it.",
        lower=0,
        formula="mean(Gx² + Gy²), 3 × 3 Sobel",
        source="Krotkov, Int. J. Comput. Vision 1, 223 (1987)",
    ),
    number(
        "noise_std",
        "grey",
        "Standard deviation of the noise.",
        lower=0,
        formula="√(π/2) · mean|I ∗ N| / 6",
        source="Immerkær, Comput. Vis. Image Underst. 64, 300 (1996)",
    ),
    number("saturation_fraction_low", "1", "Share of pixels at grey value 0.", lower=0, upper=1),
    number("saturation_fraction_high", "1", "Share of pixels at grey value 255.", lower=0, upper=1),
    number(
        "entropy_bits",
        "bit",
        "Shannon entropy of the 256-bin grey histogram.",
        lower=0,
        upper=8,
        formula="−Σ p log₂ p",
    ),
)

_VECTORS = (
    text("encoder_id", "Backbone, weights, pooling, input, precision and version in one name."),
    Field(
        "vector",
        Kind.VECTOR,
        "Pooled features of the content, scaled to length 1.",
        unit="1",
    ),
    number(
        "vector_norm",
        "1",
        "Length of the pooled features before scaling: vector × vector_norm are the features.",
        lower=0,
        exclusive_lower=True,
    ),
)

FIELDS: dict[str, Field] = {
    field.name: field
    for group in (
        _IDENTITY,
        _COLLECTION,
        _FILE,
        _ACQUISITION,
        _QUALITY,
        _VECTORS,
        PARTICLE_FIELDS,
        ANNOTATION_FIELDS,
        SCORE_FIELDS,
        STATISTIC_FIELDS,
        DETACHMENT_FIELDS,
        VOLUME_FIELDS,
        FEATURE_FIELDS,
        MODEL_FIELDS,
        QUALITY_FIELDS,
        HISTORY_FIELDS,
    )
    for field in group
}
