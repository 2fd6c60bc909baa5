"""The encoders that a store's settings name.

Out of scope: the networks (`models.encode`).
"""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from graindex.errors import HomeError
from graindex.location import Location
from graindex.settings import FILE_NAME, EncoderSettings, Settings
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


class Encoders(Mapping[str, Encoder]):
    """Encoders by the name of their table of vectors, each opened when it is first asked for.

    Args:
        settings: that name them.
        location: of the home.
    """

    def __init__(self, settings: Settings, location: Location) -> None:
        self._settings, self._location = settings.encoders, location
        self._opened: dict[str, Encoder] = {}

    def __getitem__(self, table: str) -> Encoder:
        """The encoder of a table.

        Raises:
            KeyError: the settings name none.
            HomeError: its weights are not there.
        """
        if table not in self._opened:
            self._opened[table] = make_encoder(self._settings[table], self._location)
        return self._opened[table]

    def __iter__(self) -> Iterator[str]:
        return iter(self._settings)

    def __len__(self) -> int:
        return len(self._settings)
