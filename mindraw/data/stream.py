"""Bounded reading of files nobody vouches for, gzipped or not."""

import gzip
import zlib
from pathlib import Path

from ..errors import MindrawError

BLOCK = 1 << 20
#: Deflate never shrinks data by more than about 1032 to 1.
MOST_DEFLATED = 1040


class Stream:
    """A file read from front to back, decompressed on the way if it is gzipped.

    Whatever is wrong with the file becomes a `MindrawError` that tells the file, the
    byte offset (in the decompressed contents) and what was expected there. A
    decompressed file is never held whole, so a gzip bomb costs one block.

    Parameters
    ----------
    path : str or Path
    """

    def __init__(self, path):
        self.path = Path(path)
        self.position = 0
        try:
            self._file = open(self.path, "rb")
            self.size = self.path.stat().st_size
        except OSError as error:
            raise MindrawError(f"{self.path}: cannot be read ({error.strerror})") from error
        # The first bytes decide, not the name: browsers unpack .gz files on their own.
        self.gzipped = self._file.peek(2)[:2] == b"\x1f\x8b"
        self._body = gzip.GzipFile(fileobj=self._file) if self.gzipped else self._file

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._body.close()
        self._file.close()

    @property
    def most(self):
        """The most bytes that this file can hold, decompressed."""
        return self.size * MOST_DEFLATED if self.gzipped else self.size

    def error(self, message, offset=None):
        """Return the error for something wrong at `offset` (by default: here)."""
        offset = self.position if offset is None else offset
        where = " of the decompressed contents" if self.gzipped else ""
        return MindrawError(f"{self.path}: at byte {offset}{where}, {message}")

    def read(self, count):
        """Return the next `count` bytes, fewer only where the file ends."""
        try:
            data = self._body.read(count)
        except (gzip.BadGzipFile, zlib.error) as error:
            raise self.error(f"the gzip data are damaged ({error}): get the file again") from error
        except EOFError as error:
            raise self.error("the gzip data break off: get the file again") from error
        except OSError as error:
            raise self.error(f"the file cannot be read ({error.strerror})") from error
        self.position += len(data)
        return data

    def fill(self, array, what):
        """Read exactly as many bytes as the uint8 vector `array` has room for."""
        start, end = self.position, self.position + len(array)
        while self.position < end:
            at = self.position - start
            data = self.read(min(BLOCK, end - self.position))
            if not data:
                raise self.error(f"the file ends, but {what} to end at byte {end}")
            array[at : at + len(data)] = memoryview(data)

    def finish(self, what):
        """Make sure that the file ends here; checks the gzip checksum too."""
        end = self.position
        if self.read(1):
            raise self.error(f"more bytes follow, but {what} to end here", end)
