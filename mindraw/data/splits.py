"""Pictures held in memory, and their binarisation.

Grey pictures are kept as bytes and binary ones as bits; `images` turns the asked rows
into float32. Binarising means to draw each pixel from a Bernoulli distribution with
its grey value as the mean.
"""

import numpy as np

from .dataset import Split

BINARISE = ("none", "fixed", "stochastic")

#: Keeps these draws apart from every other use of the same seed.
STREAM = 0xB1A5
#: Rows drawn at a time. It is part of what a seed means: another value, other pictures.
CHUNK = 1000


class GreySplit(Split):
    """Grey or colour pictures; `pixels` is a uint8 array (n, D)."""

    def __init__(self, pixels, labels=None):
        super().__init__(len(pixels), labels)
        self.pixels = pixels

    def images(self, indices, epoch=0):
        x = self.pixels[indices].astype(np.float32)
        x /= 255
        return x


class BinarySplit(Split):
    """Pictures of zeros and ones; `bits` is a uint8 array (n, ceil(D/8)), packed."""

    def __init__(self, bits, D, labels=None):
        super().__init__(len(bits), labels)
        self.bits = bits
        self.D = D

    def images(self, indices, epoch=0):
        return np.unpackbits(self.bits[indices], axis=1, count=self.D).astype(np.float32)


class StochasticSplit(Split):
    """Pictures binarised afresh for every epoch; `key` makes the draws its own."""

    def __init__(self, grey, key):
        super().__init__(grey.size, grey.labels)
        self.grey = grey
        self.key = key
        self._latest = None

    def images(self, indices, epoch=0):
        # The last epoch asked for is kept, with its number in the same tuple so that
        # two threads cannot see one without the other.
        latest = self._latest
        if latest is None or latest[0] != epoch:
            latest = (epoch, draw(self.grey, (*self.key, epoch)))
            self._latest = latest
        return latest[1].images(indices)


def draw(grey, key):
    """Binarise all pictures of `grey` once; `key` is a tuple of non-negative ints."""
    n, D = grey.pixels.shape
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))
    bits = np.empty((n, (D + 7) // 8), np.uint8)
    for start in range(0, n, CHUNK):
        pixels = grey.pixels[start : start + CHUNK]
        # u is uniform on 0..254, so u < p with probability p/255 exactly.
        u = rng.integers(255, size=pixels.shape, dtype=np.uint8)
        bits[start : start + CHUNK] = np.packbits(u < pixels, axis=1)
    return BinarySplit(bits, D, grey.labels)


def binarised(grey, binarise, seed, part):
    """Return the pictures of `grey` as the option `binarise` wants them.

    Parameters
    ----------
    grey : GreySplit or None
    binarise : {"none", "fixed", "stochastic"}
    seed : int
    part : {"train", "valid", "test"}
        Only the training part is drawn again every epoch: the others must stay
        comparable from epoch to epoch.
    """
    if grey is None or binarise == "none":
        return grey
    key = (seed, STREAM, ("train", "valid", "test").index(part))
    if binarise == "stochastic" and part == "train":
        return StochasticSplit(grey, key)
    return draw(grey, (*key, 0))
