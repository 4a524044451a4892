"""Products of matrices whose rows lie apart: short ones by a kernel of ours, others by cuBLAS.

In the recurrence every product is of some weights with the columns of one minibatch. cuBLAS gives
such a product to a few blocks, or to more and adds their parts up in a second launch; the kernel
in matmul.cu takes about two thirds of the time. Where an LSTM's gates are what follows, their
threads go on to those in the same launch.
"""

import functools

from . import cublas
from .arguments import rows
from .cublas import AS_IT_IS, REAL, TRANSPOSED
from .sources import joined

SOURCES = ("common.cuh", "lstm.cuh", "matmul.cu")
#: As in matmul.cu: columns of a tile, units of an LSTM in a block, and warps for so many rows or
#: units.
COLUMNS, UNITS = 32, 8
WARPS = {32: 8, 16: 16, UNITS: 8}
#: Weights of a product that the kernel is given at most; and tiles of 16 rows that run at a time,
#: one on each multiprocessor of an H100: where there are more they have 32.
LARGEST, AT_A_TIME = 2 << 20, 132
#: What a grid may have of them along its second axis.
MOST_BLOCKS = 65535


def source():
    """Return the CUDA sources as one translation unit."""
    return joined(SOURCES)


@functools.cache
def _module():
    import cupy

    return cupy.RawModule(code=source(), options=("-Dreal=float", "--std=c++17"))


@functools.cache
def _kernel(name):
    return _module().get_function(name)


@functools.cache
def _capable(device):
    import cupy

    return int(cupy.cuda.Device(device).compute_capability) >= 80


def tensor_cores():
    """Say whether the current device can run the kernel: from the Ampere generation on."""
    import cupy

    return _capable(cupy.cuda.runtime.getDevice())


def matmul(a, b, *, out):
    """out = a b.

    Parameters
    ----------
    a : array (m, k)
        Here and below: on the device, with rows or columns in one piece each; all in one dtype,
        float32 or float64.
    b : array (k, n)
    out : array (m, n)
        Set. With rows in one piece each, and apart from both factors.

    Raises
    ------
    ValueError
        If the shapes or layouts do not fit.
    TypeError
        If the dtypes differ.
    """
    (m, k), (also_k, n) = a.shape, b.shape
    if k != also_k or out.shape != (m, n):
        raise ValueError(f"the product of {a.shape} and {b.shape} does not fit into {out.shape}")
    char = out.dtype.char
    if not a.dtype == b.dtype == out.dtype or char not in REAL:
        raise TypeError(f"a product of {a.dtype} and {b.dtype} into {out.dtype}")
    if not (m and n and k):
        out.fill(0)
        return
    turn_a, apart_a = layout(a)
    turn_b, apart_b = layout(b)
    turned, apart = layout(out)
    if turned:
        raise ValueError(f"rows that are not in one piece: {out.shape}, strides {out.strides}")
    if fits(a, b):
        tile = _tile(m, n)
        name = f"matmul_rows_{tile}{'_turned' if turn_a else ''}"
        _launch(name, tile, m, a.T if turn_a else a, b, out, apart, turned=turn_a)
        return
    # what lies row by row is the transpose of what cuBLAS reads: out^T = b^T a^T
    cublas.current().multiply(
        char, turn_b, turn_a, n, m, k,
        b.data.ptr, apart_b, a.data.ptr, apart_a, out.data.ptr, apart,
    )  # fmt: skip


def fits(a, b):
    """Say whether a b is short, and in float32, and the device can run the kernel for it."""
    (m, k), _ = a.shape, b.shape
    return (
        a.dtype.char == "f"
        and 0 < m * k <= LARGEST
        and _blocks(m, UNITS) <= MOST_BLOCKS
        and b.size > 0
        and layout(b)[0] == AS_IT_IS
        and tensor_cores()
    )


def lstm_forward(h, cell, gates, constant, cell_prev, W, u):
    """Set in one launch what `reference.lstm_forward` does, with gates = W u, where that `fits`.

    Parameters
    ----------
    h, cell, gates, constant, cell_prev : array
        As in `reference.lstm_forward`; `gates` need not be set before.
    W : array (4h, n)
    u : array (n, B)

    Returns
    -------
    bool
        Whether it was done.
    """
    if not fits(W, u):
        return False
    column = int(constant.shape[1] > 1)
    arguments = (*rows(h, cell, gates, constant), column, *rows(cell_prev))
    _launch("lstm", UNITS, len(h), W, u, *arguments)
    return True


def lstm_backward(dgates, dcell, gates, dh_u, dh_v, cell, cell_prev, W, dy):
    """Set in one launch what `reference.lstm_backward` does, with dh = W^T dy, where that `fits`.

    Parameters
    ----------
    dgates, dcell, gates, dh_u, dh_v, cell, cell_prev : array
        As in `reference.lstm_backward`.
    W : array (m, h)
        With rows in one piece.
    dy : array (m, B)

    Returns
    -------
    bool
        Whether it was done.
    """
    if not fits(W.T, dy):
        return False
    u, v = (dcell if more is None else more for more in (dh_u, dh_v))  # a place for what is not
    there = (int(dh_u is not None), int(dh_v is not None))
    arguments = (*rows(dgates, dcell, gates, u, v, cell, cell_prev), *there)
    tile = _tile(*dcell.shape)
    _launch(f"lstm_back_rows_{tile}", tile, len(dcell), W, dy, *arguments, turned=True)
    return True


def _tile(m, n):
    """Return how many rows of a product (m, n) a block takes."""
    return 16 if _blocks(m, 16) * _blocks(n, COLUMNS) <= AT_A_TIME else 32


def _blocks(n, size):
    return -(-n // size)


def _launch(name, tile, m, a, b, *arguments, turned=False):
    """Launch a kernel for a b, or a^T b, with a block for every `tile` of m rows or units.

    Of a, the rows lie in one piece.
    """
    (_, apart_a), (_, apart_b) = layout(a), layout(b)
    k, n = b.shape
    wide = _width(b, apart_b, n) == 4
    width = _width(a, apart_a, m if turned else k) if wide else 1
    _kernel(f"{name}_width_{width}")(
        (_blocks(n, COLUMNS), _blocks(m, tile)), (32, WARPS[tile]),
        (*arguments, a, apart_a, b, apart_b, m, n, k, int(cublas.exact())),
    )  # fmt: skip


def _width(matrix, apart, length):
    """Return how many numbers of a row of this length a thread may read at a time."""
    return next(
        width
        for width in (4, 2, 1)
        if not (matrix.data.ptr % (4 * width) or apart % width or length % width)
    )


def layout(matrix):
    """Return whether a matrix lies column by column, and how far apart its rows or columns lie.

    Raises
    ------
    ValueError
        If neither its rows nor its columns are in one piece.
    """
    rows, columns = matrix.shape
    down, across = (stride // matrix.dtype.itemsize for stride in matrix.strides)
    if columns <= 1 or across == 1:
        turned, steps, apart, least = AS_IT_IS, rows, down, columns
    elif rows <= 1 or down == 1:
        turned, steps, apart, least = TRANSPOSED, columns, across, rows
    else:
        turned, steps, apart, least = None, 2, 0, 1
    if steps <= 1:
        apart = least
    elif apart < least:
        raise ValueError(f"no rows in one piece: {matrix.shape}, strides {matrix.strides}")
    return turned, max(apart, 1)
