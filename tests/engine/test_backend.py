"""The backend shim: what it gives, and what it says when it cannot."""

import builtins
import sys
import types
from statistics import NormalDist

import numpy as np
import pytest

from mindraw import MindrawError, backend, get_backend
from mindraw.kernels import reference


def test_numpy_is_there_in_three_precisions():
    for dtype in backend.DTYPES:
        ops = get_backend("numpy", dtype)
        assert ops.name == "numpy"
        assert ops.zeros((2, 3)).dtype == ops.empty((1,)).dtype == dtype


def test_arrays_are_copied_both_ways():
    ops = get_backend("numpy")
    host = np.arange(3.0)
    device = ops.asarray(host)
    device[0] = 7
    back = ops.to_numpy(device)
    back[1] = 9
    assert host.tolist() == [0, 1, 2] and device.tolist() == [7, 1, 2]


def test_what_lies_there_already_is_not_copied_where_nobody_asks_for_it():
    ops, host = get_backend("numpy"), np.zeros((2, 3), np.float32)
    assert np.shares_memory(ops.asarray(host.T, copy=False), host)
    assert not np.shares_memory(ops.asarray(host.T), host)
    assert ops.asarray(host.astype(np.float64), copy=False).dtype == np.float32


def test_foreign_arrays_are_not_taken_silently():
    class Foreign:
        def __array__(self, dtype=None, copy=None):
            return np.zeros(3)

    with pytest.raises(TypeError, match="takes a NumPy array, not Foreign"):
        get_backend("numpy").asarray(Foreign())


@pytest.mark.parametrize("dtype", backend.DTYPES)
def test_noise_is_a_pure_function_of_its_key(dtype):
    ops = get_backend("numpy", dtype)
    a, b = ops.standard_normal((50, 40), (1, 2, 3)), ops.standard_normal((50, 40), (1, 2, 3))
    assert a.shape == (50, 40) and np.array_equal(a, b)
    assert a.dtype == (np.float32 if dtype == "float32" else np.float64)
    for key in [(1, 2, 4), (1, 3, 3), (2, 2, 3), (1, 3), (2**70, 2, 3), (1, 2, 2**63 - 1)]:
        other = ops.standard_normal((50, 40), key)
        assert abs(np.corrcoef(a.ravel(), other.ravel())[0, 1]) < 0.1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_noise_is_normal(dtype):
    n = 4 * reference.NOISE + 1  # in more than one piece, the last of them not full
    eps = get_backend("numpy", dtype).standard_normal((n,), (5, 6, 7)).astype(np.float64)
    below = np.array([NormalDist().cdf(number) for number in np.sort(eps)])
    # Kolmogorov and Smirnov's distance; one in 10,000 samples has a larger one
    assert np.abs(below - (np.arange(n) + 0.5) / n).max() < 2.23 / np.sqrt(n)
    assert len(np.unique(eps)) > 0.99 * n
    half = (n + 1) // 2
    for one, other in [(eps[:-1], eps[1:]), (eps[: n - half], eps[half:])]:
        for power in (1, 2):
            assert abs(np.corrcoef(one**power, other**power)[0, 1]) < 4 / np.sqrt(n / 2)


def test_noise_counts_as_numpys_philox():
    """Two numbers from their definition, out of NumPy's own generator."""
    words = np.random.Philox(key=np.array([8, 9], np.uint64), counter=[0, 0, 5, 0]).random_raw(6)
    eps = np.empty(5)
    reference.standard_normal(eps, 8, 9, 5)
    for j in range(3):
        u, v = (float(word) / 2**64 for word in words[2 * j : 2 * j + 2])
        radius = np.sqrt(-2 * np.log(u))
        assert eps[j] == pytest.approx(radius * np.cos(2 * np.pi * v))
        if j < 2:
            assert eps[3 + j] == pytest.approx(radius * np.sin(2 * np.pi * v))


def test_unknown_names_are_refused():
    with pytest.raises(
        MindrawError, match="no backend 'torch': use one of numpy, numba, cupy, auto"
    ):
        get_backend("torch")
    with pytest.raises(MindrawError, match="no dtype 'float16'"):
        get_backend("numpy", "float16")


def test_cupy_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MindrawError, match=r"not installed: pip install 'mindraw\[cupy13\]'"):
        get_backend("cupy")
    assert get_backend("auto").name == "numpy"


def fake_cupy(monkeypatch, module):
    monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "cupy", module)


def test_cupy_without_a_driver(monkeypatch):
    cuda = types.SimpleNamespace(is_available=lambda: False)
    fake_cupy(monkeypatch, types.SimpleNamespace(cuda=cuda))
    with pytest.raises(MindrawError, match="installed and finds no working NVIDIA driver or GPU"):
        get_backend("cupy")
    assert get_backend("auto").name == backend.cpu_backend()


@pytest.mark.parametrize("said", ["CUDA_ERROR_SYSTEM_DRIVER_MISMATCH: 803\nmore", ""])
def test_cupy_with_a_driver_that_it_cannot_ask(monkeypatch, said):
    def is_available():
        raise RuntimeError(said)

    cuda = types.SimpleNamespace(is_available=is_available)
    fake_cupy(monkeypatch, types.SimpleNamespace(cuda=cuda))
    first = said.partition("\n")[0] or "no reason given"
    with pytest.raises(MindrawError, match=rf"installed and cannot ask for a GPU \({first}\): che"):
        get_backend("cupy")
    assert get_backend("auto").name == backend.cpu_backend()


@pytest.mark.parametrize("kind", [ImportError, AttributeError, RuntimeError])
def test_cupy_that_does_not_import(monkeypatch, kind):
    monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: object())
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    real = builtins.__import__

    def broken(name, *args, **kwargs):
        if name == "cupy":
            raise kind("libcudart.so.99: not found\nmore")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(MindrawError, match=r"does not import \(libcudart.so.99: not found\)"):
        get_backend("cupy")
    assert get_backend("auto").name == backend.cpu_backend()


def fake_cuda(monkeypatch, version):
    nvrtc = types.ModuleType("cupy.cuda.nvrtc")
    nvrtc.getVersion = version
    cuda = types.ModuleType("cupy.cuda")
    cuda.is_available, cuda.nvrtc = lambda: True, nvrtc
    fake_cupy(monkeypatch, types.SimpleNamespace(cuda=cuda))
    monkeypatch.setitem(sys.modules, "cupy.cuda", cuda)
    monkeypatch.setitem(sys.modules, "cupy.cuda.nvrtc", nvrtc)


def test_cupy_without_a_compiler(monkeypatch):
    def missing():
        raise RuntimeError("libnvrtc.so.13 is not found")

    fake_cuda(monkeypatch, missing)
    with pytest.raises(MindrawError, match="no NVRTC to compile the kernels with: pip install"):
        get_backend("cupy")
    assert get_backend("auto").name == backend.cpu_backend()


def test_the_complex_step_stays_on_numpy(monkeypatch):
    fake_cuda(monkeypatch, lambda: (13, 0))
    with pytest.raises(MindrawError, match="complex step runs on the backend numpy only"):
        get_backend("cupy", "complex128")


def test_numba_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        MindrawError, match=r"Numba is not installed: pip install 'mindraw\[numba\]'"
    ):
        get_backend("numba")


def test_numba_that_does_not_import(monkeypatch):
    monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(MindrawError, match="Numba is installed and does not import"):
        get_backend("numba")
    assert get_backend("auto").name == "numpy"


def test_numba_is_for_float32_unless_it_is_asked_for(monkeypatch):
    pytest.importorskip("numba", reason="Numba is not installed")
    monkeypatch.setattr(backend, "why_no_cupy", lambda: "there is none")
    assert get_backend("auto").name == "numba"
    assert get_backend("auto", "float64").name == "numpy"
    assert get_backend("auto", "complex128").name == "numpy"
    assert get_backend("numba", "float64").name == "numba"
    with pytest.raises(MindrawError, match="complex step runs on the backend numpy only"):
        get_backend("numba", "complex128")
