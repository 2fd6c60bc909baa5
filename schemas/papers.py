"""The papers that columns of particles are taken from, as the dictionary cites them.

Out of scope: the columns.
"""

LI = "Li et al., Science 376, 517 (2022), Table S1"
JIANG = "Jiang et al., Nat. Commun. 11, 2310 (2020)"


def li(ordinal: str) -> str:
    """A row of Table S1 in Li et al."""
    return f"{LI}: {ordinal}"
