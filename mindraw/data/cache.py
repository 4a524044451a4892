"""The cache folder: files appear in it whole or not at all."""

import hashlib
import os
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from ..errors import MindrawError
from ..files import fsync_folder

VERSION = 2
HEADER = 512  # the smallest user block of HDF5
STALE = 3600  # seconds after which a left-over work folder is nobody's


def folder():
    """Return the cache folder: MINDRAW_CACHE, or "mindraw" in the user's cache."""
    chosen = os.environ.get("MINDRAW_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    try:
        home = Path.home()
    except RuntimeError as error:
        raise MindrawError("no home folder: set MINDRAW_CACHE to a folder for data") from error
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or home / ".cache"
    return Path(base) / "mindraw"


def sha256(path, skip=0):
    """Return the SHA-256 of a file as hex digits, without its first `skip` bytes."""
    return digest(path, "sha256", skip)


def digest(path, kind, skip=0):
    """Return a checksum of a file as hex digits: `kind` is "sha256" or "md5"."""
    state = hashlib.new(kind, usedforsecurity=False)
    with open(path, "rb") as file:
        file.seek(skip)
        while block := file.read(1 << 20):
            state.update(block)
    return state.hexdigest()


@contextmanager
def workspace(place):
    """Give a temporary folder within the folder `place`, and remove it afterwards."""
    place.mkdir(parents=True, exist_ok=True)
    for old in place.glob("part-*"):  # left by a process that was killed
        with suppress(FileNotFoundError):
            if time.time() - old.stat().st_mtime > STALE:
                shutil.rmtree(old, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix="part-", dir=place))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def publish(finished, path):
    """Move a finished file of a workspace to its place, safe against a power cut."""
    with open(finished, "r+b") as file:
        os.fsync(file.fileno())
    os.replace(finished, path)
    fsync_folder(path.parent)


def read(path, source):
    """Return the pixels kept in `path`, or None if they are not there, intact.

    The HDF5 file carries in its user block the SHA-256 of the file it was made from
    and of itself, so that HDF5 never opens a damaged or an outdated one.

    Parameters
    ----------
    path : Path
    source : str
        SHA-256 of the file that the pixels must come from.

    Returns
    -------
    uint8 array (n, bytes per picture) or None
        Mapped, not read: the pictures stay on disk until they are asked for.
    """
    try:
        with open(path, "rb") as file:
            header = file.read(HEADER)
        if header != _header(source, sha256(path, skip=HEADER)):
            return None
        import h5py

        with h5py.File(path, "r") as file:
            pixels = file["pixels"]
            shape, start = pixels.shape, pixels.id.get_offset()
        return np.asarray(np.memmap(path, np.uint8, "r", start, shape))
    except OSError:
        return None


def write(path, source, shape, parts):
    """Keep pixels for `read`, a part at a time.

    Parameters
    ----------
    path : Path
    source : str
        SHA-256 of the file that the pixels come from.
    shape : tuple of int
        (n, bytes per picture).
    parts : iterable of uint8 array (k, bytes per picture)
        The n pictures in their order.

    Raises
    ------
    OSError
        If the cache cannot be written; nothing is left there.
    """
    import h5py

    with workspace(path.parent) as work:
        new = work / path.name
        try:
            with h5py.File(new, "w", userblock_size=HEADER) as file:
                pixels = file.create_dataset("pixels", shape, np.uint8)
                start = 0
                for part in parts:
                    pixels[start : start + len(part)] = part
                    start += len(part)
        except RuntimeError as error:  # what h5py raises where a full disk stops it closing
            raise OSError(f"HDF5 gave up: {error}") from error
        content = sha256(new, skip=HEADER)
        with open(new, "r+b") as file:
            file.write(_header(source, content))
        publish(new, path)


def _header(source, content):
    text = f"mindraw pixels {VERSION}\nsource {source}\ncontent {content}\n"
    return text.encode().ljust(HEADER, b"\0")
