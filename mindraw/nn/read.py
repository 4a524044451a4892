"""Reading without attention (equation 17): the whole image and the whole error image.

read = [x, x_hat] with x_hat = x - sigmoid(c_{t-1}). Only x_hat changes over time, so only
x_hat is read here; x enters the encoder through the constant part of its gates.
"""


def forward(ops, x_hat, x, canvas):
    """x_hat = x - sigmoid(canvas).

    Parameters
    ----------
    ops : Backend
    x_hat : array (D, B)
        Set.
    x, canvas : array (D, B)
        The image, and c_{t-1}.
    """
    ops.kernels.error_image_forward(x_hat, x, canvas)


def backward(ops, dcanvas_prev, dx_hat, dcanvas, x_hat, x):
    """Undo `forward`, and carry the canvas's own gradient from c_t to c_{t-1}.

    Parameters
    ----------
    ops : Backend
    dcanvas_prev : array (D, B)
        Set to the gradient at c_{t-1}: dcanvas - dx_hat s (1 - s).
    dx_hat : array (D, B)
        Overwritten.
    dcanvas : array (D, B)
        The gradient at c_t, which c_{t-1} reaches by addition.
    x_hat, x : array (D, B)
    """
    ops.kernels.error_image_backward(dcanvas_prev, dx_hat, dcanvas, x_hat, x)
