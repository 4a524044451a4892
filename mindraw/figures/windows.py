"""Where a model read and wrote, as rectangles upon its canvases."""

import numpy as np

from ..errors import MindrawError

#: A pair that the colour-blind tell apart, upon black, upon white and upon photographs.
COLOURS = {"read": (38, 139, 255), "write": (255, 51, 38)}
#: What the legend says.
LEGEND = {"read": "reads", "write": "writes"}
WIDTHS = "thicker line: wider filters; what lies outside of the picture is cut off"
#: Thickness of a line for each pixel of the filters' standard deviation, in pixels.
THICKNESS = 0.5
#: Line and side of the smallest rectangle, in pixels of the page.
THINNEST, SMALLEST = 2, 8


def check(windows, T, n):
    """Return rectangles as arrays (T, n, K, 4) by name, in the order of drawing.

    Parameters
    ----------
    windows : dict of str to array (T, n, 4) or (T, n, K, 4), or None
        For "read" and "write", or one of them, and each of K rectangles: the centre's x and
        y, the side, and the filters' standard deviation; all in pixels of the canvas, x and
        y counted from 0 at the centre of the first pixel.
    T, n : int
        Steps and examples.

    Raises
    ------
    MindrawError
        If a name, a shape or a value is not one of rectangles.
    """
    checked = {}
    for name, boxes in (windows or {}).items():
        if name not in COLOURS:
            raise MindrawError(f"windows are for {' and '.join(COLOURS)}, not for {name!r}")
        boxes = np.asarray(boxes, float)
        if boxes.ndim not in (3, 4) or (*boxes.shape[:2], boxes.shape[-1]) != (T, n, 4):
            raise MindrawError(
                f"the windows for {name} have shape {boxes.shape}: they must be "
                f"(T, n, 4) = ({T}, {n}, 4), or (T, n, K, 4)"
            )
        if np.isnan(boxes).any() or (boxes[..., 2:] < 0).any():
            raise MindrawError(
                f"the windows for {name} hold a side or a deviation that is no number of 0 or more"
            )
        checked[name] = boxes.reshape(T, n, -1, 4)
    return {name: checked[name] for name in COLOURS if name in checked}


def draw(tile, boxes, scale):
    """Draw one example's rectangles at one step upon its magnified canvas.

    What lies outside of the canvas is cut off. Lines for reading are dashed, so that what
    they cover can be seen.

    Parameters
    ----------
    tile : array uint8 (H*scale, W*scale, 3)
    boxes : dict of str to array (K, 4)
    scale : int
        Side of the square that stands for one pixel of the canvas.
    """
    for name in reversed(boxes):
        for box in boxes[name]:
            outline(tile, box, scale, COLOURS[name], dashed=name == "read")


def outline(tile, box, scale, colour, dashed):
    """Draw one rectangle."""
    x, y, side, deviation = box
    height, width = tile.shape[:2]
    reach = max(side * scale, SMALLEST) / 2
    thickest = max(THINNEST, min(reach / 2, min(height, width) / 12))
    line = round(min(max(THICKNESS * deviation * scale, THINNEST), thickest))
    # a line lies half inside and half outside of the edge that it stands for
    (left, right), (top, bottom) = (
        [
            round(min(max((centre + 0.5) * scale + sign * (reach + line / 2), -line), end + line))
            for sign in (-1, 1)
        ]
        for centre, end in ((x, width), (y, height))
    )
    rows, columns = np.ogrid[:height, :width]
    inside = (left <= columns) & (columns < right) & (top <= rows) & (rows < bottom)
    across = (columns < left + line) | (columns >= right - line)
    along = (rows < top + line) | (rows >= bottom - line)
    if dashed:
        across = across & _dash(rows - top, bottom - top, line)
        along = along & _dash(columns - left, right - left, line)
    tile[inside & (across | along)] = colour


def _dash(places, length, line):
    """Tell which places of a side are drawn: dashes and gaps of one length, corners included."""
    pieces = max(3, length // max(2 * line, 5) | 1)
    return places * pieces // max(length, 1) % 2 == 0
