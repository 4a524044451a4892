"""Pictures made of pictures: what the model draws, and how it gets there."""

import math

import numpy as np

from ..errors import MindrawError
from . import checks, output
from . import windows as rectangles
from .sheet import Sheet


def canvases(path, canvases, title=None, columns=None, windows=None):
    """Draw examples as rows and time as columns, each column labelled with its step.

    Parameters
    ----------
    path : str or pathlib.Path
        The PNG to write.
    canvases : array (T, n, C, H, W)
        sigmoid(c_t) of n examples, in [0, 1]; C is 1 or 3.
    title : str, optional
    columns : int, optional
        How many of the T steps are shown at most, evenly spaced from the first to the
        last; by default all of 12 or fewer, else 10.
    windows : dict of str to array (T, n, 4), optional
        Where the model read and wrote, under "read" and "write" or one of them: x and y of
        the centre, side, and standard deviation of the filters, in pixels. (T, n, K, 4)
        draws K rectangles on each canvas.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    MindrawError
        If the array is no such pictures, or the file cannot be written.
    """
    path = output.check_path(path, ".png")
    tiles = checks.grey_values("canvases", canvases, "T, n, C, H, W")
    windows = rectangles.check(windows, *tiles.shape[:2])
    steps = _steps(len(tiles), columns)
    labels = _step_labels(steps)
    with output.plain_style():
        sheet = Sheet(
            tiles.shape[1], len(steps), tiles.shape[-2:], title, labels, legend=list(windows)
        )
        for row in range(tiles.shape[1]):
            for column, t in enumerate(steps):
                sheet.put(row, column, tiles[t, row], _boxes(windows, t, row))
        return output.save_png(path, sheet.draw())


def samples(path, pictures, title=None):
    """Draw pictures in a tight grid, row by row.

    Parameters
    ----------
    path : str or pathlib.Path
        The PNG to write.
    pictures : array (n, C, H, W)
        In [0, 1]; C is 1 or 3.
    title : str, optional

    Returns
    -------
    pathlib.Path

    Raises
    ------
    MindrawError
        If the array is no such pictures, or the file cannot be written.
    """
    path = output.check_path(path, ".png")
    tiles = checks.grey_values("pictures", pictures, "n, C, H, W")
    with output.plain_style():
        sheet = _grid(tiles, title)
        _fill(sheet, tiles)
        return output.save_png(path, sheet.draw())


def reconstructions(path, x, canvases, title=None, windows=None):
    """Draw inputs, their reconstructions beside them, and how these came about.

    Parameters
    ----------
    path : str or pathlib.Path
        The PNG to write.
    x : array (n, C, H, W)
        The inputs, in [0, 1]; C is 1 or 3.
    canvases : array (T, n, C, H, W)
        sigmoid(c_t) while x is reconstructed; the last is the reconstruction.
    title : str, optional
    windows : dict of str to array (T, n, 4), optional
        Drawn on the steps: where the model read and wrote, under "read" and "write": x and y of
        the centre, side, and standard deviation of the filters, in pixels. (T, n, K, 4)
        draws K rectangles on each canvas.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    MindrawError
        If the arrays are no such pictures, or the file cannot be written.
    """
    path = output.check_path(path, ".png")
    inputs = checks.grey_values("x", x, "n, C, H, W")
    tiles = checks.grey_values("canvases", canvases, "T, n, C, H, W")
    if inputs.shape != tiles.shape[1:]:
        raise MindrawError(
            f"x has shape {inputs.shape} and canvases {tiles.shape}: "
            "they must be (n, C, H, W) and (T, n, C, H, W)"
        )
    windows = rectangles.check(windows, *tiles.shape[:2])
    steps = _steps(len(tiles), 9) if len(tiles) > 1 or windows else []
    labels = ["input", "output", *_step_labels(steps)]
    with output.plain_style():
        sheet = Sheet(
            len(inputs), len(labels), inputs.shape[-2:], title, labels,
            breaks={2} if steps else (), legend=list(windows),
        )  # fmt: skip
        for row, picture in enumerate(inputs):
            sheet.put(row, 0, picture)
            sheet.put(row, 1, tiles[-1, row])
            for column, t in enumerate(steps, start=2):
                sheet.put(row, column, tiles[t, row], _boxes(windows, t, row))
        return output.save_png(path, sheet.draw())


def nearest(path, pictures, neighbours, title=None):
    """Draw pictures, and beside each the training image that is nearest to it.

    Parameters
    ----------
    path : str or pathlib.Path
        The PNG to write.
    pictures, neighbours : array (n, C, H, W)
        In [0, 1]; C is 1 or 3.
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
    pairs = [
        checks.grey_values(name, array, "n, C, H, W")
        for name, array in (("pictures", pictures), ("neighbours", neighbours))
    ]
    if pairs[0].shape != pairs[1].shape:
        raise MindrawError(
            f"pictures has shape {pairs[0].shape} and neighbours {pairs[1].shape}: "
            "both must be (n, C, H, W)"
        )
    n, _, H, W = pairs[0].shape
    across = min(n, max(1, math.ceil(math.sqrt(n * H / W / 2))))
    labels = ["drawn", "nearest"] * across
    breaks = range(2, 2 * across, 2)
    with output.plain_style():
        sheet = Sheet(math.ceil(n / across), 2 * across, (H, W), title, labels, breaks=breaks)
        for k, pair in enumerate(zip(*pairs, strict=True)):
            row, column = divmod(k, across)
            for side, tile in enumerate(pair):
                sheet.put(row, 2 * column + side, tile)
        return output.save_png(path, sheet.draw())


def animate(path, canvases, seconds_per_step=0.1, hold=1.0, title=None, windows=None):
    """Draw a grid of examples while they are being drawn, as a GIF that loops.

    Parameters
    ----------
    path : str or pathlib.Path
        The GIF to write.
    canvases : array (T, n, C, H, W)
        sigmoid(c_t) of n examples, in [0, 1]; C is 1 or 3. One frame for each step.
    seconds_per_step : float
        At least 0.02, less of which browsers take for slow motion.
    hold : float
        Seconds for which the last frame stays longer than the others.
    title : str, optional
    windows : dict of str to array (T, n, 4), optional
        Where the model read and wrote, under "read" and "write" or one of them: x and y of
        the centre, side, and standard deviation of the filters, in pixels. (T, n, K, 4)
        draws K rectangles on each canvas.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    MindrawError
        If the array is no such pictures, a time is out of range, or the file cannot be
        written.
    """
    path = output.check_path(path, ".gif")
    tiles = checks.grey_values("canvases", canvases, "T, n, C, H, W")
    checks.duration("seconds_per_step", seconds_per_step, 0.02)
    checks.duration("hold", hold, 0)
    windows = rectangles.check(windows, *tiles.shape[:2])
    seconds = [seconds_per_step] * len(tiles)
    seconds[-1] += hold
    with output.plain_style():
        sheet = _grid(tiles[-1], title, width=640, text=16, caption=" ", legend=list(windows))

        def pages():
            for t, frame in enumerate(tiles):
                sheet.caption = f"t = {t + 1}"
                _fill(sheet, frame, [_boxes(windows, t, k) for k in range(len(frame))])
                yield sheet.draw()

        lines = [rectangles.COLOURS[name] for name in windows]
        return output.save_gif(path, pages(), seconds, output.Palette(tiles, lines))


def _steps(T, columns):
    """Return the steps to show, counted from 0: the first, the last, evenly spaced between."""
    if columns is None:
        columns = T if T <= 12 else 10
    if columns < 1:
        raise MindrawError(f"columns is {columns}: it must be 1 or more")
    if columns == 1:
        return [T - 1]
    return np.rint(np.linspace(0, T - 1, min(columns, T))).astype(int).tolist()


def _step_labels(steps):
    """Return the labels of the columns; the paper counts canvases from 1."""
    return [f"t = {t + 1}" if k == 0 else f"{t + 1}" for k, t in enumerate(steps)]


def _grid(tiles, title, **style):
    """Return an empty sheet for tiles (n, C, H, W): square, or wider where that fills its rows."""
    n, _, H, W = tiles.shape
    square = min(n, math.ceil(math.sqrt(n * H / W)))
    full = (columns for columns in range(square, 3 * square // 2 + 1) if n % columns == 0)
    columns = next(full, square)
    return Sheet(math.ceil(n / columns), columns, (H, W), title, **style)


def _fill(sheet, tiles, boxes=None):
    for k, tile in enumerate(tiles):
        sheet.put(*divmod(k, len(sheet.left)), tile, boxes[k] if boxes else None)


def _boxes(windows, t, example):
    """Return the rectangles of one canvas, (K, 4) by name."""
    return {name: boxes[t, example] for name, boxes in windows.items()}
