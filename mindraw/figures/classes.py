"""What a classifier gets right and wrong."""

import math

import numpy as np

from ..errors import MindrawError
from . import checks, output
from .curves import SPLITS
from .sheet import Sheet

#: More classes than this, and the confusion matrix bears no numbers.
NUMBERED = 20
#: Side of the confusion matrix, in pixels of the page.
SIDE = 900


def confusion(path, truth, guess, classes, title=None):
    """Draw how often each class was taken for which.

    Each row is shaded by the share of its class: what is right in blue, what is wrong in
    orange, the darkest orange being the largest share that is wrong.

    Parameters
    ----------
    path : str or pathlib.Path
        The PNG to write.
    truth, guess : int array (n,)
        Classes from 0.
    classes : int
        K.
    title : str, optional

    Returns
    -------
    pathlib.Path

    Raises
    ------
    MindrawError
        If the arrays are no such classes, or the file cannot be written.
    """
    path = output.check_path(path, ".png")
    truth, guess = _classes("truth", truth, classes), _classes("guess", guess, classes)
    if len(truth) != len(guess) or not len(truth):
        raise MindrawError(
            f"truth has {len(truth)} classes and guess {len(guess)}: give one of each for "
            "each picture"
        )
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (truth, guess), 1)
    pixels = output.pixels
    with output.plain_style():
        head = 70 if title else 20
        figure = output.new_figure(SIDE + 190, SIDE + 110 + head)
        width, height = SIDE + 190, SIDE + 110 + head
        axes = figure.add_axes((100 / width, 90 / height, SIDE / width, SIDE / height))
        if title:
            figure.text(
                14 / width, 1 - 14 / height, title, va="top", fontweight="bold",
                fontsize=pixels(26),
            )  # fmt: skip
        axes.imshow(_shades(counts))
        if classes <= NUMBERED:
            size = min(24, 0.5 * SIDE / classes)
            for (row, column), count in np.ndenumerate(counts):
                if count:
                    axes.text(
                        column, row, f"{count:,}", ha="center", va="center",
                        fontsize=pixels(size), fontweight="bold" if row == column else "normal",
                    )  # fmt: skip
        ticks = range(0, classes, 1 if classes <= NUMBERED else 5)
        axes.set(xticks=ticks, yticks=ticks)
        axes.tick_params(labelsize=pixels(22), labelcolor=output.FAINT, length=0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("taken for", fontsize=pixels(24))
        axes.set_ylabel("is", fontsize=pixels(24))
        return output.save_png(path, output.rasterise(figure))


def mistakes(path, x, truth, guess, title=None):
    """Draw pictures, and below each what it is and what it was taken for.

    Parameters
    ----------
    path : str or pathlib.Path
        The PNG to write.
    x : array (n, C, H, W)
        Pictures in [0, 1]; C is 1 or 3.
    truth, guess : int array (n,)
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
    tiles = checks.grey_values("x", x, "n, C, H, W")
    n, _, H, W = tiles.shape
    if not n == len(truth) == len(guess):
        raise MindrawError(
            f"there are {n} pictures, {len(truth)} truths and {len(guess)} guesses: give one of "
            "each for each picture"
        )
    columns = min(n, math.ceil(math.sqrt(1.5 * n * H / W)))
    notes = {
        divmod(k, columns): f"{is_} → {taken}"
        for k, (is_, taken) in enumerate(zip(truth, guess, strict=True))
    }
    with output.plain_style():
        sheet = Sheet(
            math.ceil(n / columns), columns, (H, W), title, width=1800, text=26, notes=notes
        )
        for k, tile in enumerate(tiles):
            sheet.put(*divmod(k, columns), tile)
        return output.save_png(path, sheet.draw())


def _classes(name, given, classes):
    given = np.asarray(given)
    whole = given.ndim == 1 and given.dtype.kind in "iu"
    if not whole or (len(given) and not 0 <= given.min() <= given.max() < classes):
        raise MindrawError(f"{name} must hold whole numbers of 0 to {classes - 1}, in one row")
    return given


def _shades(counts):
    """Return the cells' colours, (K, K, 3) in [0, 1]."""
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    right = np.eye(len(counts), dtype=bool)
    largest = max(share[~right].max(initial=0), 1e-9)
    strength = np.where(right, 0.45 * share, 0.9 * share / largest)[:, :, None]
    blue, orange = (
        np.array([int(SPLITS[name][k : k + 2], 16) / 255 for k in (1, 3, 5)])
        for name in ("train", "test")
    )
    return 1 - strength * (1 - np.where(right[:, :, None], blue, orange))
