"""Writing without attention (equation 18): the decoder's h, mapped onto the whole canvas."""


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


def backward(ops, dh, dcanvas, W):
    """dh = W^T dcanvas; the gradient at c_{t-1} by way of the addition is dcanvas itself.

    Parameters
    ----------
    ops : Backend
    dh : array (h, B)
        Set.
    dcanvas : array (D, B)
        Over T steps it gives the gradients at W and b.
    W : array (D, h)
    """
    ops.xp.matmul(W.T, dcanvas, out=dh)
