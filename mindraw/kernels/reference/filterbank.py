"""Where a glimpse's filters stand, and the filters."""

import numpy as np

#: The variance of filters, in pixels squared, that see one pixel, or two that are as near.
NARROW = 1e-6


def place_forward(mu, a, p, bias, centre, stride, offsets):
    """The filters' places, width and intensity from the attention parameters (eqs. 19 to 24).

    Parameters
    ----------
    mu : array (2, B, N)
        Set to the filters' centres, [0] along x (the columns), [1] along y (the rows).
    a : array (5, B)
        Set to gx, gy, s2, d, gamma.
    p : array (5, B)
        gx~, gy~, log s2, log d~, log gamma, less the bias. Overwritten.
    bias : array (5, 1)
    centre : array (2, 1)
        (W+1)/2 and (H+1)/2.
    stride : float
        (max(H, W) - 1)/(N - 1).
    offsets : array (N,)
        i - (N-1)/2.
    """
    p += bias
    g, d = a[:2], a[3]
    np.exp(p[2:], out=a[2:])
    d *= stride
    np.add(p[:2], 1, out=g)
    g *= centre
    g -= 1
    np.multiply(d[:, None], offsets, out=mu[0])
    np.copyto(mu[1], mu[0])
    mu += g[:, :, None]


def place_backward(dp, dmu, dlog_s2, dlog_gamma, a, centre, offsets):
    """Undo `place_forward`.

    Parameters
    ----------
    dp : array (5, B)
        Set.
    dmu : array (2, B, N)
    dlog_s2 : array (2, B)
        By way of each axis.
    dlog_gamma : array (B,)
    a : array (5, B)
        gx, gy, s2, d, gamma.
    centre : array (2, 1)
    offsets : array (N,)
    """
    np.einsum("kbn->kb", dmu, out=dp[:2])
    dp[:2] *= centre
    np.add(dlog_s2[0], dlog_s2[1], out=dp[2])
    np.einsum("kbn,n->b", dmu, offsets, out=dp[3])
    dp[3] *= a[3]
    np.copyto(dp[4], dlog_gamma)


def _lines(y, level, slope, axis):
    """y[..., a] = level + slope a, as a product: broadcast, short rows take twice as long."""
    both = np.empty((*y.shape[:-1], 2), y.dtype)
    both[..., 0], both[..., 1] = level, slope
    np.matmul(both.reshape(-1, 2), axis, out=y.reshape(-1, y.shape[-1]))


def filterbank_forward(F, e, mu, s2, pixels):
    """F[i, a] = exp(e)/sum_a exp(e), e = (a* - a)(a + a* - 2 mu)/(2 s2) (eqs. 25 and 26).

    Parameters
    ----------
    F, e : array (axes, B, N, A)
        Set. Contiguous.
    mu : array (axes, B, N)
    s2 : array (B,)
    pixels : array (A,)
    """
    if not F.size:
        return
    nearest = np.clip(np.rint(mu.real), 0, pixels.size - 1)
    axis = np.stack([np.ones_like(pixels), pixels])
    _lines(e, nearest, -1, axis)
    _lines(F, nearest - 2 * mu, 1, axis)
    e *= F
    e *= (0.5 / s2)[:, None, None]  # in the end: what is near must not be rounded with what is far
    # no weight so small that it, or a product of two, is subnormal: Intel's processors take a
    # hundred cycles for each of those
    least = 0.45 * np.log(np.finfo(e.dtype).tiny)
    np.maximum(e, least, out=F)
    np.exp(F, out=F)
    if s2.real.min() < NARROW:  # such a weight times so steep an exponent would count
        F[e.real < least] = 0
        np.maximum(e, -1e30, out=e)
    F *= (1 / np.einsum("xbna->xbn", F))[..., None]  # a third of the time of a sum over axis 3


def filterbank_backward(dmu, dlog_s2, dF, F, e, s2, pixels):
    """Undo `filterbank_forward`.

    Parameters
    ----------
    dmu : array (axes, B, N)
        Set.
    dlog_s2 : array (axes, B)
        Set.
    dF, F : array (axes, B, N, A)
        Overwritten.
    e : array (axes, B, N, A)
    s2 : array (B,)
    pixels : array (A,)
    """
    dF *= F
    F *= np.einsum("xbna->xbn", dF)[..., None]
    dF -= F  # the gradient at e
    np.matmul(dF, pixels, out=dmu)
    dmu /= s2[:, None]
    np.einsum("xbna,xbna->xb", dF, e, out=dlog_s2)
    np.negative(dlog_s2, out=dlog_s2)
