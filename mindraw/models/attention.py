"""Attention of a model: where a state wants to look, and what it then sees of a picture.

The arrays of an attention lie in a process's shard, under the attention's name. Those with a
leading T are kept for the backward pass, for all steps that are held; the others serve every step.
"""

import math
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from ..nn import filterbank

#: What there is of each axis.
AXIS = ("F", "e", "dF", "mu", "dmu", "dlog_s2")


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


def shapes(name, T, b, H, W, C, N, pictures=1):
    """Name and size the arrays of one attention for b examples.

    Parameters
    ----------
    name : str
        For instance "read".
    T, b, H, W, C, N : int
        Steps, examples, rows, columns and channels of the picture, side of the glimpse.
    pictures : int
        How many are seen through the same filters.

    Returns
    -------
    dict of str to tuple of int
    """
    both = b * N * (W + H)  # the filters along x, then those along y
    return {
        f"{name}_a": (T, 5, b),
        f"{name}_mu": (T, 2, b, N),
        f"{name}_F": (T, both),
        f"{name}_e": (T, both),
        f"{name}_dF": (both,),
        f"{name}_dmu": (2, b, N),
        f"{name}_dlog_s2": (2, b),
        f"{name}_dhalf": (b, pictures * N, C * W),
        f"{name}_dpatch": (b, pictures * N, C * N),
    }


def views(shard, name, t, grid):
    """Name the arrays of an attention at step t.

    The shard also has the five numbers from which the filters are placed, as p, (5, b).
    The filters of both axes are built in one call where the picture is square: `axes` lists one
    array of both or two of one.
    """
    a, mu, F, e = (getattr(shard, f"{name}_{key}")[t] for key in ("a", "mu", "F", "e"))
    p, dF, dmu, dlog_s2, dhalf, dpatch = (
        getattr(shard, f"{name}_{key}") for key in ("p", "dF", "dmu", "dlog_s2", "dhalf", "dpatch")
    )
    (_, b, N), (H,), (W,) = mu.shape, grid.rows.shape, grid.columns.shape

    def by_axis(filters):
        x, y = filters[: b * N * W], filters[b * N * W :]
        return x.reshape(b, N, W), y.reshape(b, N, H)

    def axis(pixels, *arrays):
        return SimpleNamespace(**dict(zip(AXIS, arrays, strict=True)), pixels=pixels)

    (Fx, Fy), (ex, ey), (dFx, dFy) = map(by_axis, (F, e, dF))
    if H == W:
        filters = (array.reshape(2, b, N, W) for array in (F, e, dF))
        axes = [axis(grid.columns, *filters, mu, dmu, dlog_s2)]
    else:
        axes = [
            axis(grid.columns, Fx[None], ex[None], dFx[None], mu[:1], dmu[:1], dlog_s2[:1]),
            axis(grid.rows, Fy[None], ey[None], dFy[None], mu[1:], dmu[1:], dlog_s2[1:]),
        ]
    return SimpleNamespace(
        p=p, a=a, mu=mu, s2=a[2], gamma=a[4], Fx=Fx, Fy=Fy, dFx=dFx, dFy=dFy,
        dmu=dmu, dhalf=dhalf, dpatch=dpatch, dlog_s2=dlog_s2, axes=axes,
    )  # fmt: skip


def place(ops, bank, bias, grid):
    """Place the filters as bank.p and a bias say, and build both filterbanks.

    Parameters
    ----------
    ops : Backend
    bank : types.SimpleNamespace
        From `views`; set. bank.p, (5, b), holds gx~, gy~, log s2, log d~, log gamma, less the bias,
        and is overwritten.
    bias : array (5, 1)
    grid : mindraw.nn.filterbank.Grid
    """
    filterbank.place_forward(ops, bank.mu, bank.a, bank.p, bias, grid)
    for axis in bank.axes:
        filterbank.forward(ops, axis.F, axis.e, axis.mu, bank.s2, axis.pixels)


def place_backward(ops, dp, bank, dlog_gamma, grid):
    """Undo `place`: from the gradients at the filterbanks to that at p.

    Parameters
    ----------
    ops : Backend
    dp : array (5, b)
        Set. `linear.backward` of it flows on to h; over T steps it gives those at W and bias.
    bank : types.SimpleNamespace
        With dFy and dFx, which are overwritten as Fy and Fx are.
    dlog_gamma : array (b,)
        What the intensity gave.
    grid : mindraw.nn.filterbank.Grid
    """
    for axis in bank.axes:
        filterbank.backward(
            ops, axis.dmu, axis.dlog_s2, axis.dF, axis.F, axis.e, bank.s2, axis.pixels
        )
    filterbank.place_backward(ops, dp, bank.dmu, bank.dlog_s2, dlog_gamma, bank.a, grid)
