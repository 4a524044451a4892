"""The IDX format of MNIST: a magic number, the sizes, then bytes."""

import math
import struct

import numpy as np

from .stream import Stream

#: Far above any data set in this format; a header that promises more is damaged.
MOST_ITEMS = 1_000_000


def read_idx(path, item=(), largest=255):
    """Read an IDX file of unsigned bytes, gzipped or not.

    Parameters
    ----------
    path : str or Path
    item : tuple of int
        The size every item must have: (H, W) for pictures, () for labels.
    largest : int
        A file with a larger value is refused.

    Returns
    -------
    uint8 array (n, *item)

    Raises
    ------
    MindrawError
        If the file is not exactly what its header promises, or not of this size.
    """
    magic = bytes([0, 0, 8, 1 + len(item)])
    kind = f"an IDX file of {'pictures' if item else 'labels'}"
    with Stream(path) as stream:
        header = stream.read(8 + 4 * len(item))
        if header[:4] != magic:
            found = header[:4].hex(" ") or "nothing"
            raise stream.error(f"expected {magic.hex(' ')}, as {kind} starts, found {found}", 0)
        if len(header) < 8 + 4 * len(item):
            raise stream.error(f"the file ends within the {8 + 4 * len(item)} bytes of its header")
        count, *size = struct.unpack(f">{1 + len(item)}I", header[4:])
        if tuple(size) != tuple(item):
            found, expected = (" x ".join(map(str, s)) for s in (size, item))
            raise stream.error(f"expected pictures of {expected} pixels, found {found}", 8)
        if not 1 <= count <= MOST_ITEMS:
            raise stream.error(f"expected a count of 1 to {MOST_ITEMS}, found {count}", 4)
        total = count * math.prod(item)
        promise = f"the header's count of {count} wants it"
        # Before memory is taken on the header's word.
        if stream.position + total > stream.most:
            end = stream.position + total
            raise stream.error(f"{promise} to end at byte {end}, more than the file holds", 4)
        items = np.empty(total, np.uint8)
        stream.fill(items, promise)
        stream.finish(promise)
        if items.max() > largest:
            at = int((items > largest).argmax())
            offset = len(header) + at
            raise stream.error(f"expected a value of 0 to {largest}, found {items[at]}", offset)
    return items.reshape(count, *item)
