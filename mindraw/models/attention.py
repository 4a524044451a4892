"""Attention of a model: where a state wants to look, and what it then sees of a picture.

The arrays of an attention lie in a process's shard, under the attention's name. Those with a
leading T are kept for the backward pass; the others serve every step.
"""

import math
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from ..nn import filterbank, linear

#: What is kept of each step, and what all steps share.
KEPT = ("a", "mu", "Fy", "ey", "Fx", "ex")
SHARED = ("p", "dmu", "dFy", "dFx", "dhalf", "dpatch")


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


def shapes(name, T, b, H, W, C, N):
    """Name and size the arrays of one attention for b examples.

    Parameters
    ----------
    name : str
        For instance "read".
    T, b, H, W, C, N : int
        Steps, examples, rows, columns and channels of the picture, side of the glimpse.

    Returns
    -------
    dict of str to tuple of int
    """
    return {
        f"{name}_p": (5, b),
        f"{name}_a": (T, 5, b),
        f"{name}_mu": (T, 2, b, N),
        f"{name}_Fy": (T, b, N, H),
        f"{name}_ey": (T, b, N, H),
        f"{name}_Fx": (T, b, N, W),
        f"{name}_ex": (T, b, N, W),
        f"{name}_dmu": (2, b, N),
        f"{name}_dFy": (b, N, H),
        f"{name}_dFx": (b, N, W),
        f"{name}_dhalf": (b, H * C, N),
        f"{name}_dpatch": (b, N, C * N),
    }


def views(shard, name, t):
    """Name the arrays of an attention at step t."""
    kept = {key: getattr(shard, f"{name}_{key}")[t] for key in KEPT}
    shared = {key: getattr(shard, f"{name}_{key}") for key in SHARED}
    return SimpleNamespace(s2=kept["a"][2], gamma=kept["a"][4], **kept, **shared)


def forward(ops, bank, h, W, bias, grid):
    """Place the filters as h says, and build both filterbanks.

    Parameters
    ----------
    ops : Backend
    bank : types.SimpleNamespace
        From `views`; set.
    h : array (h, b)
    W : array (5, h)
        To gx~, gy~, log s2, log d~, log gamma.
    bias : array (5, 1)
    grid : mindraw.nn.filterbank.Grid
    """
    linear.forward(ops, bank.p, h, W)
    place(ops, bank, bias, grid)


def place(ops, bank, bias, grid):
    """Build both filterbanks from bank.p, which is overwritten, and the bias."""
    filterbank.place_forward(ops, bank.mu, bank.a, bank.p, bias, grid)
    filterbank.forward(ops, bank.Fy, bank.ey, bank.mu[1], bank.s2, grid.rows)
    filterbank.forward(ops, bank.Fx, bank.ex, bank.mu[0], bank.s2, grid.columns)


def place_backward(ops, dp, bank, dlog_s2, dlog_gamma, grid):
    """Undo `place`: from the gradients at the filterbanks to that at p.

    Parameters
    ----------
    ops : Backend
    dp : array (5, b)
        Set. `linear.backward` of it flows on to h; over T steps it gives those at W and bias.
    bank : types.SimpleNamespace
        With dFy and dFx, which are overwritten as Fy and Fx are.
    dlog_s2, dlog_gamma : array (b,)
        What the intensity, and nothing else, gave. The first is overwritten.
    grid : mindraw.nn.filterbank.Grid
    """
    filterbank.backward(ops, bank.dmu[1], dlog_s2, bank.dFy, bank.Fy, bank.ey, bank.s2, grid.rows)
    filterbank.backward(
        ops, bank.dmu[0], dlog_s2, bank.dFx, bank.Fx, bank.ex, bank.s2, grid.columns
    )
    filterbank.place_backward(ops, dp, bank.dmu, dlog_s2, dlog_gamma, bank.a, grid)
