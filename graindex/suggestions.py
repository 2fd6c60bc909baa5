"""What an error offers in place of an unknown name.

Out of scope: the errors.
"""

import difflib
from collections.abc import Iterable

_SHOWN = 12


def suggestion(name: str, known: Iterable[str]) -> str:
    """Close matches among the known names, or the known names themselves, as half a sentence."""
    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(close)}?"
    if not names:
        return "there are none"
    more = ", …" if len(names) > _SHOWN else ""
    return f"there are {', '.join(names[:_SHOWN])}{more}"
