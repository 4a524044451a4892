"""The intensity of a glimpse and of a stroke."""

import numpy as np


def intensity_forward(r, patch, gamma):
    """r = gamma patch, the intensity of a glimpse (eq. 27).

    Parameters
    ----------
    r : array (B, P*N, C*N)
        Of P pictures; set; usually a transposed view of rows of a tape.
    patch : array (B, P*N, C*N)
    gamma : array (B,)
    """
    np.multiply(patch, gamma[:, None, None], out=r)


def intensity_backward(dpatch, dlog_gamma, dr, r, gamma):
    """Undo `intensity_forward`.

    Parameters
    ----------
    dpatch : array (B, P*N, C*N)
        Set.
    dlog_gamma : array (B,)
        Set to the sum of dr r.
    dr, r : array (B, P*N, C*N)
    gamma : array (B,)
    """
    np.multiply(dr, r, out=dpatch)
    np.einsum("bnk->b", dpatch, out=dlog_gamma)
    np.multiply(dr, gamma[:, None, None], out=dpatch)


def stroke_forward(patch, w, bias, gamma):
    """patch = (w + bias) / gamma: writing divides by the intensity (eq. 29).

    Parameters
    ----------
    patch : array (B, N, C*N)
        Set.
    w : array (B, N, C*N)
        Usually a transposed view of a product's rows.
    bias : array (N*C*N, 1)
    gamma : array (B,)
    """
    np.add(w, bias.reshape(w.shape[1:]), out=patch)
    patch /= gamma[:, None, None]


def stroke_backward(dw, dlog_gamma, dpatch, patch, gamma):
    """Undo `stroke_forward`.

    Parameters
    ----------
    dw : array (B, N, C*N)
        Set.
    dlog_gamma : array (B,)
        Set to minus the sum of dpatch patch.
    dpatch : array (B, N, C*N)
    patch : array (B, N, C*N)
        Overwritten.
    gamma : array (B,)
    """
    patch *= dpatch
    np.einsum("bnk->b", patch, out=dlog_gamma)
    np.negative(dlog_gamma, out=dlog_gamma)
    np.divide(dpatch, gamma[:, None, None], out=dw)
