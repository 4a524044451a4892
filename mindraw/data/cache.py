"""The cache folder: files appear in it whole or not at all."""

import hashlib
import io
import os
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import MindrawError
from ..files import fsync_folder

VERSION = 1
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


def read_bits(path, source):
    """Return the packed pixels kept in `path`, or None if they are not there, intact.

    The HDF5 file carries in its user block the SHA-256 of the file it was made from
    and of itself, so that HDF5 never opens a damaged or an outdated one.

    Parameters
    ----------
    path : Path
    source : str
        SHA-256 of the file that the pixels must come from.

    Returns
    -------
    uint8 array (n, ceil(D/8)) or None
    """
    try:
        with open(path, "rb") as file:
            header = file.read(HEADER)
        if header != _header(source, sha256(path, skip=HEADER)):
            return None
        import h5py

        with h5py.File(path, "r") as file:
            return file["bits"][:]
    except OSError:
        return None


def write_bits(path, source, bits):
    """Keep packed pixels for `read_bits`; a cache that cannot be written is no error."""
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w", userblock_size=HEADER) as file:
        file["bits"] = bits
    content = buffer.getvalue()[HEADER:]
    header = _header(source, hashlib.sha256(content).hexdigest())
    with suppress(OSError), workspace(path.parent) as work:
        new = work / path.name
        new.write_bytes(header + content)
        publish(new, path)


def _header(source, content):
    text = f"mindraw pixels {VERSION}\nsource {source}\ncontent {content}\n"
    return text.encode().ljust(HEADER, b"\0")
