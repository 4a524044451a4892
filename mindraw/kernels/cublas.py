"""NVIDIA's cuBLAS by way of ctypes, on the current stream and in a workspace of its own.

CuPy's own `matmul` copies matrices whose rows lie apart into one piece before it multiplies, and
out of one piece afterwards; and it refuses to be recorded into a CUDA graph (CuPy's issue 6290).
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


def exact():
    """Say whether products keep float32's precision: unless CUPY_TF32=1, as CuPy has it."""
    return os.environ.get("CUPY_TF32") != "1"


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
        self._call("cublasSetMathMode", self._handle, FLOAT32 if exact() else TF32)
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
