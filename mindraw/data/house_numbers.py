"""SVHN's archives of whole house numbers, cut out as Goodfellow et al. 2013 do.

The box around all digits of a number grows by 30 % in both directions about its centre;
what lies within, and within the picture, is scaled to 64 x 64 pixels, whatever its
proportions.
"""

import io

import numpy as np

from ..errors import MindrawError
from . import archive, cache, decode
from .digit_struct import read_digit_struct
from .progress import shown

C, SIDE = 3, 64
GROWTH = 1.3
#: The one longer number, of the training part, is left out, as the published counts say.
MOST_DIGITS = 5
MOST_STRUCT = 1 << 29
MOST_PNG = 1 << 25
MOST_PIXELS = 1 << 24


def load(path):
    """Return the numbers of an archive, made once and then taken from the cache.

    Parameters
    ----------
    path : Path

    Returns
    -------
    uint8 array (n, C, SIDE, SIDE)
        On disk, in the order of the archive.

    Raises
    ------
    MindrawError
        If the archive is damaged, or the cache has no room.
    """
    try:
        source = cache.sha256(path)
    except OSError as error:
        raise MindrawError(f"{path}: cannot be read ({error.strerror})") from error
    part = path.name.split(".")[0]
    kept = cache.folder() / "parsed" / f"svhn-numbers-{part}-{source[:16]}.h5"
    pixels = cache.read(kept, source)
    if pixels is None:
        try:
            numbers = read_numbers(path)
            shape = (len(numbers), C * SIDE * SIDE)
            cache.write(kept, source, shape, cut_out(path, numbers))
        except OSError as error:
            raise MindrawError(
                f"the cache {kept.parent} cannot be written ({error}): svhn-numbers wants up to "
                "3 GB there, or in the folder that MINDRAW_CACHE names"
            ) from error
        pixels = cache.read(kept, source)
        if pixels is None:
            raise MindrawError(f"{kept}: cannot be read back: look after the disk it is on")
    return pixels.reshape(-1, C, SIDE, SIDE)


def read_numbers(path):
    """Return the house numbers of an archive by the names of their pictures."""

    def wanted(name):
        return name.rpartition("/")[2] == "digitStruct.mat"

    for member, contents in archive.members(path, wanted, MOST_STRUCT):
        with cache.workspace(cache.folder()) as work:
            struct = work / "digitStruct.mat"
            contents.tofile(struct)
            del contents
            numbers = read_digit_struct(struct, f"{path}: {member!a}")
        kept = {number.name: number for number in numbers if number.digits <= MOST_DIGITS}
        if len({number.name for number in numbers}) < len(numbers) or not kept:
            raise MindrawError(f"{path}: {member!a}, expected names that are all different")
        return kept
    raise MindrawError(f"{path}: expected a digitStruct.mat in this archive, found none")


def cut_out(path, numbers):
    """Go through the pictures of an archive, in its order.

    Parameters
    ----------
    path : Path
    numbers : dict of str to Number

    Yields
    ------
    uint8 array (1, C * SIDE * SIDE)
    """
    missing = dict(numbers)

    def wanted(name):
        return name.rpartition("/")[2] in numbers

    pictures = archive.members(path, wanted, MOST_PNG)
    for member, contents in shown(pictures, len(numbers), f"cutting out {path.name}"):
        number = missing.pop(member.rpartition("/")[2], None)
        if number is None:
            raise MindrawError(f"{path}: expected one picture {member!a}, found a second one")
        yield cut(contents, number.box, f"{path}: {member!a}").reshape(1, -1)
    for name in missing:
        raise MindrawError(f"{path}: expected a picture {name!a} in this archive, found none")


def cut(contents, box, where):
    """Return one number, uint8 (C, SIDE, SIDE).

    Parameters
    ----------
    contents : bytes-like
        Of a PNG file.
    box : tuple of float
        (left, top, right, bottom) around the digits, in pixels from the picture's corner.
    where : str
        The file, for messages.
    """
    with decode.opened(io.BytesIO(contents), where, ("PNG",), MOST_PIXELS) as image:
        left, right = _grown(box[0], box[2], image.width)
        top, bottom = _grown(box[1], box[3], image.height)
        if right - left < 1 or bottom - top < 1:
            raise MindrawError(
                f"{where}: expected boxes within the {image.height} x {image.width} pixels of "
                f"the picture, found left, top, right, bottom of {box}"
            )
        number = image.convert("RGB").resize(
            (SIDE, SIDE), decode.pillow().Resampling.BILINEAR, (left, top, right, bottom)
        )
        return np.asarray(number).transpose(2, 0, 1)


def _grown(start, end, size):
    more = (GROWTH - 1) / 2 * (end - start)
    return max(0.0, start - more), min(float(size), end + more)
