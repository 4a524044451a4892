"""How a command ends: what is wrong is told in one sentence, never by a traceback."""

import argparse
import contextlib
import errno
import io
import os
import signal
import sys

from .errors import MindrawError


class Parser(argparse.ArgumentParser):
    """A parser that tells in one sentence what it cannot read."""

    def error(self, message):
        """Raise a `MindrawError`."""
        raise MindrawError(f"{message}: see --help")


def guarded(command, *arguments):
    """Run a command and tell on stderr what is wrong, if anything is.

    Parameters
    ----------
    command : callable
        Returns an exit code, or None for 0.
    *arguments : object
        What to call it with.

    Returns
    -------
    int
        The command's exit code; 2 after an error; 130 after Ctrl-C; 141 where nobody reads stdout
        (128 and the signal's number, as in a shell).
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names may have letters that the terminal lacks
            stream.reconfigure(errors="backslashreplace")
    try:
        code = command(*arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code or 0
    except MindrawError as error:
        tell(error)
    except BrokenPipeError:
        _drop_stdout()
        return 141  # Windows knows no SIGPIPE
    except OSError as error:
        _drop_stdout()
        if error.errno == errno.ENOMEM:
            tell(_memory(error.strerror))
        else:
            tell(f"{error.filename or 'the disk'}: {error.strerror or error}")
    except (MemoryError, OverflowError) as error:
        tell(_memory(error))
    except KeyboardInterrupt:
        tell("stopped outside of training: there was nothing to save")
        return 128 + signal.SIGINT
    return 2


def tell(sentence):
    """Print one line to stderr, if anybody reads it."""
    with contextlib.suppress(OSError):
        print(sentence, file=sys.stderr, flush=True)


def _memory(what):
    return (
        f"there is not enough memory here ({str(what) or 'no more could be had'}): a smaller "
        "batch, a smaller model or fewer steps take less"
    )


def _drop_stdout():
    """Give up what stdout cannot take: Python would try once more, and fail, when it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        with open(os.devnull, "w") as nowhere, contextlib.suppress(OSError):
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
