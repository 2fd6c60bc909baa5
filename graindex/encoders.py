"""The encoder that a store's settings name.

Out of scope: the networks (`models.encode`).
"""

import tempfile
from pathlib import Path

from graindex.errors import HomeError
from graindex.location import Location
from graindex.settings import FILE_NAME, EncoderSettings
from models.encode.config import EncoderConfig, EncoderUnavailableError
from models.encode.encoder import Encoder


def make_encoder(settings: EncoderSettings, location: Location) -> Encoder:
    """Open the encoder; its converted network is kept in the home for the next process.

    Raises:
        HomeError: the backbone or its weights are not there.
    """
    folder = location.folder or Path(tempfile.gettempdir()) / "graindex"
    config = EncoderConfig(**settings.model_dump())
    try:
        return Encoder(config, cache_dir=str(folder / "cache" / "encoders"))
    except EncoderUnavailableError as error:
        message = f"{error} (encoder of {location.under(FILE_NAME)})"
        raise HomeError(message) from error
