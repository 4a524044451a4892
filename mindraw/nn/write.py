"""Writing without attention (equation 18): the decoder's h, mapped onto the whole canvas.

The gradient at c_{t-1}, by way of the addition, is that at c_t; with `linear.backward` it gives
that at h, and over T steps those at W and b.
"""


def forward(ops, canvas, work, h, W, b):
    """canvas += W h + b.

    Parameters
    ----------
    ops : Backend
    canvas : array (D, B)
        On entry c_{t-1}, on return c_t.
    work : array (D, B)
        Overwritten.
    h : array (h, B)
    W : array (D, h)
    b : array (D, 1)
    """
    ops.xp.matmul(W, h, out=work)
    ops.kernels.add_with_bias(canvas, work, b)
