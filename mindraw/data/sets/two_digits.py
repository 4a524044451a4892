"""Two digits of MNIST at random places on black, added and clipped at 1.

As the paper trains them, on 60 x 60 pixels: every epoch shows fresh pairs at fresh
places, without end. The pairs to test are drawn once.
"""

import numpy as np

from .. import draws
from ..dataset import Dataset, Split
from ..sizes import rows_and_columns
from . import mnist

#: Keeps these draws apart from every other use of the same seed.
STREAM = 0x2D16


class PairSplit(Split):
    """Pairs of the pictures of another split.

    Parameters
    ----------
    digits : Split
        Pictures of mnist.H x mnist.W pixels.
    shape : tuple of int
        (H, W) of the canvas.
    key : tuple of int
        Which digits come where follows from it, the epoch and the index.
    endless : bool
        Whether every epoch is another.
    """

    def __init__(self, digits, shape, key, endless):
        super().__init__(digits.size)
        self.digits = digits
        self.shape = shape
        self.key = key
        self.endless = endless

    def images(self, indices, epoch=0):
        B, (H, W) = len(indices), self.shape
        indices = draws.indices_within(indices, self.size)
        words = draws.words((*self.key, epoch if self.endless else 0), indices, 6)
        which = draws.below(words[:, 0:2], self.digits.size)
        tops = draws.below(words[:, 2:4], H - mnist.H + 1)
        lefts = draws.below(words[:, 4:6], W - mnist.W + 1)
        canvas = np.zeros((B, H, W), np.float32)
        window = (mnist.H, mnist.W)
        places = np.lib.stride_tricks.sliding_window_view(canvas, window, (1, 2), writeable=True)
        rows = np.arange(B)
        for digit in range(2):
            pictures = self.digits.images(which[:, digit], epoch).reshape(B, *window)
            places[rows, tops[:, digit], lefts[:, digit]] += pictures
        np.minimum(canvas, 1, out=canvas)
        return canvas.reshape(B, H * W)


def load(data_dir, binarise, seed, size=60):
    """Pair the digits of MNIST, themselves binarised as asked before they are added."""
    H, W = rows_and_columns(size, mnist.H, "two-digits")
    digits = mnist.load(data_dir, binarise, seed)
    train, test = (
        PairSplit(split, (H, W), (seed, STREAM, part), endless=part == 0)
        for part, split in enumerate((digits.train, digits.test))
    )
    source = (
        f"two-digits: pairs on {H} x {W} pixels, {train.size:,} fresh ones in every epoch, "
        f"{test.size:,} to test, of {digits.source}"
    )
    return Dataset("two-digits", (1, H, W), train, None, test, source)
