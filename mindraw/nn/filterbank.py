"""The Gaussian filterbanks of DRAW's attention (equations 19 to 26).

Five numbers place an N x N grid of Gaussian filters on an image of H rows and W columns.
Pixels and filters count from 0; the paper counts pixels from 1, hence the -1:

    gx = (W+1)/2 (gx~ + 1) - 1,  gy = (H+1)/2 (gy~ + 1) - 1        the centre
    d = (max(H, W) - 1)/(N - 1) exp(log d~)                        the stride, in pixels
    mu_i = g + (i - (N-1)/2) d                                     the centre of filter i
    F[i, a] = exp(-(a - mu_i)^2 / (2 s2)) / (the sum of this over the pixels a)

With N = 1 the stride moves nothing: the only filter stands at g.

Every row of F sums to 1, wherever its filter stands: off the image it reads the pixel
nearest to it, at the edge. (The other choice, an epsilon in the sum, makes such a row 0
and its gradient with it, so that attention which has left the image never comes back.)
F is a softmax whose exponents are differences from the pixel a* nearest to mu,

    e_a = -((a - mu)^2 - (a* - mu)^2) / (2 s2) = (a* - a)(a + a* - 2 mu) / (2 s2) <= 0,

so nothing overflows, no row is 0/0, and no large squares are subtracted.

The functions are kernels (`kernels/reference/filterbank.py`), which reading
and writing begin with (`glimpse.py`). Here stands what they work on.
"""

from types import SimpleNamespace

import numpy as np


class Grid:
    """The constants of the filterbanks of one image size and one N.

    Parameters
    ----------
    ops : Backend
    H, W : int
        Rows and columns of the image, in pixels.
    N : int
        Side of the glimpse: filters per axis.

    Attributes
    ----------
    centre : array (2, 1)
        (W+1)/2 and (H+1)/2.
    stride : float
        (max(H, W) - 1)/(N - 1), in pixels; with N = 1 max(H, W) - 1, which moves nothing.
    offsets : array (N,)
        i - (N-1)/2.
    rows, columns : array (H,), (W,)
        The pixels' coordinates.
    """

    def __init__(self, ops, H, W, N):
        self.N = N
        self.centre = ops.asarray(np.array([[(W + 1) / 2], [(H + 1) / 2]]))
        self.stride = (max(H, W) - 1) / max(N - 1, 1)
        self.offsets = ops.asarray(np.arange(N) - (N - 1) / 2)
        self.rows = ops.asarray(np.arange(H))
        self.columns = ops.asarray(np.arange(W))


def bank_shapes(b, H, W, C, N, pictures=1):
    """Name and size the arrays of one glimpse of b examples, as `Bank` takes them.

    Parameters
    ----------
    b, H, W, C, N : int
        Examples, rows, columns and channels of the picture, side of the glimpse.
    pictures : int
        P, how many are seen through the same filters.

    Returns
    -------
    dict of str to tuple of int
    """
    both, rows = b * N * (W + H), pictures * N
    return {
        "a": (5, b),
        "mu": (2, b, N),
        "F": (both,),
        "e": (both,),
        "half": (b, rows, C * W),
        "patch": (b, rows, C * N),
        "dF": (both,),
        "dmu": (2, b, N),
        "dlog_s2": (2, b),
        "dlog_gamma": (b,),
        "dhalf": (b, rows, C * W),
        "dpatch": (b, rows, C * N),
    }


class Bank:
    """A pair of filterbanks, with all that reading or writing through it needs.

    Parameters
    ----------
    grid : Grid
    p : array (5, B)
        Where gx~, gy~, log s2, log d~, log gamma come in, less the bias.
    arrays : dict of str to array
        As `bank_shapes` names them, each contiguous but `a`. What is called d... and, of reading,
        `patch` serves one call; the backward pass takes the others as the forward pass left them.

    Attributes
    ----------
    p, half, dhalf, patch, dpatch : array
    a : array (5, B)
        gx, gy, s2, d, gamma; and `s2`, `gamma` alone, (B,).
    mu, dmu : array (2, B, N)
        The filters' centres in pixels, [0] along x (the columns), [1] along y (the rows).
    Fx, ex, dFx : array (B, N, W)
        The filters along x, the exponents they come from, the gradient at the filters.
    Fy, ey, dFy : array (B, N, H)
    axes : list of types.SimpleNamespace
        The same by axis, as F, e, dF, mu, dmu, dlog_s2 with one axis in front, and the coordinates
        of its pixels. Of a square picture both axes are one, with 2 in front: as if there were
        twice as many examples.
    """

    def __init__(self, grid, p, arrays):
        self.__dict__.update(arrays)
        self.p, self.s2, self.gamma = p, self.a[2], self.a[4]
        (_, B, N), (H,), (W,) = self.mu.shape, grid.rows.shape, grid.columns.shape
        for name in ("F", "e", "dF"):
            filters, along_x = getattr(self, name), B * N * W
            setattr(self, f"{name}x", filters[:along_x].reshape(B, N, W))
            setattr(self, f"{name}y", filters[along_x:].reshape(B, N, H))

        def axis(which, pixels, F, e, dF):
            mu, dmu, dlog_s2 = (array[which] for array in (self.mu, self.dmu, self.dlog_s2))
            own = {"mu": mu, "dmu": dmu, "dlog_s2": dlog_s2}
            return SimpleNamespace(F=F, e=e, dF=dF, pixels=pixels, **own)

        if H == W:
            filters = (getattr(self, name).reshape(2, B, N, W) for name in ("F", "e", "dF"))
            self.axes = [axis(slice(0, 2), grid.columns, *filters)]
        else:
            self.axes = [
                axis(slice(0, 1), grid.columns, self.Fx[None], self.ex[None], self.dFx[None]),
                axis(slice(1, 2), grid.rows, self.Fy[None], self.ey[None], self.dFy[None]),
            ]
