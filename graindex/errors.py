"""Errors that a user can act on; the command line prints them as one line.

Out of scope: bugs, which keep their traceback.
"""


class GraindexError(Exception):
    """What went wrong, where, and what to do, in one line."""


class HomeError(GraindexError):
    """The home is missing, not a home, or cannot be reached."""


class CollectionError(GraindexError):
    """A collection's registration is wrong: its path, pattern or table of samples."""


class QueryError(GraindexError):
    """A query is not allowed, or is wrong."""


class OriginalError(GraindexError, OSError):
    """An original is gone, unreadable, or no longer what was catalogued."""


class AnnotationError(OriginalError):
    """An annotation is wrong, empty, or does not fit the image that it is of."""


class WriteConflictError(GraindexError):
    """Other processes kept writing the same rows for as long as we were willing to retry."""


class InputError(GraindexError):
    """Files, a spacing or options that cannot be measured or segmented together."""


class BundleError(GraindexError):
    """A bundle is damaged, incomplete, or holds what no bundle may hold."""


class FeatureError(GraindexError):
    """A feature set is wrong, unknown, or does not fit the tables of the store."""


class ModelError(GraindexError):
    """A model's definition, artefact or input is wrong, or it cannot be trained."""
