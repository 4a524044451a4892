"""Where a data set's files are: a folder, the cache, or its mirrors."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ..errors import MindrawError
from . import cache
from .fetch import Remote, Unreachable, fetch

#: Debian's packages of data sets (dataset-fashion-mnist) install here.
SYSTEM = Path("/usr/share/datasets")


class Official(NamedTuple):
    """The files of a data set as its authors publish them.

    Attributes
    ----------
    name : str
    folders : tuple of str
        Folders within ``DIR`` that may hold the files.
    files : tuple of Remote
    mirrors : tuple of str
    flat : callable
        Whether the files may also lie in the folder it is given, without one of
        `folders` around them.
    optional : tuple of Remote
        Further files, which a folder may lack but the cache and the mirrors do not.
    """

    name: str
    folders: tuple[str, ...]
    files: tuple[Remote, ...]
    mirrors: tuple[str, ...]
    flat: Callable[[Path], bool] = lambda folder: True
    optional: tuple[Remote, ...] = ()


def find(official, data_dir=None):
    """Return the paths of a data set's files, in their order, and where they were.

    Looks into `data_dir`, or else MINDRAW_DATA; into the cache; into the system's
    folder of data sets; and last on the mirrors, which fill the cache.

    Parameters
    ----------
    official : Official
    data_dir : str or Path, optional
        The data set must be here.

    Returns
    -------
    paths : list of Path
    where : str

    Raises
    ------
    MindrawError
        If MINDRAW_DATA is no folder, a folder holds only some of the files, or a file in the
        cache is not the official one.
    Unreachable
        If the files are nowhere and cannot be downloaded.
    """
    if data_dir is not None:
        paths = _in_folder(official, data_dir)
        if paths is None:
            example = Path(data_dir) / official.folders[0] / official.files[0].name
            raise MindrawError(f"there is no {official.name} in {data_dir}: expected {example}")
        return paths, str(data_dir)
    named = os.environ.get("MINDRAW_DATA")
    if named and not os.path.isdir(os.path.expanduser(named)):
        raise MindrawError(f"MINDRAW_DATA is {named!r}, which is no folder: correct or unset it")
    if named and (paths := _in_folder(official, named)):
        return paths, named
    kept = cache.folder() / official.name
    files = official.files + official.optional
    missing = [remote for remote in files if not os.path.isfile(kept / remote.name)]
    if missing and (paths := _in_folder(official, SYSTEM)):
        return paths, str(SYSTEM)
    if missing:
        fetch(missing, official.mirrors, kept)
    for remote in files:
        _verify(kept / remote.name, remote)
    return [kept / remote.name for remote in files], str(kept)


def _in_folder(official, root):
    """Return the paths if the folder `root` holds the data set, None if nothing of it."""
    root = Path(os.path.expanduser(root))
    folders = [root / name for name in official.folders]
    if official.flat(root):
        folders.append(root)
    for folder in folders:
        paths = [_spelled(folder, remote.name) for remote in official.files]
        if all(paths):
            more = (_spelled(folder, remote.name) for remote in official.optional)
            return paths + [path for path in more if path]
        if any(paths):
            absent = official.files[paths.index(None)].name
            raise MindrawError(
                f"{folder} holds only a part of {official.name}: {absent} is missing"
            )
    return None


def _spelled(folder, name):
    """Return the file `name` in `folder`, gzipped or not, its type after a dash or a dot."""
    plain = name.removesuffix(".gz")
    for spelling in (plain, plain.replace("-idx", ".idx")):
        for path in (folder / f"{spelling}.gz", folder / spelling):
            if os.path.isfile(path):
                return path
    return None


def _verify(path, remote):
    try:
        found = cache.digest(path, remote.algorithm)
    except OSError as error:
        raise MindrawError(f"{path}: cannot be read ({error.strerror})") from error
    if found != remote.digest:
        raise MindrawError(
            f"{path}: the whole file, from byte 0, has {remote.checksum} {found}, expected "
            f"{remote.digest}: delete it to have it downloaded again"
        )


__all__ = ["Official", "Remote", "Unreachable", "find"]
