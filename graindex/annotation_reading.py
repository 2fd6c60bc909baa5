"""What an annotation says of its image, as labels that fit it, or why it cannot be used.

Out of scope: which annotation is of which image (`graindex.annotation_sources`), keeping what was
read (`graindex.annotations`).
"""

from graindex.annotation_settings import DEFAULT_CLASS, AnnotationSettings
from graindex.annotation_sources import AnnotationSource
from graindex.errors import AnnotationError
from graindex.originals import content_hash, read_bytes
from graindex.readers.annotations import Region
from graindex.readers.annotations_drawing import AnnotatedLabels, draw_regions
from graindex.readers.annotations_labels import label_particles, read_label_image
from graindex.readers.frame import Limits

_MASK = "the mask"
"""What messages call a label image; whose it is stands beside them."""


def read_labels(
    source: AnnotationSource,
    frame_shape: tuple[int, int],
    settings: AnnotationSettings,
    limits: Limits,
) -> AnnotatedLabels:
    """What an annotation says of its image, as labels.

    Args:
        source: the annotation.
        frame_shape: (Y, X) of the image.
        settings: what is expected of it.
        limits: what readers refuse.

    Raises:
        AnnotationError: it is of another size, empty, overlapping, without area, of a class that
            is not declared, or cannot be read.
    """
    if source.described is None:
        labels = _of_label_image(source, frame_shape, settings, limits)
    else:
        labels = _of_description(source, frame_shape, settings)
    if not labels.classes and not settings.allow_empty:
        message = (
            "no particle is annotated; if there is none in the image, say so for the collection "
            "by --allow-empty"
        )
        raise AnnotationError(message)
    return labels


def _of_label_image(
    source: AnnotationSource,
    frame_shape: tuple[int, int],
    settings: AnnotationSettings,
    limits: Limits,
) -> AnnotatedLabels:
    try:
        data = read_bytes(source.file.uri)
    except OSError as error:
        message = f"{_MASK} cannot be read: {error.strerror or error}"
        raise AnnotationError(message) from error
    if content_hash(data) != source.file_hash:
        message = f"{_MASK} changed while it was read: run graindex materialize again"
        raise AnnotationError(message)
    values = read_label_image(data, _MASK, limits)
    _same_size(_MASK, (int(values.shape[0]), int(values.shape[1])), frame_shape)
    (class_name,) = settings.classes or (DEFAULT_CLASS,)
    return label_particles(values, _MASK, class_name, settings.mask_values)


def _of_description(
    source: AnnotationSource, frame_shape: tuple[int, int], settings: AnnotationSettings
) -> AnnotatedLabels:
    described = source.described
    assert described is not None
    if described.fault:
        raise AnnotationError(described.fault)
    if described.size is not None:
        _same_size("what was annotated", described.size, frame_shape)
    classes = [_declared(region, settings.classes) for region in described.regions]
    return draw_regions(described.regions, classes, frame_shape, max_overlap=settings.max_overlap)


def _same_size(what: str, size: tuple[int, int], frame_shape: tuple[int, int]) -> None:
    if size != frame_shape:
        (rows, columns), (height, width) = size, frame_shape
        message = (
            f"{what} is of {columns} x {rows} pixels, its image of {width} x {height}: annotate "
            "the image as it is, databar included"
        )
        raise AnnotationError(message)


def _declared(region: Region, classes: tuple[str, ...]) -> str:
    """Class of a region; the only one there may be where it states none."""
    if region.class_name and (not classes or region.class_name in classes):
        return region.class_name
    if not region.class_name and len(classes) <= 1:
        return classes[0] if classes else DEFAULT_CLASS
    stated = f"is of class {region.class_name!r}" if region.class_name else "states no class"
    message = f"{region.name} {stated}; declared are {', '.join(classes)}: add it by --class"
    raise AnnotationError(message)
