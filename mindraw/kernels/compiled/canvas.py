"""The error image, one pass each way."""

from numba import njit

from .elementary import COMPILED, refuse_apart, row, tanh


def error_image_forward(x_hat, x, canvas):
    """The same as `reference.error_image_forward`."""
    arrays = (x_hat, x, canvas)
    refuse_apart(*arrays)
    for image in zip(*arrays, strict=True) if x.ndim == 3 else [arrays]:
        _forward(*image)


def error_image_backward(dcanvas_prev, dx_hat, dcanvas, x_hat, x):
    """The same as `reference.error_image_backward`, but that dx_hat stays as it is."""
    arrays = (dcanvas_prev, dx_hat, dcanvas, x_hat, x)
    refuse_apart(*arrays)
    for image in zip(*arrays, strict=True) if x.ndim == 3 else [arrays]:
        _backward(*image)


@njit(**COMPILED)
def _forward(x_hat, x, canvas):
    half = x.dtype.type(0.5)
    for j in range(len(x)):
        out, picture, logits = row(x_hat, j), row(x, j), row(canvas, j)
        for b in range(out.size):
            out[b] = picture[b] - (tanh(logits[b] * half) * half + half)


@njit(**COMPILED)
def _backward(dcanvas_prev, dx_hat, dcanvas, x_hat, x):
    one = x.dtype.type(1)
    for j in range(len(x)):
        out, flow, beyond = row(dcanvas_prev, j), row(dx_hat, j), row(dcanvas, j)
        error, picture = row(x_hat, j), row(x, j)
        for b in range(out.size):
            s = picture[b] - error[b]
            out[b] = beyond[b] - flow[b] * s * (one - s)
