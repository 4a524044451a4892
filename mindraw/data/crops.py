"""Crops of stored pictures: at the centre, or at places drawn afresh for every epoch."""

import numpy as np

from . import draws
from .dataset import Split


class CropSplit(Split):
    """Square crops of pictures that lie in one array or several, which may be on disk.

    Parameters
    ----------
    parts : list of (uint8 array (m, C, H, W), int array (k,))
        Stored pictures, and which of them are shown.
    side : int
        Rows and columns of a crop, in pixels.
    key : tuple of int or None
        Where the crops lie follows from it, the epoch and the index; None for the
        centre.
    """

    def __init__(self, parts, side, key=None):
        super().__init__(sum(len(rows) for _, rows in parts))
        self.arrays = [pictures for pictures, _ in parts]
        self.part = np.repeat(np.arange(len(parts)), [len(rows) for _, rows in parts])
        self.row = np.concatenate([rows for _, rows in parts])
        self.side = side
        self.key = key

    def images(self, indices, epoch=0):
        B, side = len(indices), self.side
        indices = draws.indices_within(indices, self.size)
        C, H, W = self.arrays[0].shape[1:]
        x = np.empty((B, C, side, side), np.float32)
        tops, lefts = self._places(indices, epoch, H - side, W - side)
        places = zip(self.part[indices], self.row[indices], tops, lefts, strict=True)
        for crop, (part, row, top, left) in zip(x, places, strict=True):
            crop[...] = self.arrays[part][row, :, top : top + side, left : left + side]
        x /= 255
        return x.reshape(B, C * side * side)

    def _places(self, indices, epoch, down, right):
        if self.key is None:
            return np.full(len(indices), down // 2), np.full(len(indices), right // 2)
        words = draws.words((*self.key, epoch), indices, 2)
        return draws.below(words[:, 0], down + 1), draws.below(words[:, 1], right + 1)
