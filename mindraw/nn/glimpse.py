"""Attentive reading and writing (equations 19 to 29): a glimpse through a pair of filterbanks.

Five numbers, p + bias, say where to look (`filterbank.py`): they make the filters Fy (N x H) and
Fx (N x W) of each example and the intensity gamma, and then

    reading:  half = Fy image,    patch = half Fx^T,    r = gamma patch
    writing:  patch = w / gamma,  half = patch Fx,      image += Fy^T half

Each pair of products is the transpose of the other, so reading's backward pass writes and writing's
reads. A picture lies as (B, H, C, W), row by row, so that one product filters the rows of all
channels and columns, and one the columns of all rows and channels. That Fy stands next to the image
is faster: its product then has C W columns, and not N.

DRAW reads two pictures through one pair of filterbanks, x and the error image x_hat = x -
sigmoid(c_{t-1}) (equation 3): then what is half filtered of both, and so both patches, lie one
below the other, and share the second product. A classifier reads x alone.

All channels share one filterbank. An image is (B, H*C, W) or, in the same memory, (B, H, C*W); what
is half filtered (B, N, C*W) or (B, N*C, W); and a patch (B, N, C*N) or (B, N*C, N), with 2 N for N
where two pictures are read. So all of them must be contiguous; r and w lie as the rest of the model
has them, and are seen as (B, N, C*N).

Each function here is one kernel: on a CPU a composition of smaller ones, on a GPU one launch.
"""


def read_forward(ops, r, x_hat, bank, bias, grid, x, canvas):
    """r = gamma [Fy x Fx^T; Fy x_hat Fx^T], or the first of the two alone.

    Parameters
    ----------
    ops : Backend
    r : array (B, P*N, C*N)
        Set; P is 2, or 1 without a canvas.
    x_hat : array (B, H*C, W) or None
        Set; None without a canvas.
    bank : mindraw.nn.filterbank.Bank
        bank.p says where to look, and is overwritten; what `read_backward` takes is set.
    bias : array (5, 1)
    grid : mindraw.nn.filterbank.Grid
    x : array (B, H*C, W)
    canvas : array (B, H*C, W) or None
        c_{t-1}.
    """
    ops.kernels.attentive_read_forward(r, x_hat, bank, bias, grid, x, canvas)


def read_backward(ops, dp, dcanvas_prev, work, dr, dcanvas, bank, grid, r, x_hat, x):
    """Undo `read_forward`, and carry the canvas's own gradient from c_t to c_{t-1}.

    Parameters
    ----------
    ops : Backend
    dp : array (5, B)
        Set. `linear.backward` of it flows on to h; over T steps it gives those at W and bias.
    dcanvas_prev : array (B, H*C, W) or None
        Set to the gradient at c_{t-1}; None, like all about the canvas, where x is read alone.
    work : array (B, H*C, W) or None
        Overwritten.
    dr : array (B, P*N, C*N)
    dcanvas : array (B, H*C, W) or None
        The gradient at c_t, which c_{t-1} reaches by addition.
    bank : mindraw.nn.filterbank.Bank
        From `read_forward`. Overwritten, all but a, half and p.
    grid : mindraw.nn.filterbank.Grid
    r, x_hat, x : array
    """
    ops.kernels.attentive_read_backward(
        dp, dcanvas_prev, work, dr, dcanvas, bank, grid, r, x_hat, x
    )


def write_forward(ops, canvas, work, bank, w, bias_w, bias, grid):
    """canvas += 1/gamma Fy^T (w + bias_w) Fx.

    Parameters
    ----------
    ops : Backend
    canvas : array (B, H*C, W)
        On entry c_{t-1}, on return c_t.
    work : array (B, H*C, W)
        Overwritten.
    bank : mindraw.nn.filterbank.Bank
        bank.p says where to write, and is overwritten; what `write_backward` takes is set.
    w : array (B, N, C*N)
    bias_w : array (N*C*N, 1)
    bias : array (5, 1)
    grid : mindraw.nn.filterbank.Grid
    """
    ops.kernels.attentive_write_forward(canvas, work, bank, w, bias_w, bias, grid)


def write_backward(ops, dp, dw, dcanvas, bank, grid):
    """Undo `write_forward`; the gradient at c_{t-1} by way of the addition is dcanvas itself.

    Parameters
    ----------
    ops : Backend
    dp : array (5, B)
        Set; see `read_backward`.
    dw : array (B, N, C*N)
        Set.
    dcanvas : array (B, H*C, W)
        The gradient at c_t.
    bank : mindraw.nn.filterbank.Bank
        From `write_forward`. Overwritten, all but a, half and p.
    grid : mindraw.nn.filterbank.Grid
    """
    ops.kernels.attentive_write_backward(dp, dw, dcanvas, bank, grid)
