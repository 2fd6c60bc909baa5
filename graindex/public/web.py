"""Requests to servers of public data, or to a mirror of them.

Out of scope: files, which may be large (`graindex.public.download`).
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

from graindex.errors import CollectionError

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers of servers that may be others a moment later."""


@dataclass(frozen=True, slots=True)
class Web:
    """How servers are reached; proxies are those of the environment.

    Attributes:
        mirror: address that has ``https://HOST/PATH`` at ``MIRROR/HOST/PATH``.
        attempts: how often in a row a file may fail without a byte gained.
        first_wait_s: before the second attempt; doubled for each further one, up to 30 s.
        timeout_s: for connecting, and for each part of an answer.
        threads: files at the same time.
    """

    mirror: str | None = None
    attempts: int = 5
    first_wait_s: float = 1.0
    timeout_s: tuple[float, float] = (10.0, 60.0)
    threads: int = 4

    def address(self, url: str) -> str:
        """Where a URL is asked for.

        Raises:
            CollectionError: it, or the mirror, is not of the web.
        """
        for address in (url, self.mirror or url):
            if urlsplit(address).scheme not in {"http", "https"} or not urlsplit(address).netloc:
                message = f"{address!r} is no http or https address"
                raise CollectionError(message)
        if self.mirror is None:
            return url
        return f"{self.mirror.rstrip('/')}/{url.partition('://')[2]}"

    def wait_s(self, failures: int) -> float:
        """How long to wait after so many failures in a row."""
        return float(min(30.0, self.first_wait_s * 2 ** (failures - 1)))

    def json(self, url: str) -> Any:
        """What a server says, as JSON.

        Raises:
            CollectionError: it cannot be reached, refuses, or says something else.
        """
        address = self.address(url)
        try:
            answer = requests.get(address, timeout=self.timeout_s)
            answer.raise_for_status()
            return answer.json()
        except requests.exceptions.JSONDecodeError as error:
            message = f"{address} answers with something that is not JSON; try again later"
            raise CollectionError(message) from error
        except requests.RequestException as error:
            raise CollectionError(refusal(address, error)) from error


def refusal(address: str, error: requests.RequestException) -> str:
    """One line about a request that failed."""
    answer = error.response
    if answer is None:
        words = " ".join(str(error).split())
        reason = "no answer in time" if isinstance(error, requests.Timeout) else words[:200]
        return f"{address} cannot be reached: {reason}; check network and proxy, or give --mirror"
    advice = "try again later" if answer.status_code in PASSING else "the recipe may be out of date"
    return f"{address}: the server answers {answer.status_code} {answer.reason}; {advice}"
