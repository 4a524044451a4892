"""How a model looks at pictures: where each glimpse was, and what was seen there."""

import numpy as np

from ..errors import MindrawError
from . import checks, output
from .sheet import Sheet
from .windows import outline

#: From the first glimpse to the last: apart in lightness too, upon black and upon white.
TIMES = np.array([(64, 120, 255), (60, 205, 225), (250, 225, 80), (255, 105, 50)])
#: Pixels of the page for each glimpse, and of the frame around it.
ACROSS, FRAME = 208, 3


def glimpses(path, x, glimpses, windows, title=None):
    """Draw pictures with all rectangles that were looked at, and beside each what was seen.

    A rectangle and the frame of what was seen in it have one colour.

    Parameters
    ----------
    path : str or pathlib.Path
        The PNG to write.
    x : array (n, C, H, W)
        Pictures in [0, 1]; C is 1 or 3.
    glimpses : array (T, n, C, N, N)
        What was read of them, without its intensity: in [0, 1].
    windows : array (T, n, 4)
        Where: x and y of the centre, side, and the filters' standard deviation, in pixels.
    title : str, optional

    Returns
    -------
    pathlib.Path

    Raises
    ------
    MindrawError
        If the arrays are no such pictures, or the file cannot be written.
    """
    path = output.check_path(path, ".png")
    pictures = checks.grey_values("x", x, "n, C, H, W")
    seen = checks.grey_values("glimpses", glimpses, "T, n, C, H, W")
    T, n = seen.shape[:2]
    boxes = np.asarray(windows, float)
    if len(pictures) != n or boxes.shape != (T, n, 4) or np.isnan(boxes).any():
        raise MindrawError(
            f"x has shape {pictures.shape}, glimpses {seen.shape} and windows {boxes.shape}: they "
            "must be (n, C, H, W), (T, n, C, N, N) and (T, n, 4), and numbers"
        )
    labels = ["", *("t = 1" if t == 0 else f"{t + 1}" for t in range(T))]
    with output.plain_style():
        sheet = Sheet(
            n, T + 1, pictures.shape[-2:], title, labels, breaks={1}, width=ACROSS * (T + 1) + 30
        )
        for row in range(n):
            whole = sheet.put(row, 0, pictures[row])
            for t in range(T):
                part = sheet.put(row, t + 1, seen[t, row])
                part[:FRAME] = part[-FRAME:] = part[:, :FRAME] = part[:, -FRAME:] = colour(t, T)
                # the frame's line says when, so its thickness does not say how wide the filters are
                outline(whole, (*boxes[t, row, :3], 0), sheet.scale, colour(t, T), dashed=False)
        return output.save_png(path, sheet.draw())


def colour(t, T):
    """Return the colour uint8 (3,) of glimpse t, counted from 0, of T."""
    place = (len(TIMES) - 1) * t / max(T - 1, 1)
    return [round(np.interp(place, range(len(TIMES)), channel)) for channel in TIMES.T]
