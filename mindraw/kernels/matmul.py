"""Products of matrices whose rows lie apart: short ones by a kernel of ours, others by cuBLAS.

In the recurrence every product is of some weights with the columns of one minibatch. cuBLAS gives
such a product to a few blocks, or to more and adds their parts up in a second launch; the kernel
in matmul.cu takes about a third of the time.
"""

import functools
import importlib.resources

from . import cublas
from .cublas import AS_IT_IS, REAL, TRANSPOSED

SOURCES = ("common.cuh", "matmul.cu")
#: As in matmul.cu: columns of a tile, warps of a block.
COLUMNS, WARPS = 32, 8
#: Weights of a product that the kernel is given at most; and tiles of 32 rows that suffice to keep
#: a GPU busy, else they have 16.
LARGEST, ENOUGH = 2 << 20, 100


def source():
    """Return the CUDA sources as one translation unit."""
    folder = importlib.resources.files(__package__)
    text = "".join(folder.joinpath(name).read_text(encoding="utf-8") for name in SOURCES)
    return text.replace('#include "common.cuh"\n', "")


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
    if char == "f" and not turn_b and m * k <= LARGEST and tensor_cores():
        _launch(out, apart, a, turn_a, apart_a, b, apart_b)
        return
    # what lies row by row is the transpose of what cuBLAS reads: out^T = b^T a^T
    cublas.current().multiply(
        char, turn_b, turn_a, n, m, k,
        b.data.ptr, apart_b, a.data.ptr, apart_a, out.data.ptr, apart,
    )  # fmt: skip


def _launch(out, apart, a, turned, apart_a, b, apart_b):
    (m, k), n = a.shape, b.shape[1]
    rows = 32 if -(-m // 32) * -(-n // COLUMNS) >= ENOUGH else 16
    width = min(_width(a, apart_a, m if turned else k), _width(b, apart_b, n))
    if _width(b, apart_b, n) < 4:
        width = 1
    name = f"matmul_rows_{rows}{'_turned' if turned else ''}_width_{width}"
    grid, block = (-(-n // COLUMNS), -(-m // rows)), (32, WARPS)
    arguments = (out, apart, a, apart_a, b, apart_b, m, n, k, int(cublas.exact()))
    _kernel(name)(grid, block, arguments)


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
        turned, apart, least = AS_IT_IS, down if rows > 1 else 0, columns
    elif rows <= 1 or down == 1:
        turned, apart, least = TRANSPOSED, across, rows
    else:
        turned, apart, least = None, 0, 0
    if turned is None or apart < 0 or (apart == 0 and rows > 1):
        raise ValueError(f"no rows in one piece: {matrix.shape}, strides {matrix.strides}")
    return turned, max(apart, least, 1)
