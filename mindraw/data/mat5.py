"""Numeric arrays in MATLAB's files of version 5, in which variables may be compressed.

A file is a header of 128 bytes and then elements: type, size, contents. Every size is
compared with what is left before memory is taken on its word.
"""

import math
import struct
import zlib

import numpy as np

from ..errors import MindrawError
from .stream import BLOCK, MOST_DEFLATED, Stream

HEADER = 128
#: Types of elements.
INT8, UINT8, INT32, UINT32, DOUBLE, MATRIX, COMPRESSED = 1, 2, 5, 6, 9, 14, 15
STORED = {UINT8: np.dtype(np.uint8), DOUBLE: np.dtype("<f8")}
#: Compressed bytes taken at a time.
AT_ONCE = 1 << 16
MOST_VARIABLES, MOST_NAME, MOST_DIMENSIONS = 100, 64, 8


def read_mat5(path, wanted, most):
    """Read arrays of bytes or doubles.

    Parameters
    ----------
    path : Path
    wanted : tuple of str
        Their names. Other variables are skipped.
    most : int
        Elements; a larger array is refused.

    Returns
    -------
    dict of str to array
        As many of the wanted ones as the file has, of uint8 or float64 as stored.

    Raises
    ------
    MindrawError
        If the file is not what the format wants.
    """
    arrays = {}
    with Stream(path) as stream:
        header = stream.read(HEADER)
        if len(header) < HEADER or header[124:] != b"\x00\x01IM":
            raise stream.error("expected the header of a MATLAB file of version 5", 0)
        for _ in range(MOST_VARIABLES):
            start = stream.position
            tag = stream.read(8)
            if not tag:
                return arrays
            kind, size = struct.unpack("<2I", tag) if len(tag) == 8 else (0, 0)
            end = stream.position + size
            if kind not in (MATRIX, COMPRESSED) or end > stream.most:
                raise stream.error("expected a variable that fits into the file", start)
            contents = (_Inflated if kind == COMPRESSED else _Plain)(stream, end)
            if kind == COMPRESSED and contents.tag()[0] != MATRIX:
                raise contents.error("expected an array")
            name, array = _variable(contents, wanted, most)
            if array is not None:
                if name in arrays:
                    raise contents.error(f"expected one {name}, found a second one")
                arrays[name] = array
            contents.finish()
    raise MindrawError(f"{path}: expected at most {MOST_VARIABLES} variables")


def _variable(contents, wanted, most):
    flags = contents.small(UINT32, 8)
    dimensions = contents.small(INT32, 4 * MOST_DIMENSIONS)
    name = contents.small(INT8, MOST_NAME).decode("latin-1")
    if name not in wanted:
        return name, None
    if len(flags) != 8 or flags[1] & 0x08 or len(dimensions) % 4:
        raise contents.error(f"{name}, expected an array of real numbers")
    shape = struct.unpack(f"<{len(dimensions) // 4}i", dimensions)
    kind, size, inside = contents.tag()
    count = math.prod(shape) if shape and min(shape) > 0 else 0
    if kind not in STORED or not 1 <= count <= most or size != count * STORED[kind].itemsize:
        raise contents.error(
            f"{name}, expected 1 to {most} bytes or doubles, found a shape of {shape} and "
            f"{size} bytes of type {kind}"
        )
    if inside is None and size > contents.most:
        raise contents.error(f"{name} claims {size} bytes, more than the file holds")
    values = np.empty(size, np.uint8)
    if inside is not None:
        values[:] = memoryview(inside[:size])
    else:
        contents.fill(values, f"the {size} bytes of {name}")
    if len(contents.upto(8)) == 8:  # which checks the checksum too
        raise contents.error(f"{name} goes on after its {size} bytes")
    return name, values.view(STORED[kind]).reshape(shape, order="F")


class _Plain:
    """The contents of a variable that ends at byte `end` of a stream."""

    def __init__(self, stream, end):
        self.stream, self.end = stream, end

    @property
    def most(self):
        """The most bytes that can follow."""
        return self.end - self.stream.position

    def error(self, message):
        return self.stream.error(message)

    def read(self, count):
        """Return up to `count` bytes, none only at the end."""
        return self.stream.read(min(count, self.end - self.stream.position))

    def upto(self, count):
        """Return `count` bytes, fewer only at the end."""
        data = b""
        while len(data) < count and (more := self.read(count - len(data))):
            data += more
        return data

    def exactly(self, count, what):
        data = self.upto(count)
        if len(data) < count:
            raise self.error(f"expected {what}, found the end of the variable")
        return data

    def fill(self, values, what):
        at = 0
        while at < len(values):
            data = self.read(min(BLOCK, len(values) - at))
            if not data:
                raise self.error(f"expected {what}, found the end of the variable after {at}")
            values[at : at + len(data)] = memoryview(data)
            at += len(data)

    def tag(self):
        """Read a tag: type, size, and the contents where they lie within it."""
        word, size = struct.unpack("<2I", self.exactly(8, "an element"))
        if word >> 16:
            return word & 0xFFFF, word >> 16, struct.pack("<I", size)
        return word, size, None

    def small(self, kind, most):
        """Read an element of at most so many bytes, and what it is filled up with."""
        found, size, inside = self.tag()
        if found != kind or size > (most if inside is None else len(inside)):
            raise self.error(f"expected at most {most} bytes of type {kind}")
        if inside is not None:
            return inside[:size]
        return self.exactly(size + -size % 8, f"{size} bytes")[:size]

    def finish(self):
        """Go to the end of the variable."""
        while self.stream.position < self.end:
            if not self.stream.read(min(BLOCK, self.end - self.stream.position)):
                raise self.stream.error(f"the file ends, but a variable wants {self.end} bytes")


class _Inflated(_Plain):
    """The same, compressed."""

    def __init__(self, stream, end):
        super().__init__(stream, end)
        self.inflate = zlib.decompressobj()
        self.packed = end - stream.position

    @property
    def most(self):
        return self.packed * MOST_DEFLATED

    def read(self, count):
        while not self.inflate.eof:
            packed = self.inflate.unconsumed_tail or super().read(AT_ONCE)
            try:
                data = self.inflate.decompress(packed, count)
            except zlib.error as error:
                raise self.error(
                    f"the compressed data are damaged ({error}): get the file again"
                ) from error
            if data:
                return data
            if not packed:
                raise self.error("the compressed data break off: get the file again")
        return b""
