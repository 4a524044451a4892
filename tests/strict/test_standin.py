"""The stand-in refuses what CuPy refuses, and so does CuPy, where it can be asked without a GPU."""

import copy
import warnings

import numpy as np
import pytest
from standin import Refused, StrictArray, get_standin

from mindraw.kernels import reference

HOST = np.ones((2, 3), np.float32)


@pytest.fixture
def ops():
    return get_standin("float32")


def in_place(a, other):
    a += other


def into_numpy(a):
    HOST.copy()[...] = a


def set_item(a, key, value):
    a[key] = value


#: What CuPy raises for, as its documentation says: no implicit conversion, no mixing.
AS_CUPY = {
    "numpy.asarray": lambda xp, a: np.asarray(a),
    "numpy.array": lambda xp, a: np.array(a),
    "numpy.array of a list": lambda xp, a: np.array([a, a]),
    "setting NumPy to it": lambda xp, a: into_numpy(a),
    "setting it to NumPy": lambda xp, a: set_item(a, 0, HOST[0]),
    "copyto from NumPy": lambda xp, a: xp.copyto(a, HOST),
    "copyto to NumPy": lambda xp, a: xp.copyto(HOST.copy(), a),
    "matmul with NumPy": lambda xp, a: xp.matmul(a, HOST.T, out=a[:, :2]),
    "matmul into NumPy": lambda xp, a: xp.matmul(a, a.T, out=np.ones((2, 2), np.float32)),
    "sum into NumPy": lambda xp, a: xp.sum(a, axis=1, out=np.ones(2, np.float32)),
    "as an index": lambda xp, a: [1, 2, 3][a[0, 0]],
    "as a key": lambda xp, a: hash(a),
}
#: The same; without a GPU, CuPy fails before it gets that far.
AS_CUPY_ON_A_GPU = {
    "numpy.add": lambda xp, a: np.add(a, a),
    "numpy.sum": lambda xp, a: np.sum(a),
    "numpy.add into it": lambda xp, a: np.add(HOST, HOST, out=a),
    "adding NumPy": lambda xp, a: a + HOST,
    "adding to NumPy": lambda xp, a: HOST + a,
    "NumPy in place": lambda xp, a: in_place(HOST.copy(), a),
    "adding NumPy in place": lambda xp, a: in_place(a, HOST),
    "multiplying a list": lambda xp, a: a * [1, 2, 3],
    "add with NumPy": lambda xp, a: xp.add(a, HOST, out=a),
    "add into NumPy": lambda xp, a: xp.add(a, a, out=HOST.copy()),
    "filling with NumPy": lambda xp, a: a.fill(HOST),
}
#: What CuPy would do, waiting for the device or changing the precision.
BEYOND_CUPY = {
    "float": lambda xp, a: float(a[0, 0]),
    "int": lambda xp, a: int(a[0, 0]),
    "complex": lambda xp, a: complex(a[0, 0]),
    "bool": lambda xp, a: bool(a[0, 0]),
    "if": lambda xp, a: 1 if a[0, 0] else 2,
    "item": lambda xp, a: a[0, 0].item(),
    "tolist": lambda xp, a: a.tolist(),
    "get": lambda xp, a: a.get(),
    "range": lambda xp, a: range(a[0, 0]),
    "iterating": lambda xp, a: list(a),
    "in": lambda xp, a: 1.0 in a,
    "==": lambda xp, a: a == a,
    "<": lambda xp, a: a[0, 0] < 1,
    "max": lambda xp, a: max(a[0, 0], 5.0),
    "numpy.float64": lambda xp, a: a * np.float64(2),
    "numpy.float32 in place": lambda xp, a: in_place(a, np.float32(2)),
    "complex numbers": lambda xp, a: a * 1j,
    "float64 in place": lambda xp, a: in_place(a, xp.zeros((2, 3), np.float64)),
    "float64 set": lambda xp, a: set_item(a, 0, xp.zeros(3, np.float64)),
    "float64 in matmul": lambda xp, a: xp.matmul(a, xp.zeros((3, 2), np.float64), out=a[:, :2]),
    "float64 out": lambda xp, a: xp.add(a, a, out=xp.zeros((2, 3), np.float64)),
    "float64 copied": lambda xp, a: xp.copyto(a, xp.zeros((2, 3), np.float64)),
    "matmul without out": lambda xp, a: xp.matmul(a, a.T),
    "sum without out": lambda xp, a: xp.sum(a, axis=0),
    "a list as an index": lambda xp, a: a[[0, 1]],
    "an array as an index": lambda xp, a: a[np.array([0, 1])],
    "reshape that copies": lambda xp, a: a.T.reshape(6),
    "setting with a list": lambda xp, a: set_item(a, 0, [1, 2, 3]),
    "filling with a list": lambda xp, a: a.fill([1.0]),
    "array of itself": lambda xp, a: xp.array(a),
    "asnumpy of NumPy": lambda xp, a: xp.asnumpy(HOST),
    "copying by hand": lambda xp, a: np.copy(a),
    "bytes": lambda xp, a: a.tobytes(),
    "functions not listed": lambda xp, a: xp.exp(a),
    "methods not listed": lambda xp, a: a.astype(np.float64),
    "matrix product": lambda xp, a: a @ a.T,
}


@pytest.mark.parametrize("what", AS_CUPY | AS_CUPY_ON_A_GPU | BEYOND_CUPY)
def test_refused(ops, what):
    a = ops.asarray(HOST)
    with pytest.raises((TypeError, AttributeError)):
        (AS_CUPY | AS_CUPY_ON_A_GPU | BEYOND_CUPY)[what](ops.xp, a)
    np.testing.assert_array_equal(ops.to_numpy(a), HOST)


def cupy_array():
    try:
        import cupy
    except ImportError:
        pytest.skip("CuPy is not installed")
    if cupy.cuda.is_available():
        return cupy, cupy.asarray(HOST)
    memory = cupy.cuda.UnownedMemory(1 << 20, 1 << 20, None, 0)  # never touched
    pointer = cupy.cuda.MemoryPointer(memory, 0)
    return cupy, cupy.ndarray(HOST.shape, HOST.dtype, memptr=pointer)


@pytest.mark.parametrize("what", AS_CUPY)
def test_cupy_refuses_it_too(what):
    xp, a = cupy_array()
    warnings.simplefilter("ignore", DeprecationWarning)  # CuPy's __array__ takes no `copy`
    with pytest.raises((TypeError, ValueError, AttributeError)):
        AS_CUPY[what](xp, a)


@pytest.mark.parametrize("what", AS_CUPY_ON_A_GPU)
def test_cupy_refuses_it_too_on_a_gpu(what):
    xp, a = cupy_array()
    if not xp.cuda.is_available():
        pytest.skip("CuPy finds no GPU, and fails here before it looks at the arguments")
    with pytest.raises((TypeError, ValueError)):
        AS_CUPY_ON_A_GPU[what](xp, a)


#: Arguments of a kernel that must be refused.
KERNEL_ARGUMENTS = {
    "NumPy": lambda ops, a: (a, HOST),
    "float64": lambda ops, a: (a, ops.xp.zeros((2, 3), np.float64)),
    "a list": lambda ops, a: (a, [1.0]),
    "nothing": lambda ops, a: (a, None),
    "a NumPy scalar": lambda ops, a: (a, a, a, np.float64(0.5)),
}


@pytest.mark.parametrize("what", KERNEL_ARGUMENTS)
def test_kernels_refuse(ops, what):
    arguments = KERNEL_ARGUMENTS[what](ops, ops.asarray(HOST))
    kernel = ops.kernels.sigmoid if len(arguments) == 2 else ops.kernels.bernoulli_backward
    with pytest.raises(Refused):
        kernel(*arguments)


def test_what_is_allowed_computes_as_numpy(ops):
    a, b = ops.asarray(HOST), ops.asarray(2 * HOST)
    out = ops.empty((2, 2))
    assert np.isnan(ops.to_numpy(out)).all()
    ops.xp.matmul(a, b.T, out=out)
    np.testing.assert_array_equal(ops.to_numpy(out), HOST @ (2 * HOST.T))
    sums = ops.zeros((2, 1))
    ops.xp.sum(b, axis=1, keepdims=True, out=sums)
    a[:, 1:] *= sums
    a -= 1
    a[0] = b[0]
    b[...] = 1 - a / 2 + b.transpose(1, 0).swapaxes(0, 1)
    ops.kernels.sigmoid(a, b)
    expected = HOST.copy()
    expected[:, 1:] *= 6
    expected -= 1
    expected[0] = 2
    expected = 1 - expected / 2 + 2 * HOST
    np.testing.assert_array_equal(ops.to_numpy(b), expected)
    reference.sigmoid(expected, expected)
    np.testing.assert_array_equal(ops.to_numpy(a), expected)
    assert a.reshape(3, 2).shape == (3, 2) and len(a) == 2 and a[0, 0].shape == ()


def test_counts(ops):
    counts = ops.xp.counts
    a = ops.zeros((2, 3))
    assert tuple(counts) == (1, 0, 0)
    a += 1
    a[0].fill(2)
    ops.xp.add(a, a, out=a)
    assert tuple(counts) == (1, 0, 0)
    b = ops.asarray(HOST)
    assert tuple(counts) == (2, 1, 0)
    b + a
    ops.to_numpy(a)
    assert tuple(counts) == (3, 1, 1)
    ops.xp.matmul(a[:, :2], a[:, 1:], out=a[:, :2])
    assert counts.allocations == 5  # both operands overlap with out


def test_a_refusal_that_is_dropped_shows(ops, monkeypatch):
    """Without its guards the stand-in lets NumPy through, and the tests above would fail."""
    a = ops.asarray(HOST)
    monkeypatch.setattr(StrictArray, "__array__", lambda self, *_, **__: copy.copy(self._array))
    AS_CUPY["numpy.asarray"](ops.xp, a)
    monkeypatch.setattr(StrictArray, "_operand", lambda self, value: value)
    AS_CUPY_ON_A_GPU["adding NumPy in place"](ops.xp, a)
