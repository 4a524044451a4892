"""The Gaussian filterbanks of DRAW's attention (equations 19 to 26), forward and backward.

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
"""

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


def place_forward(ops, mu, a, p, bias, grid):
    """Turn the five attention parameters into the filters' places, width and intensity.

    Parameters
    ----------
    ops : Backend
    mu : array (2, B, N)
        Set to the filters' centres in pixels: [0] along x (the columns), [1] along y (the rows).
    a : array (5, B)
        Set to gx, gy, s2, d, gamma.
    p : array (5, B)
        gx~, gy~, log s2, log d~, log gamma, less the bias. Overwritten.
    bias : array (5, 1)
    grid : Grid
    """
    ops.kernels.place_forward(mu, a, p, bias, grid.centre, grid.stride, grid.offsets)


def place_backward(ops, dp, dmu, dlog_s2, dlog_gamma, a, grid):
    """Undo `place_forward`.

    Parameters
    ----------
    ops : Backend
    dp : array (5, B)
        Set.
    dmu : array (2, B, N)
    dlog_s2 : array (2, B)
        By way of each axis: both share one width.
    dlog_gamma : array (B,)
    a : array (5, B)
    grid : Grid
    """
    ops.kernels.place_backward(dp, dmu, dlog_s2, dlog_gamma, a, grid.centre, grid.offsets)


def forward(ops, F, e, mu, s2, pixels):
    """F[i, a] = softmax over a of e[i, a]: one filter in each row, of one axis or of two alike.

    Parameters
    ----------
    ops : Backend
    F, e : array (axes, B, N, A)
        Set; both are kept for `backward`. Contiguous.
    mu : array (axes, B, N)
        Centres, in pixels.
    s2 : array (B,)
        Variance, in pixels squared.
    pixels : array (A,)
        The pixels' coordinates.
    """
    ops.kernels.filterbank_forward(F, e, mu, s2, pixels)


def backward(ops, dmu, dlog_s2, dF, F, e, s2, pixels):
    """Undo `forward`.

    de = F (dF - sum_a F dF);  dmu = sum_a de a / s2;  dlog s2 = -sum_{i, a} de e.

    Parameters
    ----------
    ops : Backend
    dmu : array (axes, B, N)
        Set.
    dlog_s2 : array (axes, B)
        Set, for each axis alone.
    dF, F : array (axes, B, N, A)
        Overwritten.
    e : array (axes, B, N, A)
    s2 : array (B,)
    pixels : array (A,)
    """
    ops.kernels.filterbank_backward(dmu, dlog_s2, dF, F, e, s2, pixels)
