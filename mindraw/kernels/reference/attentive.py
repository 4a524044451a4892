"""All of attentive reading and writing: filters, products, intensity, and the error image."""

from .canvas import error_image_backward, error_image_forward
from .filterbank import filterbank_backward, filterbank_forward, place_backward, place_forward
from .glimpse import intensity_backward, intensity_forward, stroke_backward, stroke_forward
from .products import read_backward, read_forward, write_backward, write_forward


def _place(bank, bias, grid):
    """Place the filters of a bank as bank.p and a bias say, and build them."""
    place_forward(bank.mu, bank.a, bank.p, bias, grid.centre, grid.stride, grid.offsets)
    for axis in bank.axes:
        filterbank_forward(axis.F, axis.e, axis.mu, bank.s2, axis.pixels)


def _place_backward(dp, bank, grid):
    """Undo `_place`, from the gradients at the filters and at log gamma."""
    for axis in bank.axes:
        filterbank_backward(axis.dmu, axis.dlog_s2, axis.dF, axis.F, axis.e, bank.s2, axis.pixels)
    place_backward(dp, bank.dmu, bank.dlog_s2, bank.dlog_gamma, bank.a, grid.centre, grid.offsets)


def attentive_read_forward(r, x_hat, bank, bias, grid, x, canvas):
    """r = gamma [Fy x Fx^T; Fy x_hat Fx^T], x_hat = x - sigmoid(canvas) (eqs. 3, 19 to 27).

    Parameters
    ----------
    r : array (B, P*N, C*N)
        Of P = 2 pictures, or P = 1 without a canvas; set; usually a transposed view of rows of a
        tape.
    x_hat : array (B, H*C, W) or None
        Set; None without a canvas.
    bank : mindraw.nn.filterbank.Bank
        bank.p says where to look, and is overwritten. What `attentive_read_backward` takes is set:
        a, F, e and half.
    bias : array (5, 1)
    grid : mindraw.nn.filterbank.Grid
    x : array (B, H*C, W)
    canvas : array (B, H*C, W) or None
    """
    _place(bank, bias, grid)
    if canvas is not None:
        error_image_forward(x_hat, x, canvas)
    read_forward(bank.patch, bank.half, x, x_hat, bank.Fy, bank.Fx)
    intensity_forward(r, bank.patch, bank.gamma)


def attentive_read_backward(dp, dcanvas_prev, work, dr, dcanvas, bank, grid, r, x_hat, x):
    """Undo `attentive_read_forward`; x is given and has no gradient.

    Parameters
    ----------
    dp : array (5, B)
        Set.
    dcanvas_prev : array (B, H*C, W) or None
        Set to the gradient at the canvas, by which it was carried to the next step included.
    work : array (B, H*C, W) or None
        Overwritten.
    dr : array (B, P*N, C*N)
    dcanvas : array (B, H*C, W) or None
        The gradient at the canvas of the next step.
    bank : mindraw.nn.filterbank.Bank
        As `attentive_read_forward` left it. Overwritten, all but a, half and p.
    grid : mindraw.nn.filterbank.Grid
    r : array (B, P*N, C*N)
    x_hat : array (B, H*C, W) or None
    x : array (B, H*C, W)
    """
    intensity_backward(bank.dpatch, bank.dlog_gamma, dr, r, bank.gamma)
    read_backward(
        work, bank.dFy, bank.dFx, bank.dhalf,
        bank.dpatch, bank.half, x, x_hat, bank.Fy, bank.Fx,
    )  # fmt: skip
    if x_hat is not None:
        error_image_backward(dcanvas_prev, work, dcanvas, x_hat, x)
    _place_backward(dp, bank, grid)


def attentive_write_forward(canvas, work, bank, w, bias_w, bias, grid):
    """canvas += 1/gamma Fy^T (w + bias_w) Fx (eqs. 19 to 26, 29).

    Parameters
    ----------
    canvas : array (B, H*C, W)
        Added to.
    work : array (B, H*C, W)
        Overwritten.
    bank : mindraw.nn.filterbank.Bank
        bank.p says where to write, and is overwritten. What `attentive_write_backward` takes is
        set: a, F, e, half and patch.
    w : array (B, N, C*N)
        Usually a transposed view of a product's rows.
    bias_w : array (N*C*N, 1)
    bias : array (5, 1)
    grid : mindraw.nn.filterbank.Grid
    """
    _place(bank, bias, grid)
    stroke_forward(bank.patch, w, bias_w, bank.gamma)
    write_forward(canvas, work, bank.half, bank.patch, bank.Fy, bank.Fx)


def attentive_write_backward(dp, dw, dcanvas, bank, grid):
    """Undo `attentive_write_forward`; the gradient at the canvas it added to is dcanvas itself.

    Parameters
    ----------
    dp : array (5, B)
        Set.
    dw : array (B, N, C*N)
        Set.
    dcanvas : array (B, H*C, W)
    bank : mindraw.nn.filterbank.Bank
        As `attentive_write_forward` left it. Overwritten, all but a, half and p.
    grid : mindraw.nn.filterbank.Grid
    """
    write_backward(
        bank.dpatch, bank.dFy, bank.dFx, bank.dhalf,
        dcanvas, bank.half, bank.patch, bank.Fy, bank.Fx,
    )  # fmt: skip
    stroke_backward(dw, bank.dlog_gamma, bank.dpatch, bank.patch, bank.gamma)
    _place_backward(dp, bank, grid)
