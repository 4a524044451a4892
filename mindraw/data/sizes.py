"""The option `size`: one number for a square, or rows and columns."""

from ..errors import MindrawError

MOST = 4096


def rows_and_columns(size, least, what):
    """Return (H, W) for `size`, an int or a pair of ints, or refuse it.

    Parameters
    ----------
    size : int or pair of int
        Pixels.
    least : int
        Neither number may be below this.
    what : str
        The data set, for the message.
    """
    pair = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if len(pair) != 2 or not all(isinstance(side, int) and least <= side <= MOST for side in pair):
        raise MindrawError(
            f"the size of {what} is {size!r}: use a number of {least} to {MOST} pixels, "
            "or two of them for rows and columns"
        )
    return pair
