"""The canvas as a picture, the error image, and a stroke that covers all of it."""

import numpy as np


def sigmoid(y, x):
    """y = 1 / (1 + exp(-x)), as tanh(x/2)/2 + 1/2: no overflow, and one tanh is cheap.

    Parameters
    ----------
    y, x : array (rows, B)
        May be the same array.
    """
    np.multiply(x, 0.5, out=y)
    np.tanh(y, out=y)
    y *= 0.5
    y += 0.5


def error_image_forward(x_hat, x, canvas):
    """x_hat = x - sigmoid(canvas) (eq. 3).

    Parameters
    ----------
    x_hat : array (D, B)
        Set.
    x, canvas : array (D, B)
    """
    work = canvas * -0.5
    np.tanh(work, out=work)
    work *= 0.5
    work -= 0.5
    np.add(work, x, out=x_hat)  # the only pass over x_hat: its rows may lie far apart


def error_image_backward(dcanvas_prev, dx_hat, dcanvas, x_hat, x):
    """Undo `error_image_forward`: the canvas was also carried to the next step.

    Parameters
    ----------
    dcanvas_prev : array (D, B)
        Set to dcanvas - dx_hat s (1 - s), with s = sigmoid(canvas) = x - x_hat.
    dx_hat : array (D, B)
        Overwritten.
    dcanvas : array (D, B)
        The gradient at the canvas of the next step.
    x_hat, x : array (D, B)
    """
    s = x - x_hat
    dx_hat *= s
    np.subtract(1, s, out=s)
    dx_hat *= s
    np.subtract(dcanvas, dx_hat, out=dcanvas_prev)


def add_with_bias(y, x, b):
    """y += x + b: a stroke that covers the whole canvas, and its bias.

    Parameters
    ----------
    y : array (n, B)
        Added to.
    x : array (n, B)
        Overwritten.
    b : array (n, 1)
    """
    x += b
    y += x
