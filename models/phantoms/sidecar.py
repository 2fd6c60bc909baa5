"""The text file that the instrument writes beside a synthetic micrograph.

Out of scope: parsing sidecars; the instrument's internal settings, which a phantom has none of.
"""

from datetime import datetime
from typing import Protocol

from models.phantoms.databar import DATABAR_ROWS


class Micrograph(Protocol):
    """A phantom that an instrument could have written a text file of."""

    @property
    def shape_px(self) -> tuple[int, int]:
        """Rows and columns, without the databar."""
        ...

    @property
    def databar(self) -> bool:
        """Whether a databar is below."""
        ...

    @property
    def instrument(self) -> str:
        """Its name."""
        ...

    @property
    def acquired_at(self) -> datetime:
        """Local time."""
        ...

    @property
    def kv(self) -> float:
        """Accelerating voltage in kV."""
        ...

    @property
    def magnification(self) -> int:
        """As the instrument counts it."""
        ...

    @property
    def working_distance_mm(self) -> float:
        """Working distance."""
        ...

    @property
    def pixel_size_um(self) -> float:
        """Side of a pixel."""
        ...


def sidecar_text(config: Micrograph, image_name: str) -> str:
    """Describe a micrograph in the layout of SEC tabletop microscopes.

    Keys, sections, blanks, the manufacturer's spelling ("Acceleated", "Discription") and the
    misleading ``Default Working Distance : 0mm`` are those of SNE-4500M files, so whatever reads
    those reads this. Unlike in those, the frame is the image's own, databar included, so
    ``Pixel Size`` (µm) is the image's; and the date is in 24 h without a locale.

    Args:
        config: the micrograph.
        image_name: file name of the image that the sidecar belongs to.

    Returns:
        Text with CRLF line ends.

    Raises:
        ValueError: if `image_name` is empty or has a line break.
    """
    if image_name.splitlines() != [image_name]:
        raise ValueError(f"image_name must be one file name, got {image_name!r}")
    content_rows, width = config.shape_px
    frame = f"{width},{content_rows + DATABAR_ROWS if config.databar else content_rows}"
    lines = (
        "[Image Info]",
        f"Model : {config.instrument}",
        f"Date : {config.acquired_at:%Y-%m-%d %H:%M:%S}",
        f"Time : {config.acquired_at:%H:%M:%S.%f}0",
        f"File Name : {image_name}",
        "Discription : Synthetic micrograph",
        f"Acceleated Voltage :  {config.kv:g} kV",
        f"Magnification : x{config.magnification} ",
        "Detector Mode : SED",
        "Vacuum Mode : High Vacuum",
        "Scan Speed : ",
        "[Running Info]",
        f"Magnification : x{config.magnification} ",
        "[   - Working Distance]",
        "Default Working Distance : 0mm",
        f"Working Distance : {config.working_distance_mm:g}mm",
        "[Active Scan]",
        f"Image Size : {frame}",
        f"Frame Size : {frame}",
        f"Pixel Size : {config.pixel_size_um:.6g}",
    )
    return "".join(f"{line}\r\n" for line in lines)
