"""What every data set gives: a `Dataset` of up to three `Split`s."""

from dataclasses import dataclass

import numpy as np

from ..commands import tell


class Split:
    """The pictures of one part of a data set: training, validation or test.

    Subclasses say in `images` where the pictures come from.

    Attributes
    ----------
    size : int
        Number of pictures n, also ``len(split)``.
    labels : uint8 array (n,) or None
    slow : bool
        Whether making a minibatch's pictures takes longer than a step with them may on a GPU.
    """

    slow = False

    def __init__(self, size, labels=None):
        self.size = size
        self.labels = labels

    def __len__(self):
        return self.size

    def images(self, indices, epoch=0):
        """Return pictures: a pure function of the data, the seed and the arguments.

        Parameters
        ----------
        indices : sequence of int (B,)
        epoch : int
            Epochs count from 0; it matters only where pictures are drawn at random.

        Returns
        -------
        float32 array (B, D)
            Rows in the order channel, row, column, with values in [0, 1].
        """
        raise NotImplementedError

    def targets(self, indices, epoch=0):
        """Return the classes of pictures, uint8 array (B,): here their labels."""
        return self.labels[indices]

    def places(self, indices, epoch=0):
        """Return where in its picture lies what the class is of, where that is known.

        Returns
        -------
        float32 array (2, B) or None
            x and y of its centre, in pixels counted from 0 at the centre of the first.
        """
        return None


@dataclass(frozen=True)
class Dataset:
    """A data set ready to train on.

    Attributes
    ----------
    name : str
    shape : tuple of int
        (C, H, W): channels, rows, columns.
    train, test : Split
    valid : Split or None
        None where the data set has no official validation part.
    source : str
        One line that tells where the pictures came from.
    stand_in : bool
        Whether these are other pictures, shown since the data set could not be had;
        figures must say so.
    classes : int
        How many classes the labels tell apart.
    """

    name: str
    shape: tuple[int, int, int]
    train: Split
    valid: Split | None
    test: Split
    source: str
    stand_in: bool = False
    classes: int = 10


def spread(split, n):
    """Return the indices of n pictures, all where there are no more, evenly over a split.

    Data sets may be sorted by class: the first pictures of the binarised MNIST are all zeros.

    Parameters
    ----------
    split : Split
    n : int

    Returns
    -------
    int array (at most n,)
    """
    return np.unique(np.linspace(0, len(split) - 1, min(n, len(split))).astype(int))


def likeness(split, n=16):
    """Return what tells the pictures of a split from those of any other.

    Parameters
    ----------
    split : Split
    n : int
        How many of its pictures to look at.

    Returns
    -------
    list of float (at most n,)
        Their means, to three decimals.
    """
    return [round(float(x.mean()), 3) for x in split.images(spread(split, n), 0)]


def announce(line):
    """Print one line to stderr, if anybody reads it."""
    tell(f"mindraw: {line}")
