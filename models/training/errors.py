"""What stops a training that is gone on with. Nothing here imports torch.

Out of scope: what networks cannot learn from, which each says itself.
"""


class CheckpointError(ValueError):
    """A checkpoint that a training cannot go on from; one line."""
