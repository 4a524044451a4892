"""Products on the CPU: of cuBLAS the same calls, into a library that stands in for it, and the
kernel for short ones under the emulation of CUDA."""

import ctypes
import re
import subprocess
from types import SimpleNamespace

import emulation
import numpy as np
import pytest

from mindraw.errors import MindrawError
from mindraw.kernels import cublas, matmul, reference


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
        self.fill, self._array, self.size = array.fill, array, array.size
        self.shape, self.strides, self.dtype = array.shape, array.strides, array.dtype
        self.itemsize = array.itemsize
        self.data = SimpleNamespace(ptr=array.ctypes.data)

    T = property(lambda self: OnDevice(self._array.T))

    def __len__(self):
        return len(self._array)


WORKSPACE = SimpleNamespace(data=SimpleNamespace(ptr=1 << 12))


@pytest.fixture
def handle(library, monkeypatch):
    handle = cublas.Handle(library, 5, WORKSPACE)
    monkeypatch.setattr(cublas, "current", lambda: handle)
    monkeypatch.setattr(matmul, "tensor_cores", lambda: False)
    return handle


#: Every kernel for short products, as the macros of the source name them.
KERNELS = re.findall(r"^(?:MATMUL|LSTM|LSTM_BACK)\((\w+),", matmul.source(), re.MULTILINE)


@pytest.fixture(scope="session")
def short(tmp_path_factory):
    reason = emulation.why_not()
    if reason is not None:
        pytest.skip(reason)

    def build(source):
        return emulation.build(tmp_path_factory.mktemp("matmul"), "f", source, names=KERNELS)

    return build


@pytest.fixture
def launched(monkeypatch):
    """Take kernels from a library of the emulation, one order of threads after the other."""
    names = []

    def use(library):
        def kernel(name):
            names.append(name)
            found = emulation.Kernel(library, name, len(names) % 2 == 0)
            found.wide = True
            return found

        monkeypatch.setattr(matmul, "_kernel", kernel)
        monkeypatch.setattr(matmul, "tensor_cores", lambda: True)
        return names

    return use


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
    matmul.matmul(OnDevice(a), OnDevice(b), out=OnDevice(out))
    np.testing.assert_allclose(out, a @ b, rtol=1e-5 if dtype == "float32" else 1e-13, atol=1e-5)
    assert np.isnan(around).sum() == around.size - out.size


def test_what_does_not_fit_is_refused(handle):
    a, b, out = (np.zeros(shape, np.float32) for shape in ((2, 3), (3, 4), (2, 4)))
    spread = np.zeros((4, 8), np.float32)[::2, ::2]

    def refuse(error, said, *arrays):
        one, other, to = map(OnDevice, arrays)
        with pytest.raises(error, match=said):
            matmul.matmul(one, other, out=to)

    refuse(ValueError, "does not fit", a, b.T, out)
    refuse(ValueError, "does not fit", a, b, out[:, :3])
    refuse(TypeError, "float64", a.astype(np.float64), b, out)
    refuse(TypeError, "int32", *(array.astype(np.int32) for array in (a, b, out)))
    refuse(ValueError, "in one piece", spread, np.zeros((4, 4), np.float32), spread)
    refuse(ValueError, "in one piece", a, b, np.zeros((4, 2), np.float32).T)
    refuse(ValueError, "in one piece", np.broadcast_to(a[:1], (2, 3)), b, out)
    refuse(ValueError, "in one piece", np.broadcast_to(a[:1, :1], (1, 3)), b, out[:1])
    overlapping = np.lib.stride_tricks.as_strided(a, (2, 3), (4, 4))
    refuse(ValueError, "in one piece", overlapping, b, out)


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


def aligned(rng, rows, columns, offset):
    """Return random float32 numbers that begin `offset` numbers behind a multiple of 64 bytes."""
    base = np.zeros(rows * columns + 32, np.float32)
    start = -base.ctypes.data // 4 % 16 + offset
    array = base[start : start + rows * columns].reshape(rows, columns)
    array[:] = rng.standard_normal((rows, columns))
    return array


def worst_error(m, k, n, turned, offset, seed=0):
    """Multiply, and return the largest error, in parts of the sum of the products' sizes."""
    rng = np.random.default_rng(seed)
    a = aligned(rng, k, m, offset).T if turned else aligned(rng, m, k, offset)
    b = aligned(rng, k, n, 0)
    around = np.full((m + 2, n + 4), np.nan, np.float32)
    out = around[1:-1, 2:-2]
    matmul.matmul(OnDevice(a), OnDevice(b), out=OnDevice(out))
    exact, sizes = np.float64(a) @ np.float64(b), np.abs(np.float64(a)) @ np.abs(np.float64(b))
    assert np.isnan(around).sum() == around.size - out.size or np.isnan(out).any()
    return np.nan_to_num(np.abs(out - exact), nan=np.inf).max() / sizes.max()


SHORT = [(64, 48, 100), (35, 40, 100), (33, 30, 36), (17, 1, 5), (40, 264, 33), (1, 300, 1)]


def all_products():
    """Yield the errors of products that take every kernel."""
    for at_a_time in (0, 132):
        matmul.AT_A_TIME, before = at_a_time, matmul.AT_A_TIME
        try:
            for sizes in SHORT:
                for turned in (False, True):
                    for offset in (0, 2, 1):
                        yield worst_error(*sizes, turned, offset)
        finally:
            matmul.AT_A_TIME = before


def test_short_products(short, launched):
    names = launched(short(matmul.source()))
    assert max(all_products()) < 4e-7  # NumPy's own float32: 3e-7
    assert set(names) == {name for name in KERNELS if name.startswith("matmul")}


@pytest.mark.parametrize("width", [4, 2])
def test_numbers_are_read_together_only_where_they_may_be(short, launched, monkeypatch, width):
    """The emulation tells what a GPU would stop at."""
    launched(short(matmul.source()))
    monkeypatch.setattr(matmul, "_width", lambda matrix, apart, length: 4)
    wanted = f"matmul_rows_16_width_{width}"
    kernel = matmul._kernel(wanted)
    monkeypatch.setattr(matmul, "_kernel", lambda name: kernel)
    with pytest.raises(AssertionError, match="from where they may not lie"):
        worst_error(64, 48, 100, False, width // 2)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf, 3.4028e38, -3.4028e38])
def test_what_is_not_finite_shows_in_a_short_product(short, launched, bad, turned):
    launched(short(matmul.source()))
    for first in (False, True):
        a, b, out = (np.ones(shape, np.float32) for shape in ((20, 30), (30, 36), (20, 36)))
        (a if first else b)[3, 5] = bad
        matmul.matmul(OnDevice(a.T.copy().T if turned else a), OnDevice(b), out=OnDevice(out))
        touched = np.zeros(out.shape, bool)
        touched[(3, slice(None)) if first else (slice(None), 5)] = True
        assert (out[~touched] == 30).all()
        if abs(bad) < np.inf:
            np.testing.assert_allclose(out[touched], bad, rtol=1e-6)
        else:
            assert not np.isfinite(out[touched]).any()


def test_more_blocks_than_a_grid_has_are_left_to_cublas(launched):
    launched(None)
    most = matmul.UNITS * matmul.MOST_BLOCKS
    for m, fits in ((most, True), (most + 1, False)):
        a, b = np.zeros((m, 1), np.float32), np.zeros((1, 4), np.float32)
        assert matmul.fits(OnDevice(a), OnDevice(b)) is fits


def test_short_products_in_tf32(short, launched, monkeypatch):
    launched(short(matmul.source()))
    monkeypatch.setenv("CUPY_TF32", "1")
    assert 1e-6 < worst_error(64, 512, 32, False, 0) < 1e-3
    monkeypatch.setenv("CUPY_TF32", "0")
    assert worst_error(64, 512, 32, False, 0) < 1e-6


def test_which_products_are_short(handle, launched, monkeypatch):
    names = launched(None)
    monkeypatch.setattr(matmul, "_kernel", lambda name: lambda *launch: names.append(name))
    called = []
    monkeypatch.setattr(handle, "multiply", lambda *arguments: called.append(arguments))

    def which(m, k, n, turned=False, dtype=np.float32):
        names.clear()
        called.clear()
        a, b = (
            np.zeros((m, k), dtype),
            np.zeros((n, k), dtype).T if turned else np.zeros((k, n), dtype),
        )
        matmul.matmul(OnDevice(a), OnDevice(b), out=OnDevice(np.zeros((m, n), dtype)))
        assert len(names) + len(called) == 1
        return names[0] if names else "cuBLAS"

    assert which(1024, 520, 100) == "matmul_rows_32_width_4"
    assert which(200, 256, 100) == "matmul_rows_16_width_4"
    assert which(528, 256, 100) == "matmul_rows_16_width_4"
    assert which(532, 256, 100) == "matmul_rows_32_width_4"
    assert which(1024, 562, 100) == "matmul_rows_32_width_2"
    assert which(1024, 563, 100) == "matmul_rows_32_width_1"
    assert which(1024, 520, 99) == "matmul_rows_32_width_1"
    assert which(1024, 520, 100, dtype=np.float64) == "cuBLAS"
    assert which(1024, 6400, 520, turned=True) == "cuBLAS"  # a weight's gradient
    assert which(3200, 2464, 100) == "cuBLAS"  # as much work as cuBLAS is made for


#: Units of an LSTM, its inputs, a minibatch, and rows of what it gives.
LSTMS = [(20, 36, 40, 12), (13, 30, 36, 5), (14, 6, 8, 2), (8, 17, 33, 1), (1, 5, 4, 3)]


def lstm_errors(units, n, B, rows, seed=0):
    """Yield the largest error of what a step of an LSTM sets, forward and backward."""
    rng = np.random.default_rng(seed)

    def arrays(**shapes):
        return {key: aligned(rng, *shape, 0) for key, shape in shapes.items()}

    step = {"h": (units, B), "cell": (units, B), "gates": (4 * units, B)}
    for constant in (1, B):
        given = arrays(constant=(4 * units, constant), cell_prev=(units, B))
        product = arrays(W=(4 * units, n), u=(n, B))
        found = {key: np.full(shape, np.nan, np.float32) for key, shape in step.items()}
        ours = {key: OnDevice(array) for key, array in (found | given | product).items()}
        assert matmul.lstm_forward(**ours)
        expected = {key: np.zeros(shape) for key, shape in step.items()}
        expected["gates"] = np.float64(product["W"]) @ np.float64(product["u"])
        reference.lstm_forward(**expected, **{key: np.float64(a) for key, a in given.items()})
        yield max(np.abs(found[key] - expected[key]).max() for key in step)
    flows = {"dh_u": (units, B), "dh_v": (units, B)}
    for there in ((), ("dh_u",), ("dh_u", "dh_v")):
        given = arrays(**flows, **step, cell_prev=(units, B))
        given |= {key: None for key in flows if key not in there}
        del given["h"]
        product = arrays(W=(rows, units), dy=(rows, B))
        found = arrays(dgates=(4 * units, B), dcell=(units, B))
        exact = {
            key: None if array is None else np.float64(array)
            for key, array in (found | given).items()
        }
        exact["dh"] = np.float64(product["W"]).T @ np.float64(product["dy"])
        reference.lstm_backward(**exact)
        every = (found | given | product).items()
        ours = {key: None if array is None else OnDevice(array) for key, array in every}
        assert matmul.lstm_backward(**ours)
        yield max(np.abs(found[key] - exact[key]).max() for key in found) / 10


def all_lstms():
    for at_a_time in (0, 132):
        matmul.AT_A_TIME, before = at_a_time, matmul.AT_A_TIME
        try:
            for sizes in LSTMS:
                yield from lstm_errors(*sizes)
        finally:
            matmul.AT_A_TIME = before


def test_an_lstm_in_one_launch(short, launched):
    names = launched(short(matmul.source()))
    assert max(all_lstms()) < 5e-6
    assert set(names) == {name for name in KERNELS if name.startswith("lstm")}


def test_an_lstm_in_one_launch_only_where_it_is_short(launched, monkeypatch):
    launched(None)
    small, large = (np.zeros((4 * n, n), np.float32) for n in (10, 1000))
    nothing = [None] * 5
    assert not matmul.lstm_forward(*nothing, OnDevice(large), OnDevice(large[:1000, :3]))
    assert not matmul.lstm_forward(
        *nothing, OnDevice(small.astype(float)), OnDevice(small[:10, :3].astype(float))
    )
    monkeypatch.setattr(matmul, "tensor_cores", lambda: False)
    assert not matmul.lstm_backward(*nothing, *nothing[:2], OnDevice(small), OnDevice(small[:, :3]))


FAULTS = [
    ("? 0x1000u : 0u)) & 0xffffe000u", "? 0u : 0u)) & 0xfffe0000u"),
    ("multiply_add(small[i][j], a_low[i], b_high);", ""),
    ("multiply_add(small[i][j], a_high[i], b_low);", ""),
    ("n, N, k + CHUNK * PARTS<S>, K", "n, N, k + CHUNK, K"),
    ("    __syncthreads();\n}\n\ntemplate <int S>", "}\n\ntemplate <int S>"),
    ("warp < PARTS<S>", "warp < PARTS<S> - 1"),
    ("n + column < N)", "n + column <= N)"),
    ("2 * i + part % 2, 2 * q", "2 * i + part / 2, 2 * q"),
    ("4 * (2 * t + part % 2) + j", "2 * (4 * t + part % 2) + j"),
    ("{first, units, 0, units}", "{first, units, 8, units}"),
    ("WARP + 8 * gate, LANE", "WARP + 8 * (gate ^ 1), LANE"),
    ("first + row < units && b < N", "first + row < units - 1 && b < N"),
    ("row += PARTS<S>", "row += 2 * PARTS<S>"),
    ("if (u_there) d +=", "if (!u_there) d +="),
]


@pytest.mark.parametrize("there, planted", FAULTS)
def test_planted_faults_are_found(short, launched, there, planted):
    source = matmul.source()
    assert source.count(there) == 1, source.count(there)
    launched(short(source.replace(there, planted)))
    try:
        worst = max(all_products()), np.nan_to_num(max(all_lstms()), nan=np.inf)
    except AssertionError:  # a thread wrote beside the product, or waits for ever
        return
    assert worst[0] > 4e-7 or worst[1] > 5e-6
