"""Digits among distractors: the published generator of cluttered MNIST, a minibatch at once.

On black, crops of digits are placed as distractors, then one whole digit or several; all at
uniform places, added, and clipped at 1. Clipping each window as it is added to gives the same
picture as clipping the whole at the end, since nothing is negative.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from . import draws
from .dataset import Split

#: Side of a digit, in pixels, and the number of its classes.
SIDE, CLASSES = 28, 10
#: Kinds of random numbers that one key gives.
PLACES, PARTNERS, SHAPES = range(3)
#: Points on each axis whose displacements bend a digit.
KNOTS = 5
#: Steps from no displacement to the largest, and those of a pixel. Both are so coarse that sums
#: of their products are exact in float32, whichever way a BLAS adds them up.
LEVELS, FINE = 1000, 64
#: Digits that are bent at a time: what is in between stays in the caches.
AT_ONCE = 16


@dataclass(frozen=True)
class Clutter:
    """How a picture is made.

    Parameters
    ----------
    H, W : int
        Rows and columns of the canvas, in pixels.
    digits : int
        Whole digits in a picture.
    distractors : int
        Crops in a picture.
    distractor_size : int
        Side of a crop, in pixels.
    border : int
        Pixels at the canvas's edge that no whole digit touches.
    """

    H: int = 100
    W: int = 100
    digits: int = 1
    distractors: int = 8
    distractor_size: int = 8
    border: int = 0


@dataclass(frozen=True)
class Drawn:
    """What is placed where, in pictures of one minibatch; n of whatever it is in each.

    Parameters
    ----------
    which : int array (B, n)
        Numbers of digits.
    top, left : int array (B, n)
        Places on the canvas, in pixels.
    crop_top, crop_left : int array (B, n)
        Places in the digit of what is cut out.
    """

    which: np.ndarray
    top: np.ndarray
    left: np.ndarray
    crop_top: np.ndarray
    crop_left: np.ndarray


class ClutteredSplit(Split):
    """Cluttered pictures, fresh in every epoch; picture i holds digit i, and others if asked.

    Parameters
    ----------
    pixels : uint8 array (n, SIDE*SIDE)
        The digits.
    labels : uint8 array (n,)
        Their classes.
    source : uint8 array (m, SIDE*SIDE)
        What distractors are cut out of.
    clutter : Clutter
    target : {"combine", "sum"}
        See `targets`.
    key : tuple of int
        What comes where follows from it, the epoch and the index.
    endless : bool
        Whether every epoch is another.
    bend : float
        Whole digits are deformed by up to this much of each displacement in `BASIS`.
    """

    slow = True

    def __init__(self, pixels, labels, source, clutter, target, key, endless, bend=0.0):
        super().__init__(len(pixels))
        self.digits = pixels.reshape(-1, SIDE, SIDE)
        self.classes = labels
        self.source = source.reshape(-1, SIDE, SIDE)
        self.clutter, self.target, self.key, self.endless = clutter, target, key, endless
        self.bend = bend
        self._table = class_table(target, clutter.digits)
        self._partners = None
        self.labels = self.targets(np.arange(self.size), 0)

    def draw(self, indices, epoch):
        """Draw distractors and digits of the pictures: a pure function of the arguments.

        Returns
        -------
        distractors, digits : Drawn
        """
        clutter, epoch = self.clutter, epoch if self.endless else 0
        indices = draws.indices_within(indices, self.size)
        d, n, side = clutter.distractors, clutter.digits, clutter.distractor_size
        words = draws.words((*self.key, PLACES, epoch), indices, 5 * d + 2 * n)
        which, top, left, crop_top, crop_left = (words[:, k * d : (k + 1) * d] for k in range(5))
        distractors = Drawn(
            draws.below(which, len(self.source)),
            draws.below(top, clutter.H - side + 1),
            draws.below(left, clutter.W - side + 1),
            draws.below(crop_top, SIDE - side + 1),
            draws.below(crop_left, SIDE - side + 1),
        )
        top, left = words[:, 5 * d : 5 * d + n], words[:, 5 * d + n :]
        none = np.zeros((len(indices), n), np.int64)
        digits = Drawn(
            self._which(indices, epoch),
            clutter.border + draws.below(top, clutter.H - SIDE - 2 * clutter.border + 1),
            clutter.border + draws.below(left, clutter.W - SIDE - 2 * clutter.border + 1),
            none,
            none,
        )
        return distractors, digits

    def images(self, indices, epoch=0):
        clutter = self.clutter
        distractors, digits = self.draw(indices, epoch)
        canvas = np.zeros((len(indices), clutter.H, clutter.W), np.float32)
        side = clutter.distractor_size
        add(canvas, distractors, cut(self.source, distractors, side))
        whole = grey(self.digits[digits.which])
        if self.bend:
            whole = self._bent(whole, indices, epoch)
        add(canvas, digits, whole)
        return canvas.reshape(len(indices), -1)

    def targets(self, indices, epoch=0):
        """Return the class that is to be found in each picture.

        With the target "combine" every combination of digits is a class, in the order (0, 0),
        (0, 1), ..., (1, 1), ...; with "sum" it is their sum. One digit is its own class.

        Returns
        -------
        uint8 array (B,)
        """
        indices = draws.indices_within(indices, self.size)
        found = self.classes[self._which(indices, epoch if self.endless else 0)]
        if self.target == "sum":
            return found.sum(axis=1).astype(np.uint8)
        codes = np.sort(found.astype(np.int64), axis=1) @ powers(self.clutter.digits)
        return np.searchsorted(self._table, codes).astype(np.uint8)

    def places(self, indices, epoch=0):
        """Return the centres of the digits: see `Split.places`; None where there are several."""
        if self.clutter.digits > 1:
            return None
        _, digits = self.draw(indices, epoch)
        corners = np.concatenate([digits.left.T, digits.top.T])
        return (corners + (SIDE - 1) / 2).astype(np.float32)

    def _which(self, indices, epoch):
        """Return which digits the pictures hold, (B, digits): the first is the picture's own."""
        if self.clutter.digits == 1:
            return indices[:, None]
        latest = self._partners
        if latest is None or latest[0] != epoch:
            rng = np.random.default_rng((*self.key, PARTNERS, epoch))
            more = [rng.permutation(self.size) for _ in range(self.clutter.digits - 1)]
            latest = (epoch, np.stack([np.arange(self.size), *more], axis=1))
            self._partners = latest
        return latest[1][indices]

    def _bent(self, whole, indices, epoch):
        """Deform digits (B, n, SIDE, SIDE), afresh in every epoch."""
        B, n = whole.shape[:2]
        count = n * 2 * (3 + KNOTS**2)
        key = (*self.key, SHAPES, epoch if self.endless else 0)
        words = draws.words(key, np.asarray(indices, np.int64), count)
        moves = draws.below(words, 2 * LEVELS + 1).astype(np.float32) - LEVELS
        moves = moves.reshape(B * n * 2, -1)
        return bent(whole.reshape(B * n, SIDE, SIDE), moves, self.bend).reshape(whole.shape)


def grey(pixels):
    """Turn bytes into float32 in [0, 1]."""
    values = pixels.astype(np.float32)
    values /= 255
    return values


def cut(source, drawn, side):
    """Cut squares out of digits: float32 array (B, n, side, side)."""
    windows = np.lib.stride_tricks.sliding_window_view(source, (side, side), (1, 2))
    return grey(windows[drawn.which, drawn.crop_top, drawn.crop_left])


def add(canvas, drawn, pieces):
    """Add pieces (B, n, h, w) to canvases (B, H, W), in turn, and clip at 1."""
    places = np.lib.stride_tricks.sliding_window_view(
        canvas, pieces.shape[2:], (1, 2), writeable=True
    )
    rows = np.arange(len(canvas))
    for k in range(pieces.shape[1]):
        where = rows, drawn.top[:, k], drawn.left[:, k]
        places[where] = np.minimum(places[where] + pieces[:, k], 1)


def powers(digits):
    """Return what turns sorted classes into a code that sorts as they do."""
    return CLASSES ** np.arange(digits - 1, -1, -1)


def class_table(target, digits):
    """Return the codes of all combinations of digits in ascending order; None for the sum."""
    if target == "sum":
        return None
    combinations = itertools.combinations_with_replacement(range(CLASSES), digits)
    return np.array(list(combinations)) @ powers(digits)


def count_classes(target, digits):
    """Return how many classes `ClutteredSplit.targets` tells apart."""
    if target == "sum":
        return (CLASSES - 1) * digits + 1
    return len(class_table(target, digits))


def _basis():
    """Return displacements at every pixel, (3 + KNOTS**2, SIDE*SIDE), in pixels / FINE.

    The first three are linear in the row and in the column, and constant; the others bumps
    around the knots of a grid.
    """
    axis = np.linspace(-1, 1, SIDE)
    knots = np.linspace(-1, 1, KNOTS)
    bump = np.exp(-(((axis - knots[:, None]) * (KNOTS - 1) / 2) ** 2))
    ones = np.ones(SIDE)
    fields = [np.outer(axis, ones), np.outer(ones, axis), 0.25 * np.outer(ones, ones)]
    fields += [0.35 * np.outer(one, other) for one in bump for other in bump]
    pixels = SIDE / 2 * np.stack(fields).reshape(len(fields), -1)
    return np.rint(FINE * pixels).astype(np.float32)


BASIS = _basis()


def bent(digits, moves, bend):
    """Deform digits by smooth displacements, reading between pixels bilinearly.

    Parameters
    ----------
    digits : float32 array (n, SIDE, SIDE)
    moves : float32 array (2n, 3 + KNOTS**2)
        How much of each displacement of `BASIS` each digit gets, in whole numbers from
        -LEVELS to LEVELS: a row along the rows, and a row along the columns.
    bend : float
        What LEVELS stands for, in parts of the displacement.

    Returns
    -------
    float32 array (n, SIDE, SIDE)
    """
    out = np.empty_like(digits)
    for start in range(0, len(digits), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        _bend(out[some], digits[some], moves[2 * start : 2 * (start + AT_ONCE)], bend)
    return out


def _bend(out, digits, moves, bend):
    n, width = len(digits), SIDE + 3
    at = (moves @ BASIS).reshape(n, 2, SIDE, SIDE)
    at *= np.float32(bend / (LEVELS * FINE))
    axis = np.arange(1, SIDE + 1, dtype=np.float32)  # one black pixel frames a digit
    at[:, 0] += axis[:, None]
    at[:, 1] += axis
    np.clip(at, 0, np.float32(SIDE + 1), out=at)
    corner = np.floor(at)
    at -= corner
    down, right = at[:, 0], at[:, 1]
    # in float32, which is exact here and has half the bytes, up to what `take` asks for
    index = corner[:, 0] * np.float32(width)
    index += corner[:, 1]
    index += (np.arange(n, dtype=np.float32) * width**2)[:, None, None]
    index = index.astype(np.intp)
    framed = np.zeros((n, width, width), np.float32)
    framed[:, 1 : SIDE + 1, 1 : SIDE + 1] = digits
    flat = framed.reshape(-1)

    def across(below):
        """Read between a pixel, or the one below it, and its right neighbour."""
        left, mixed = (flat[below * width + side :].take(index) for side in (0, 1))
        mixed -= left
        mixed *= right
        mixed += left
        return mixed

    above = across(0)
    np.subtract(across(1), above, out=out)
    out *= down
    out += above
