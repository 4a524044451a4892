"""Files that are either the old or the new version, never half of one."""

import contextlib
import json
import os
from pathlib import Path

from .errors import MindrawError


def write_whole(path, content):
    """Replace a file at once: written beside, fsynced and renamed.

    Whenever the process is killed, the file holds the old content or the new.

    Parameters
    ----------
    path : str or pathlib.Path
    content : bytes

    Raises
    ------
    MindrawError
        If it cannot be written; what was there before is still there.
    """
    path = Path(path)
    beside = path.with_name(path.name + ".new")
    try:
        try:
            with open(beside, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        except BaseException:
            with contextlib.suppress(OSError):
                beside.unlink()
            raise
        fsync_folder(path.parent)
    except OSError as error:
        raise MindrawError(f"{path} cannot be written: {error.strerror}") from error


def lock(path, taken):
    """Keep a file's name to one process, until that closes the file or ends, however it ends.

    Parameters
    ----------
    path : pathlib.Path
        Made where it is not there.
    taken : str
        What to say where another process has it.

    Returns
    -------
    file or None
        None where the system knows no such locks.

    Raises
    ------
    MindrawError
        If another process has it, or it cannot be written.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    try:
        file = open(path, "w")
    except OSError as error:
        raise MindrawError(f"{path} cannot be written: {error.strerror}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise MindrawError(taken) from error
    return file


def write_json(path, content):
    """Replace a JSON file at once; see `write_whole`."""
    write_whole(path, (json.dumps(content, indent=2) + "\n").encode())


def read_json(path):
    """Return the dict that a JSON file holds.

    Raises
    ------
    MindrawError
        If it cannot be read, is no JSON, or holds something else than a dict.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise MindrawError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise MindrawError(f"{path} does not hold names and values")
    return content


def fsync_folder(folder):
    """Make a rename in it last through a power cut, where the system lets a folder be fsynced."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
