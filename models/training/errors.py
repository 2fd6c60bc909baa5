"""What stops a training that has the right images. Nothing here imports torch.

Out of scope: what networks cannot learn from, which each says itself.
"""


class TrainingError(ValueError):
    """Something beside images and network keeps a training from running; one line."""


class CheckpointError(TrainingError):
    """A checkpoint that a training cannot go on from."""


class DeviceError(TrainingError):
    """A device that torch cannot train on here."""
