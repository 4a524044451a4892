"""Pictures through a pair of filterbanks."""

import numpy as np


def _channels(image, Fy):
    """Return C, from an image (B, H*C, W) and filters (B, N, H)."""
    return image.shape[1] // Fy.shape[2]


def _beside(array, C):
    """See (B, n*C, m) as (B, n, C*m): the channels of a row side by side."""
    B, rows, m = array.shape
    return array.reshape(B, rows // C, C * m)


def _below(array, C):
    """See (B, n, C*m) as (B, n*C, m): the channels of a row one below the other."""
    B, n, columns = array.shape
    return array.reshape(B, n * C, columns // C)


def read_forward(patch, half, x, x_hat, Fy, Fx):
    """half = [Fy x; Fy x_hat], patch = half Fx^T: what a pair of filterbanks sees (eq. 27).

    Parameters
    ----------
    patch : array (B, P*N, C*N)
        Set to the patch of x above that of x_hat: P = 2; or to that of x alone, P = 1.
    half : array (B, P*N, C*W)
        Set.
    x : array (B, H*C, W)
    x_hat : array (B, H*C, W) or None
    Fy : array (B, N, H)
    Fx : array (B, N, W)
    """
    C, N = _channels(x, Fy), Fy.shape[1]
    np.matmul(Fy, _beside(x, C), out=half[:, :N])
    if x_hat is not None:
        np.matmul(Fy, _beside(x_hat, C), out=half[:, N:])
    np.matmul(_below(half, C), Fx.swapaxes(1, 2), out=_below(patch, C))


def read_backward(dx_hat, dFy, dFx, dhalf, dpatch, half, x, x_hat, Fy, Fx):
    """Undo `read_forward`; x is given and has no gradient.

    Parameters
    ----------
    dx_hat : array (B, H*C, W) or None
        Set.
    dFy, dFx : array (B, N, H), (B, N, W)
        Set.
    dhalf : array (B, P*N, C*W)
        Overwritten.
    dpatch : array (B, P*N, C*N)
    half, x, x_hat, Fy, Fx : array
    """
    C, N = _channels(x, Fy), Fy.shape[1]
    drows = _below(dpatch, C)
    np.matmul(drows.swapaxes(1, 2), _below(half, C), out=dFx)
    np.matmul(drows, Fx, out=_below(dhalf, C))
    np.matmul(dhalf[:, :N], _beside(x, C).swapaxes(1, 2), out=dFy)
    if x_hat is not None:
        dFy += np.matmul(dhalf[:, N:], _beside(x_hat, C).swapaxes(1, 2))
        np.matmul(Fy.swapaxes(1, 2), dhalf[:, N:], out=_beside(dx_hat, C))


def write_forward(image, work, half, patch, Fy, Fx):
    """half = patch Fx, image += Fy^T half: a stroke, spread by its filterbanks (eq. 29).

    Parameters
    ----------
    image : array (B, H*C, W)
        Added to.
    work : array (B, H*C, W)
        Overwritten.
    half : array (B, N, C*W)
        Set.
    patch : array (B, N, C*N)
    Fy : array (B, N, H)
    Fx : array (B, N, W)
    """
    C = _channels(image, Fy)
    np.matmul(_below(patch, C), Fx, out=_below(half, C))
    np.matmul(Fy.swapaxes(1, 2), half, out=_beside(work, C))
    image += work


def write_backward(dpatch, dFy, dFx, dhalf, dimage, half, patch, Fy, Fx):
    """Undo `write_forward`.

    Parameters
    ----------
    dpatch : array (B, N, C*N)
        Set.
    dFy, dFx : array (B, N, H), (B, N, W)
        Set.
    dhalf : array (B, N, C*W)
        Overwritten.
    dimage : array (B, H*C, W)
    half, patch, Fy, Fx : array
    """
    C = _channels(dimage, Fy)
    np.matmul(half, _beside(dimage, C).swapaxes(1, 2), out=dFy)
    np.matmul(Fy, _beside(dimage, C), out=dhalf)
    np.matmul(_below(patch, C).swapaxes(1, 2), _below(dhalf, C), out=dFx)
    np.matmul(_below(dhalf, C), Fx.swapaxes(1, 2), out=_below(dpatch, C))
