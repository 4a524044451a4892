"""The filterbank: places counted from 0, the edge off the image, finite at every extreme."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindraw import Draw, DrawConfig, get_backend
from mindraw.nn import filterbank


def build(p, H, W, N, dtype="float64"):
    """Build both filterbanks for parameters gx~, gy~, log s2, log d~, log gamma, (5, B)."""
    ops = get_backend("numpy", dtype)
    p = ops.asarray(p)
    B = p.shape[1]
    grid = filterbank.Grid(ops, H, W, N)
    mu, a = ops.empty((2, B, N)), ops.empty((5, B))
    rest = grid.centre, grid.stride, grid.offsets
    ops.kernels.place_forward(mu, a, p.copy(), ops.zeros((5, 1)), *rest)
    banks = []
    for axis, pixels in enumerate((grid.columns, grid.rows)):
        F, e = ops.empty((1, B, N, pixels.size)), ops.empty((1, B, N, pixels.size))
        ops.kernels.filterbank_forward(F, e, mu[axis : axis + 1], a[2], pixels)
        banks.append((F[0], e[0], pixels))
    return ops, grid, mu, a, banks


def gradient(ops, grid, mu, a, banks, dFs):
    B, N = mu.shape[1:]
    dmu, dlog_s2, dp = ops.empty((2, B, N)), ops.empty((2, B)), ops.empty((5, B))
    for k, ((F, e, pixels), dF) in enumerate(zip(banks, dFs, strict=True)):
        one, filters = slice(k, k + 1), (array[None] for array in (dF.copy(), F.copy(), e))
        ops.kernels.filterbank_backward(dmu[one], dlog_s2[one], *filters, a[2], pixels)
    rest = ops.zeros((B,)), a, grid.centre, grid.offsets
    ops.kernels.place_backward(dp, dmu, dlog_s2, *rest)
    return dp


def directly(mu, s2, A):
    """Equation 25 as it is printed, with the square on (a - mu) alone."""
    weight = np.exp(-((np.arange(A) - mu[:, None]) ** 2) / (2 * s2))
    return weight / weight.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("H", "W", "N"), [(28, 28, 2), (28, 28, 5), (9, 20, 3), (60, 31, 12)])
def test_it_is_the_papers_filterbank_counted_from_zero(H, W, N):
    p = np.array([[0.1, -0.3], [-0.2, 0.4], [0.5, 1.0], [-0.7, -0.2], [0.0, 0.0]])
    _, _, mu, _, banks = build(p, H, W, N)
    for k in range(2):
        d = (max(H, W) - 1) / (N - 1) * np.exp(p[3, k])
        for axis, A in enumerate((W, H)):
            g = (A + 1) / 2 * (p[axis, k] + 1) - 1
            centres = g + (np.arange(N) - (N - 1) / 2) * d
            np.testing.assert_allclose(mu[axis, k], centres, rtol=1e-12)
            want = directly(centres, np.exp(p[2, k]), A)
            np.testing.assert_allclose(banks[axis][0][k], want, rtol=1e-9, atol=1e-14)


def test_at_rest_the_grid_spans_the_image():
    for N in (2, 5, 12):
        _, _, mu, _, _ = build(np.zeros((5, 1)), 28, 28, N)
        np.testing.assert_allclose(mu[:, 0], np.tile(np.linspace(0, 27, N), (2, 1)), atol=1e-12)


def test_a_single_filter_stands_in_the_centre():
    _, _, mu, _, _ = build(np.zeros((5, 1)), 7, 11, 1)
    assert mu[:, 0, 0].tolist() == [5.0, 3.0]


def test_off_the_image_a_filter_reads_the_edge():
    p = np.array([[20.0], [-20.0], [0.0], [-6.0], [0.0]])
    _, _, mu, _, (columns, rows) = build(p, 28, 28, 3)
    assert (mu[0] > 100).all() and (mu[1] < -100).all()
    np.testing.assert_allclose(rows[0][0], np.tile(np.eye(28)[0], (3, 1)), atol=1e-12)
    np.testing.assert_allclose(columns[0][0], np.tile(np.eye(28)[27], (3, 1)), atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@settings(max_examples=150, deadline=None)
@given(
    g=st.tuples(st.floats(-9, 9), st.floats(-9, 9)),
    log_s2=st.floats(-12, 12),
    log_d=st.floats(-6, 6),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 12)),
)
def test_values_and_gradients_stay_finite_without_a_warning(dtype, g, log_s2, log_d, shape):
    p = np.array([[g[0]], [g[1]], [log_s2], [log_d], [0.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        built = build(p, *shape, dtype)
        rng = np.random.default_rng(0)
        dFs = [rng.standard_normal(F.shape).astype(dtype) for F, _, _ in built[4]]
        for F, _, _ in built[4]:
            np.testing.assert_allclose(F.sum(axis=2), 1, rtol=1e-5)
        assert np.isfinite(gradient(*built, dFs)).all()


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 30), st.integers(1, 30), st.integers(1, 6)),
    B=st.integers(1, 3),
    seed=st.integers(0, 2**20),
)
def test_the_gradient_agrees_with_the_complex_step(shape, B, seed):
    rng = np.random.default_rng(seed)
    p = 0.7 * rng.standard_normal((5, B))
    built = build(p, *shape)
    dFs = [rng.standard_normal(F.shape) for F, _, _ in built[4]]
    dp = gradient(*built, dFs)
    for i in range(4):
        for k in range(B):
            q = p.astype(complex)
            q[i, k] += 1e-30j
            _, _, _, _, banks = build(q, *shape, "complex128")
            total = sum((F * dF).sum() for (F, _, _), dF in zip(banks, dFs, strict=True))
            assert abs(total.imag / 1e-30 - dp[i, k]) <= 1e-12 * max(1.0, abs(dp).max())


def test_writing_is_the_transpose_of_reading():
    rng = np.random.default_rng(0)
    H, W, C, N, B = 6, 5, 3, 2, 2
    ops = get_backend("numpy", "float64")
    Fy, Fx = rng.random((B, N, H)), rng.random((B, N, W))
    image, patch = rng.random((B, H * C, W)), rng.random((B, N, C * N))
    read, half, written = ops.empty(patch.shape), ops.empty((B, N, C * W)), ops.empty(image.shape)
    ops.kernels.read_forward(read, half, image, None, Fy, Fx)
    written.fill(0)
    ops.kernels.write_forward(written, ops.empty(image.shape), half, patch, Fy, Fx)
    np.testing.assert_allclose((read * patch).sum(), (image * written).sum(), rtol=1e-12)
    by_channel = np.einsum("bih,bhcw,bjw->bicj", Fy, image.reshape(B, H, C, W), Fx)
    np.testing.assert_allclose(read.reshape(B, N, C, N), by_channel, rtol=1e-12)


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_a_picture_in_one_channel_is_read_and_written_in_that_channel(channel):
    H, W, C, N, B = 9, 7, 3, 4, 2
    config = DrawConfig(H=H, W=W, C=C, T=1, h_enc=5, h_dec=6, z=2, read_n=N, write_n=N)
    model = Draw(config, get_backend("numpy", "float64"), batch=B, threads=1)
    model.initialise(0, scale=0.3)
    x = np.zeros((C, H * W, B))
    x[channel] = np.random.default_rng(0).random((H * W, B)) + 0.1
    model.loss(x.reshape(-1, B), np.zeros(model.noise_shape()))
    r = model.tape.inputs[: model.canvas.R, :B].reshape(2, N, C, N, B)[0]
    assert all(r[:, c].any() == (c == channel) for c in range(C))
    # and out again: a stroke whose only paint is in that channel
    model.parameters.write.W[...] = 0
    model.parameters.write.b.reshape(N, C, N)[:, channel] = 1
    picture = model.generate(np.zeros(model.noise_shape()))[0].reshape(C, H * W, B)
    assert all((picture[c] != 0.5).any() == (c == channel) for c in range(C))
