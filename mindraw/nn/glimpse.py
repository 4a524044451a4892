"""Reading and writing through a pair of filterbanks (equations 27 and 29).

A picture lies as (B, H, C, W), row by row, so that one product filters the columns of all
rows and channels, and one the rows of all channels and columns:

    read:   half = image Fx^T,   patch = Fy half
    write:  half = Fy^T patch,   image = half Fx

Each is the transpose of the other, so reading's backward pass writes and writing's reads.
All channels share one filterbank. `image` is seen as (B, H*C, W) and `half` either as
(B, H*C, N) or as (B, H, C*N): the same memory, so `half` and `dhalf` must be contiguous.
"""


def views(half, H):
    """Return `half` (B, H*C, N) as it stands, and as (B, H, C*N)."""
    B, rows, N = half.shape
    return half, half.reshape(B, H, rows // H * N)


def read_forward(ops, patch, half, image, Fy, Fx):
    """patch = Fy image Fx^T.

    Parameters
    ----------
    ops : Backend
    patch : array (B, N, C*N)
        Set.
    half : array (B, H*C, N)
        Set; kept for `read_backward`.
    image : array (B, H*C, W)
    Fy : array (B, N, H)
    Fx : array (B, N, W)
    """
    columns, rows = views(half, Fy.shape[2])
    ops.xp.matmul(image, Fx.swapaxes(1, 2), out=columns)
    ops.xp.matmul(Fy, rows, out=patch)


def read_backward(ops, dimage, dFy, dFx, dhalf, dpatch, half, image, Fy, Fx):
    """Undo `read_forward`.

    Parameters
    ----------
    ops : Backend
    dimage : array (B, H*C, W) or None
        Set, where the image's gradient is wanted.
    dFy, dFx : array (B, N, H), (B, N, W)
        Set.
    dhalf : array (B, H*C, N)
        Overwritten.
    dpatch : array (B, N, C*N)
    half, image, Fy, Fx : array
    """
    _, rows = views(half, Fy.shape[2])
    dcolumns, drows = views(dhalf, Fy.shape[2])
    ops.xp.matmul(dpatch, rows.swapaxes(1, 2), out=dFy)
    ops.xp.matmul(Fy.swapaxes(1, 2), dpatch, out=drows)
    ops.xp.matmul(dcolumns.swapaxes(1, 2), image, out=dFx)
    if dimage is not None:
        ops.xp.matmul(dcolumns, Fx, out=dimage)


def write_forward(ops, image, half, patch, Fy, Fx):
    """image = Fy^T patch Fx.

    Parameters
    ----------
    ops : Backend
    image : array (B, H*C, W)
        Set.
    half : array (B, H*C, N)
        Set; kept for `write_backward`.
    patch : array (B, N, C*N)
    Fy : array (B, N, H)
    Fx : array (B, N, W)
    """
    columns, rows = views(half, Fy.shape[2])
    ops.xp.matmul(Fy.swapaxes(1, 2), patch, out=rows)
    ops.xp.matmul(columns, Fx, out=image)


def write_backward(ops, dpatch, dFy, dFx, dhalf, dimage, half, patch, Fy, Fx):
    """Undo `write_forward`.

    Parameters
    ----------
    ops : Backend
    dpatch : array (B, N, C*N)
        Set.
    dFy, dFx : array (B, N, H), (B, N, W)
        Set.
    dhalf : array (B, H*C, N)
        Overwritten.
    dimage : array (B, H*C, W)
    half, patch, Fy, Fx : array
    """
    columns, _ = views(half, Fy.shape[2])
    dcolumns, drows = views(dhalf, Fy.shape[2])
    ops.xp.matmul(columns.swapaxes(1, 2), dimage, out=dFx)
    ops.xp.matmul(dimage, Fx.swapaxes(1, 2), out=dcolumns)
    ops.xp.matmul(patch, drows.swapaxes(1, 2), out=dFy)
    ops.xp.matmul(Fy, drows, out=dpatch)
