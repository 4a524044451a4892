"""The text format of the binarised MNIST: rows like ``0 1 0 ... 1``, one picture each."""

import numpy as np

from .stream import Stream

ROWS_AT_ONCE = 500


def read_amat(path, D, most_rows):
    """Read an .amat file of zeros and ones, gzipped or not.

    Parameters
    ----------
    path : str or Path
    D : int
        Pixels per picture.
    most_rows : int
        A file with more rows is refused.

    Returns
    -------
    uint8 array (n, ceil(D/8))
        The pixels packed as `numpy.packbits` does, eight to the byte.

    Raises
    ------
    MindrawError
        If any byte is not what the format wants there.
    """
    # A right row differs from this one in nothing but the lowest bit of its digits.
    model = np.frombuffer(b"0 " * (D - 1) + b"0\n", np.uint8)
    allowed = np.tile(np.array([1, 0], np.uint8), D)
    parts, rows = [], 0
    with Stream(path) as stream:
        while True:
            start = stream.position
            text = np.frombuffer(stream.read(ROWS_AT_ONCE * 2 * D), np.uint8)
            whole = len(text) // (2 * D)
            difference = text[: whole * 2 * D].reshape(whole, 2 * D) ^ model
            wrong = difference > allowed
            if wrong.any():
                raise _complaint(stream, text, start, int(wrong.argmax()), D)
            if whole * 2 * D < len(text):
                raise stream.error(
                    f"the file ends within row {rows + whole + 1}, expected {D} digits, newline"
                )
            if not whole:
                break
            rows += whole
            if rows > most_rows:
                raise stream.error(
                    f"more bytes follow, but expected at most {most_rows} rows", most_rows * 2 * D
                )
            parts.append(np.packbits(difference[:, ::2], axis=1))
        if not parts:
            raise stream.error(f"expected rows of {D} digits, found nothing")
    return np.concatenate(parts)


def _complaint(stream, text, start, at, D):
    column = at % (2 * D)
    if column % 2 == 0:
        expected = "a digit 0 or 1"
    else:
        expected = "a newline" if column == 2 * D - 1 else "a space"
    offset = start + at
    row = offset // (2 * D) + 1
    found = bytes(text[at : at + 1])
    return stream.error(f"row {row}, expected {expected}, found {found!r}", offset)
