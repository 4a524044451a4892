"""A folder of PNG and JPEG pictures, with the folders in it."""

import os

import numpy as np

from ..errors import MindrawError
from . import decode

SUFFIXES = (".png", ".jpg", ".jpeg")


def read_folder(folder, size=None):
    """Read the pictures of a folder, sorted by their paths.

    If any picture is in colour, all become so.

    Parameters
    ----------
    folder : Path
    size : tuple of int, optional
        (H, W) to scale to; without it the pictures must be of one size.

    Returns
    -------
    uint8 array (n, C, H, W)

    Raises
    ------
    MindrawError
        If there are none, one cannot be read, or their sizes differ.
    """
    paths = _paths(folder)
    if not paths:
        raise MindrawError(
            f"there are no pictures in {folder}: expected files ending in {', '.join(SUFFIXES)}"
        )
    colour, first = False, None
    for path in paths:  # headers only, so that the pictures can be decoded into their place
        with decode.opened(path, str(path)) as image:
            found = decode.upright_size(image)
            colour = colour or decode.colourful(image)
        first = first or found
        if size is None and found != first:
            raise MindrawError(
                f"the pictures in {folder} differ in size ({paths[0]} is {first[0]} x {first[1]}, "
                f"{path} is {found[0]} x {found[1]} pixels): give one with --size"
            )
    H, W = size or first
    pictures = np.empty((len(paths), 3 if colour else 1, H, W), np.uint8)
    for picture, path in zip(pictures, paths, strict=True):
        with decode.opened(path, str(path)) as image:
            image = decode.fit(decode.upright(image, colour), H, W)
            picture[...] = np.asarray(image).reshape(H, W, -1).transpose(2, 0, 1)
    return pictures


def _paths(folder):
    """Return the pictures' paths; what starts with a dot is hidden, and not meant."""
    paths = []

    def refuse(error):
        raise MindrawError(f"{error.filename}: cannot be read ({error.strerror})") from error

    for place, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found = (name for name in files if name.lower().endswith(SUFFIXES))
        paths += [os.path.join(place, name) for name in found if not name.startswith(".")]
    return sorted(filter(os.path.isfile, paths))
