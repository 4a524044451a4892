"""Products through cuBLAS, on the CPU: the same calls, into a library that stands in for it."""

import ctypes
import subprocess
from types import SimpleNamespace

import emulation
import numpy as np
import pytest

from mindraw.errors import MindrawError
from mindraw.kernels import cublas


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    reason = emulation.why_not()
    if reason is not None:
        pytest.skip(reason)
    file = tmp_path_factory.mktemp("cublas") / "libcublas.so"
    source = str(emulation.HERE / "emulate_cublas.cpp")
    options = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run(["g++", *options, source, "-o", str(file)], check=True)
    return ctypes.CDLL(str(file))


class OnDevice:
    """A NumPy array that says where it lies as CuPy's do."""

    def __init__(self, array):
        self.fill = array.fill
        self.shape, self.strides, self.dtype = array.shape, array.strides, array.dtype
        self.data = SimpleNamespace(ptr=array.ctypes.data)


WORKSPACE = SimpleNamespace(data=SimpleNamespace(ptr=1 << 12))


@pytest.fixture
def handle(library, monkeypatch):
    handle = cublas.Handle(library, 5, WORKSPACE)
    monkeypatch.setattr(cublas, "current", lambda: handle)
    return handle


LAYOUTS = {
    "in one piece": lambda rng, rows, columns: rng.standard_normal((rows, columns)),
    "rows apart": lambda rng, rows, columns: rng.standard_normal((rows, columns + 3))[:, 2:-1],
    "turned": lambda rng, rows, columns: rng.standard_normal((columns, rows)).T,
    "turned, columns apart": lambda rng, rows, columns: (
        rng.standard_normal((columns, rows + 4))[:, 1:-3].T
    ),
}


@pytest.mark.parametrize("second", LAYOUTS)
@pytest.mark.parametrize("first", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "m, k, n", [(5, 7, 3), (1, 4, 6), (4, 1, 6), (4, 6, 1), (1, 1, 1), (3, 0, 2), (0, 3, 2)]
)
def test_products(handle, m, k, n, dtype, first, second):
    rng = np.random.default_rng(1)

    def laid_out(make, rows, columns):  # as it lies, in the dtype
        base = make(rng, rows, columns)
        whole = base if base.base is None else base.base
        cast = whole.astype(dtype)
        strides = [stride // 8 * cast.itemsize for stride in base.strides]
        offset = (base.ctypes.data - whole.ctypes.data) // 8 * cast.itemsize
        return np.ndarray(base.shape, dtype, cast, offset, strides)

    a, b = laid_out(LAYOUTS[first], m, k), laid_out(LAYOUTS[second], k, n)
    around = np.full((m + 2, n + 5), np.nan, dtype)
    out = around[1:-1, 2:-3]
    cublas.matmul(OnDevice(a), OnDevice(b), out=OnDevice(out))
    np.testing.assert_allclose(out, a @ b, rtol=1e-5 if dtype == "float32" else 1e-13, atol=1e-5)
    assert np.isnan(around).sum() == around.size - out.size


def test_what_does_not_fit_is_refused(handle):
    a, b, out = (np.zeros(shape, np.float32) for shape in ((2, 3), (3, 4), (2, 4)))
    spread = np.zeros((4, 8), np.float32)[::2, ::2]

    def refuse(error, said, *arrays):
        one, other, to = map(OnDevice, arrays)
        with pytest.raises(error, match=said):
            cublas.matmul(one, other, out=to)

    refuse(ValueError, "does not fit", a, b.T, out)
    refuse(ValueError, "does not fit", a, b, out[:, :3])
    refuse(TypeError, "float64", a.astype(np.float64), b, out)
    refuse(TypeError, "int32", *(array.astype(np.int32) for array in (a, b, out)))
    refuse(ValueError, "in one piece", spread, np.zeros((4, 4), np.float32), spread)
    refuse(ValueError, "in one piece", a, b, np.zeros((4, 2), np.float32).T)
    refuse(ValueError, "in one piece", np.broadcast_to(a[:1], (2, 3)), b, out)


def test_a_status_is_an_error(library):
    broken = SimpleNamespace(data=SimpleNamespace(ptr=3))
    with pytest.raises(MindrawError, match="cublasSetWorkspace_v2 failed with the status 7"):
        cublas.Handle(library, 0, broken)


@pytest.mark.parametrize("value, mode", [("1", cublas.TF32), ("0", cublas.FLOAT32)])
def test_tf32_is_used_where_cupy_uses_it(library, monkeypatch, value, mode):
    monkeypatch.setenv("CUPY_TF32", value)
    found = {}

    class Watched:
        def __getattr__(self, name):
            def call(*arguments):
                found[name] = arguments
                return getattr(library, name)(*arguments)

            return call

    cublas.Handle(Watched(), 9, WORKSPACE)
    assert found["cublasSetMathMode"][1] == mode
    assert found["cublasSetStream_v2"][1].value == 9
    assert list(found).index("cublasSetStream_v2") < list(found).index("cublasSetWorkspace_v2")
