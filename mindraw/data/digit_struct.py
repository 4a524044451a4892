"""The file digitStruct.mat of SVHN: where the digits of each house number are.

MATLAB's HDF5: ``digitStruct/name`` and ``digitStruct/bbox`` are references, one per
picture. A name is an array of characters; a bbox is a group of height, label, left, top
and width, and each of these is one number, or an array of references to numbers where
there are several digits.
"""

import math
from typing import NamedTuple

import numpy as np

from ..errors import MindrawError
from . import hdf5
from .progress import shown

MOST_ITEMS = 1_000_000
MOST_DIGITS = 64
MOST_LETTERS = 64
#: Pixels; no picture is larger.
FAR = 1 << 20
EXPECTED = "the digitStruct of SVHN"


class Number(NamedTuple):
    """One house number: the name of its picture, and the box around its digits.

    The box is (left, top, right, bottom), in pixels from the picture's corner.
    """

    name: str
    digits: int
    box: tuple[float, float, float, float]


def read_digit_struct(path, where):
    """Return the house numbers of a file, in their order.

    Parameters
    ----------
    path : Path
    where : str
        The file, for messages.

    Returns
    -------
    list of Number

    Raises
    ------
    MindrawError
        If anything in the file is not what the format wants there.
    """
    with hdf5.opened(path, where, EXPECTED) as file:
        reader = _Reader(file, where)
        struct = hdf5.child(file.id, b"digitStruct")
        names, boxes = (reader.column(struct, part, MOST_ITEMS) for part in ("name", "bbox"))
        if len(names) != len(boxes):
            raise reader.error("bbox", f"{len(names)} entries as name has, found {len(boxes)}")
        entries = zip(names, boxes, strict=True)
        entries = shown(entries, len(names), "reading digitStruct.mat")
        return [reader.number(*entry) for entry in enumerate(entries, 1)]


class _Reader:
    def __init__(self, file, where):
        import h5py
        from h5py import h5d, h5g, h5r, h5s, h5t

        self.dereference, self.everything = h5r.dereference, h5s.ALL
        self.array, self.group = h5d.DatasetID, h5g.GroupID
        self.file, self.where = file.id, where
        # what the entries of an array may be: their class, their size, and how to read them
        self.references = h5t.REFERENCE, h5t.STD_REF_OBJ.get_size(), h5py.ref_dtype
        self.numbers = h5t.FLOAT, 8, np.dtype(np.float64)
        self.letters = h5t.INTEGER, 2, np.dtype(np.uint16)

    def error(self, what, expected):
        return MindrawError(f"{self.where}: {what}, expected {expected}")

    def column(self, group, name, most):
        """Read an array of references."""
        array = self.part(group, name, f"digitStruct/{name}")
        return self.values(array, f"digitStruct/{name}", most, self.references)

    def part(self, group, name, what):
        thing = hdf5.child(group, name.encode()) if isinstance(group, self.group) else None
        if thing is None:
            raise self.error(what, f"{EXPECTED}, found nothing")
        return thing

    def values(self, array, what, most, *kinds):
        """Read a vector of 1 to `most` entries of one of `kinds`."""
        if not isinstance(array, self.array):
            raise self.error(what, "an array")
        count = array.get_space().get_simple_extent_npoints()
        if not 1 <= count <= most:
            raise self.error(what, f"1 to {most} entries, found {count}")
        stored = array.get_type()
        found = stored.get_class(), stored.get_size()
        dtype = next((kind[2] for kind in kinds if kind[:2] == found), None)
        if dtype is None:
            raise self.error(what, f"other entries than {array.dtype}")
        reason = hdf5.refusal(array)
        if reason is not None:
            raise self.error(what, f"plain entries, but {reason}")
        values = np.empty(array.shape, dtype)
        array.read(self.everything, self.everything, values)
        return values.ravel()

    def follow(self, reference, what):
        thing = self.dereference(reference, self.file) if reference else None
        if thing is None:
            raise self.error(what, "a reference into this file, found none")
        return thing

    def number(self, at, pair):
        name, group = (self.follow(reference, f"entry {at}") for reference in pair)
        letters = self.values(name, f"the name of entry {at}", MOST_LETTERS, self.letters)
        if letters.max() > 126 or letters.min() < 32:
            raise self.error(f"the name of entry {at}", "letters of ASCII")
        name = bytes(letters.astype(np.uint8)).decode()
        left, top, width, height, label = (
            self.box_part(group, part, f"{part} of entry {at}, {name!a}")
            for part in ("left", "top", "width", "height", "label")
        )
        what = f"the boxes of entry {at}, {name!a}"
        if len({len(values) for values in (left, top, width, height, label)}) != 1:
            raise self.error(what, "as many values of each kind")
        if not all(value in range(1, 11) for value in label):
            raise self.error(what, f"labels of 1 to 10, found {label}")
        if min(width) <= 0 or min(height) <= 0:
            raise self.error(what, "a width and a height above 0")
        right = max(map(sum, zip(left, width, strict=True)))
        bottom = max(map(sum, zip(top, height, strict=True)))
        # MATLAB counts pixels from 1
        return Number(name, len(label), (min(left) - 1, min(top) - 1, right - 1, bottom - 1))

    def box_part(self, group, part, what):
        kinds = self.references, self.numbers
        values = self.values(self.part(group, part, what), what, MOST_DIGITS, *kinds)
        if values.dtype == object:
            values = [
                self.values(self.follow(reference, what), what, 1, self.numbers)[0]
                for reference in values
            ]
        values = [float(value) for value in values]
        if not all(math.isfinite(value) and abs(value) < FAR for value in values):
            raise self.error(what, f"numbers of less than {FAR}, found {values}")
        return values
