"""Products of matrices whose rows lie apart, by NVIDIA's cuBLAS.

CuPy's own `matmul` copies such matrices into one piece before it multiplies, and out of one piece
afterwards; and it refuses to be recorded into a CUDA graph (CuPy's issue 6290). This is the same
function without either, by way of ctypes.
"""

import ctypes
import functools
import os

from ..errors import MindrawError

#: Bytes that cuBLAS may work in, for each stream: what NVIDIA advises for its largest GPUs.
WORKSPACE = 32 << 20
#: As in cublas_api.h: how a matrix is read, and how exactly float32 is multiplied.
AS_IT_IS, TRANSPOSED = 0, 1
FLOAT32, TF32 = 0, 3
REAL = {"f": ("cublasSgemm_v2", ctypes.c_float), "d": ("cublasDgemm_v2", ctypes.c_double)}


class Handle:
    """cuBLAS on one stream.

    Parameters
    ----------
    library : ctypes.CDLL
    stream : int
        A pointer.
    workspace : array
        Of `WORKSPACE` bytes on the device.

    Raises
    ------
    MindrawError
        If cuBLAS refuses.
    """

    def __init__(self, library, stream, workspace):
        self._library, self._workspace = library, workspace
        self._handle = ctypes.c_void_p()
        self._call("cublasCreate_v2", ctypes.byref(self._handle))
        self._call("cublasSetStream_v2", self._handle, ctypes.c_void_p(stream))
        pointer = ctypes.c_void_p(workspace.data.ptr)
        self._call("cublasSetWorkspace_v2", self._handle, pointer, ctypes.c_size_t(WORKSPACE))
        exact = os.environ.get("CUPY_TF32") != "1"  # as CuPy has it
        self._call("cublasSetMathMode", self._handle, FLOAT32 if exact else TF32)
        self._one = {char: real(1) for char, (_, real) in REAL.items()}
        self._zero = {char: real(0) for char, (_, real) in REAL.items()}

    def _call(self, name, *arguments):
        status = getattr(self._library, name)(*arguments)
        if status:
            raise MindrawError(f"{name} failed with the status {status}: see cublasStatus_t")

    def multiply(self, char, turn_a, turn_b, m, n, k, a, apart_a, b, apart_b, c, apart_c):
        """C = op(A) op(B), column by column, as cuBLAS has it; the matrices are pointers."""
        self._call(
            REAL[char][0], self._handle, turn_a, turn_b, m, n, k, ctypes.byref(self._one[char]),
            ctypes.c_void_p(a), apart_a, ctypes.c_void_p(b), apart_b,
            ctypes.byref(self._zero[char]), ctypes.c_void_p(c), apart_c,
        )  # fmt: skip


@functools.cache
def _handle(device, stream):
    import cupy

    cupy.cuda.get_cublas_handle()  # whereby CuPy finds and loads the library
    library = ctypes.CDLL(f"libcublas.so.{cupy.cuda.runtime.runtimeGetVersion() // 1000}")
    return Handle(library, stream, cupy.empty(WORKSPACE, "u1"))


def current():
    """Return the handle for CuPy's current device and stream."""
    import cupy

    return _handle(cupy.cuda.runtime.getDevice(), cupy.cuda.get_current_stream().ptr)


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
    # what lies row by row is the transpose of what cuBLAS reads: out^T = b^T a^T
    current().multiply(
        char, turn_b, turn_a, n, m, k,
        b.data.ptr, apart_b, a.data.ptr, apart_a, out.data.ptr, apart,
    )  # fmt: skip


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
