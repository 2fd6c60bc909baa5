"""Entry point: one application, errors as one line, exit codes that mean something.

0 done; 1 data failed a blocking check, or inputs were refused under --strict; 2 the command was
wrong; 3 a bug of ours. Out of scope: the commands themselves.
"""

import errno
import os
import sys

import typer
from rich.console import Console

from graindex.errors import GraindexError
from orchestration.cli import (
    adding,
    collections,
    demo,
    detachment,
    evaluating,
    features,
    fetching,
    forgetting,
    homes,
    labelling,
    lineage,
    models,
    particles,
    queries,
    training_sets,
    versions,
)

# Typer does not export the base of its usage errors: unknown option, missing argument, ...
_USAGE_ERROR: type[typer.BadParameter] = typer.BadParameter.__mro__[1]
# What the system refuses is no bug of ours: no permission, a read-only or a full disk.
_REFUSALS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT}
DONE, DATA_FAILED, WRONG_COMMAND, BUG, INTERRUPTED = 0, 1, 2, 3, 130

app = typer.Typer(
    name="graindex",
    help="Catalog and feature store for battery-materials microscopy.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=True,
)
for module in (
    homes,
    adding,
    collections,
    queries,
    particles,
    detachment,
    evaluating,
    labelling,
    features,
    fetching,
    demo,
    training_sets,
    models,
    versions,
    forgetting,
    lineage,
):
    module.register(app)


def run() -> None:
    """Run the command line and exit."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    sys.exit(main(arguments, debug=debug))


def main(arguments: list[str], *, debug: bool = False) -> int:
    """Run one command; returns its exit code.

    Args:
        arguments: without the program's name.
        debug: let errors show their traceback.
    """
    try:
        result = app(arguments, standalone_mode=False)
    except typer.Exit as error:
        return int(error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        return _say("interrupted; what was finished is kept", INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output went away, as `head` does; nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except _USAGE_ERROR as error:
        if debug:
            raise
        return _say(error.format_message(), WRONG_COMMAND)
    except GraindexError as error:
        if debug:
            raise
        return _say(str(error), WRONG_COMMAND)
    except Exception as error:
        if debug:
            raise
        if isinstance(error, OSError) and error.errno in _REFUSALS:
            return _say(f"{error.filename or 'the system'}: {error.strerror}", WRONG_COMMAND)
        words = " ".join(f"{type(error).__name__}: {error}".split())
        return _say(f"unexpected {words} (--debug shows where)", BUG)
    return int(result or DONE)


def _say(message: str, code: int) -> int:
    Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(f"error: {message}")
    return code
