"""Who writes, where nobody says so.

Out of scope: assets, which name themselves and their run.
"""

import getpass


def user() -> str:
    """Name of the person whose process this is; "unknown" where the system has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
