"""The error image, one pass each way."""

from numba import njit

from .elementary import COMPILED, refuse_apart, row, tanh


def error_image_forward(x_hat, x, canvas):
    """The same as `reference.error_image_forward`."""
    refuse_apart(x_hat, x, canvas)
    error_image(x_hat, x, canvas)


def error_image_backward(dcanvas_prev, dx_hat, dcanvas, x_hat, x):
    """The same as `reference.error_image_backward`, but that dx_hat stays as it is."""
    refuse_apart(dcanvas_prev, dx_hat, dcanvas, x_hat, x)
    undo_error_image(dcanvas_prev, dx_hat, dcanvas, x_hat, x)


@njit(**COMPILED)
def error_image(x_hat, x, canvas):
    """Set x_hat, in compiled code."""
    half = x.dtype.type(0.5)
    for j in range(len(x)):
        out, picture, logits = row(x_hat, j), row(x, j), row(canvas, j)
        for b in range(out.size):
            out[b] = picture[b] - (tanh(logits[b] * half) * half + half)


@njit(**COMPILED)
def undo_error_image(dcanvas_prev, dx_hat, dcanvas, x_hat, x):
    """Set dcanvas_prev, in compiled code."""
    one = x.dtype.type(1)
    for j in range(len(x)):
        out, flow, beyond = row(dcanvas_prev, j), row(dx_hat, j), row(dcanvas, j)
        error, picture = row(x_hat, j), row(x, j)
        for b in range(out.size):
            s = picture[b] - error[b]
            out[b] = beyond[b] - flow[b] * s * (one - s)
