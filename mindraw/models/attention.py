"""Attention of a model: where it looks at first, and where the arrays of its glimpses lie.

They lie in a process's shard, under the attention's name. Those that the backward pass takes have
the steps that are held in front; the others serve every step.
"""

import math
from typing import NamedTuple

import numpy as np

from ..nn.filterbank import Bank, bank_shapes

#: What the backward pass takes of a bank, of reading and of writing.
READING = ("a", "F", "e", "half")
WRITING = (*READING, "patch")
#: The arrays of a bank, by name.
ARRAYS = tuple(bank_shapes(0, 0, 0, 0, 0))


class Aim(NamedTuple):
    """How a glimpse at the picture's centre looks before anything is learned.

    Parameters
    ----------
    span : float
        (N-1) d, the side of the grid, in parts of the picture's longer side.
    deviation : float
        Of the filters, in pixels.
    gain : float
        gamma, the glimpse's intensity.
    """

    span: float = 1.0
    deviation: float = 1.0
    gain: float = 1.0

    @classmethod
    def broad(cls, N, side):
        """Spread N filters evenly over a picture of `side` pixels, each half a stride wide.

        Neighbours overlap, so that every pixel is seen and has a gradient from the start.
        """
        stride = side / (N + 1)
        span = stride * max(N - 1, 1) / max(side - 1, 1)
        return cls(span, max(stride / 2, 0.5))

    def column(self):
        """Return gx~, gy~, log s2, log d~, log gamma, as numpy.ndarray (5, 1)."""
        logs = [2 * math.log(self.deviation), math.log(self.span), math.log(self.gain)]
        return np.array([[0.0], [0.0], *([each] for each in logs)])


def shapes(name, kept, K, *sizes, **more):
    """Name and size the arrays of one attention.

    Parameters
    ----------
    name : str
        For instance "read".
    kept : tuple of str
        `READING` or `WRITING`.
    K : int
        Steps that are held.
    sizes, more
        As `mindraw.nn.filterbank.bank_shapes` takes them.

    Returns
    -------
    dict of str to tuple of int
    """
    return {
        f"{name}_{key}": (K, *shape) if key in kept else shape
        for key, shape in bank_shapes(*sizes, **more).items()
    }


def bank(shard, name, kept, t, grid):
    """Return the `Bank` of an attention at step t, from a shard's arrays.

    The shard also has the five numbers from which the filters are placed, as p, (5, b).
    """
    arrays = {key: getattr(shard, f"{name}_{key}") for key in ARRAYS}
    arrays |= {key: arrays[key][t] for key in kept}
    return Bank(grid, getattr(shard, f"{name}_p"), arrays)
