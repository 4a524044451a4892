"""Reading and writing through a pair of filterbanks (equations 27 and 29).

A picture lies as (B, H, C, W), row by row, so that one product filters the rows of all channels
and columns, and one the columns of all rows and channels:

    read:   half = Fy image,    patch = half Fx^T
    write:  half = patch Fx,    image = Fy^T half

Each is the transpose of the other, so reading's backward pass writes and writing's reads. That Fy
stands next to the image is faster: its product then has C W columns, and not N.
All channels share one filterbank. An image is (B, H*C, W) or, in the same memory, (B, H, C*W); what
is half filtered (B, N, C*W) or (B, N*C, W); and a patch (B, N, C*N) or (B, N*C, N). So all of them
must be contiguous.
"""


def channels(image, Fy):
    """Return C, from an image (B, H*C, W) and filters (B, N, H)."""
    return image.shape[1] // Fy.shape[2]


def beside(array, C):
    """See (B, n*C, m) as (B, n, C*m): the channels of a row side by side."""
    B, rows, m = array.shape
    return array.reshape(B, rows // C, C * m)


def below(array, C):
    """See (B, n, C*m) as (B, n*C, m): the channels of a row one below the other."""
    B, n, columns = array.shape
    return array.reshape(B, n * C, columns // C)


def read_forward(ops, patch, half, image, Fy, Fx):
    """patch = Fy image Fx^T.

    Parameters
    ----------
    ops : Backend
    patch : array (B, N, C*N)
        Set.
    half : array (B, N, C*W)
        Set; kept for `read_backward`.
    image : array (B, H*C, W)
    Fy : array (B, N, H)
    Fx : array (B, N, W)
    """
    C = channels(image, Fy)
    ops.xp.matmul(Fy, beside(image, C), out=half)
    ops.xp.matmul(below(half, C), Fx.swapaxes(1, 2), out=below(patch, C))


def read_backward(ops, dimage, dFy, dFx, dhalf, dpatch, half, image, Fy, Fx):
    """Undo `read_forward`.

    Parameters
    ----------
    ops : Backend
    dimage : array (B, H*C, W) or None
        Set, where the image's gradient is wanted.
    dFy, dFx : array (B, N, H), (B, N, W)
        Set.
    dhalf : array (B, N, C*W)
        Overwritten.
    dpatch : array (B, N, C*N)
    half, image, Fy, Fx : array
    """
    C = channels(image, Fy)
    drows = below(dpatch, C)
    ops.xp.matmul(drows.swapaxes(1, 2), below(half, C), out=dFx)
    ops.xp.matmul(drows, Fx, out=below(dhalf, C))
    ops.xp.matmul(dhalf, beside(image, C).swapaxes(1, 2), out=dFy)
    if dimage is not None:
        ops.xp.matmul(Fy.swapaxes(1, 2), dhalf, out=beside(dimage, C))


def write_forward(ops, image, half, patch, Fy, Fx):
    """image = Fy^T patch Fx.

    Parameters
    ----------
    ops : Backend
    image : array (B, H*C, W)
        Set.
    half : array (B, N, C*W)
        Set; kept for `write_backward`.
    patch : array (B, N, C*N)
    Fy : array (B, N, H)
    Fx : array (B, N, W)
    """
    C = channels(image, Fy)
    ops.xp.matmul(below(patch, C), Fx, out=below(half, C))
    ops.xp.matmul(Fy.swapaxes(1, 2), half, out=beside(image, C))


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
    C = channels(dimage, Fy)
    ops.xp.matmul(half, beside(dimage, C).swapaxes(1, 2), out=dFy)
    ops.xp.matmul(Fy, beside(dimage, C), out=dhalf)
    ops.xp.matmul(below(patch, C).swapaxes(1, 2), below(dhalf, C), out=dFx)
    ops.xp.matmul(below(dhalf, C), Fx.swapaxes(1, 2), out=below(dpatch, C))
