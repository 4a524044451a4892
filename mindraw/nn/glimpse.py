"""Reading and writing through a pair of filterbanks (equations 27 and 29).

A picture lies as (B, H, C, W), row by row, so that one product filters the rows of all channels
and columns, and one the columns of all rows and channels:

    read:   half = Fy image,    patch = half Fx^T
    write:  half = patch Fx,    image += Fy^T half

DRAW reads two pictures through one pair of filterbanks, x and the error image x_hat: then what is
half filtered of both, and so both patches, lie one below the other, and share the second product.

Each is the transpose of the other, so reading's backward pass writes and writing's reads. That Fy
stands next to the image is faster: its product then has C W columns, and not N.
All channels share one filterbank. An image is (B, H*C, W) or, in the same memory, (B, H, C*W); what
is half filtered (B, N, C*W) or (B, N*C, W); and a patch (B, N, C*N) or (B, N*C, N), with 2 N for N
where two pictures are read. So all of them must be contiguous.
"""


def read_forward(ops, patch, half, x, x_hat, Fy, Fx):
    """patch = [Fy x Fx^T; Fy x_hat Fx^T], or the first of the two alone.

    Parameters
    ----------
    ops : Backend
    patch : array (B, P*N, C*N)
        Set; P is 2, or 1 without x_hat.
    half : array (B, P*N, C*W)
        Set; kept for `read_backward`.
    x : array (B, H*C, W)
    x_hat : array (B, H*C, W) or None
    Fy : array (B, N, H)
    Fx : array (B, N, W)
    """
    ops.kernels.read_forward(patch, half, x, x_hat, Fy, Fx)


def read_backward(ops, dx_hat, dFy, dFx, dhalf, dpatch, half, x, x_hat, Fy, Fx):
    """Undo `read_forward`; x is given and has no gradient.

    Parameters
    ----------
    ops : Backend
    dx_hat : array (B, H*C, W) or None
        Set; None without x_hat.
    dFy, dFx : array (B, N, H), (B, N, W)
        Set.
    dhalf : array (B, P*N, C*W)
        Overwritten.
    dpatch : array (B, P*N, C*N)
    half, x, x_hat, Fy, Fx : array
    """
    ops.kernels.read_backward(dx_hat, dFy, dFx, dhalf, dpatch, half, x, x_hat, Fy, Fx)


def write_forward(ops, image, work, half, patch, Fy, Fx):
    """image += Fy^T patch Fx.

    Parameters
    ----------
    ops : Backend
    image : array (B, H*C, W)
        Added to.
    work : array (B, H*C, W)
        Overwritten.
    half : array (B, N, C*W)
        Set; kept for `write_backward`.
    patch : array (B, N, C*N)
    Fy : array (B, N, H)
    Fx : array (B, N, W)
    """
    ops.kernels.write_forward(image, work, half, patch, Fy, Fx)


def write_backward(ops, dpatch, dFy, dFx, dhalf, dimage, half, patch, Fy, Fx):
    """Undo `write_forward`.

    Parameters
    ----------
    ops : Backend
    dpatch : array (B, N, C*N)
        Set.
    dFy, dFx : array (B, N, H), (B, N, W)
        Set.
    dhalf : array (B, N, C*W)
        Overwritten.
    dimage : array (B, H*C, W)
    half, patch, Fy, Fx : array
    """
    ops.kernels.write_backward(dpatch, dFy, dFx, dhalf, dimage, half, patch, Fy, Fx)
