"""Where a store lies: one text decides between a folder and servers.

Out of scope: opening anything there.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, quote, urlencode, urlsplit, urlunsplit

from graindex.errors import HomeError

HOME_VARIABLE = "GRAINDEX_HOME"
DEFAULT_HOME = "data"


@dataclass(frozen=True, slots=True)
class Location:
    """The two places that make a store.

    Attributes:
        catalog: DuckLake metadata, ``sqlite:FILE`` or ``postgres:CONNECTION``.
        data: base of Parquet, vectors and files: a folder or an fsspec URL.
        home: the text it was parsed from, without a password, for messages.
        address: the text it was parsed from.
    """

    catalog: str
    data: str
    home: str
    address: str

    @classmethod
    def parse(cls, home: str | Path | None = None) -> "Location":
        """Location from a folder or ``postgresql://USER@HOST/DB?data=s3://BUCKET/PREFIX``.

        Without `home`, `$GRAINDEX_HOME` or `./data`.

        Raises:
            HomeError: a server address without `data`, or of an unknown kind.
        """
        text = str(home or os.environ.get(HOME_VARIABLE) or DEFAULT_HOME)
        if "://" not in text:
            folder = Path(text).expanduser().absolute()
            return cls(f"sqlite:{folder / 'catalog.sqlite'}", str(folder), text, text)
        parts = urlsplit(text)
        shown = text.replace(f":{parts.password}@", ":…@") if parts.password else text
        if parts.scheme not in {"postgresql", "postgres"}:
            message = (
                f"home {shown!r}: unknown kind {parts.scheme!r}; give a folder or "
                "postgresql://USER@HOST/DB?data=s3://BUCKET/PREFIX"
            )
            raise HomeError(message)
        options = parse_qs(parts.query)
        if "data" not in options:
            message = f"home {shown!r}: add ?data=s3://BUCKET/PREFIX (or a shared folder)"
            raise HomeError(message)
        data = options.pop("data")[0].rstrip("/")
        query = urlencode(options, doseq=True, quote_via=quote)
        server = urlunsplit(parts._replace(scheme="postgresql", query=query))
        return cls(f"postgres:{server}", data, shown, text)

    @property
    def is_remote(self) -> bool:
        """Whether the data lie behind a URL rather than in a folder."""
        return "://" in self.data

    @property
    def folder(self) -> Path | None:
        """The home as a folder; None when its data lie behind a URL."""
        return None if self.is_remote else Path(self.data)

    def under(self, *parts: str) -> str:
        """Address of something below the data."""
        return "/".join((self.data.rstrip("/"), *parts))
