"""Both twins on the same arguments."""

import inspect

import numpy as np
from cases import GLIMPSE, Maker, attention, glimpse, kernel_of, launch

from mindraw import get_backend
from mindraw.kernels import reference
from mindraw.nn.filterbank import Bank, Grid, bank_shapes

#: Of the largest number in an array.
TOLERANCE = {"float32": 3e-6, "float64": 1e-13}


def compare(fused, name, arguments, sets, more=1, **conversion):
    """Assert that `fused` sets what `reference` sets in float64.

    A kernel whose steps are several kernels' may depart from it `more` times as far.
    """
    function = getattr(reference, name)
    names = dict.fromkeys(key.partition(".")[0] for key in arguments)
    assert list(names) == list(inspect.signature(function).parameters)
    expected = launch(function, arguments, convert=lambda buffer: buffer.astype(np.float64))
    got = launch(getattr(fused, name), arguments, **conversion)
    for key in sets:
        scale = max(1.0, np.abs(expected[key]).max(initial=0))
        tolerance = more * TOLERANCE[str(got[key].dtype)] * scale
        np.testing.assert_allclose(got[key], expected[key], rtol=0, atol=tolerance, err_msg=key)
    return got


def compare_attention(fused, name, maker, *sizes, **conversion):
    """Compare a kernel of `ATTENTION` or of `GLIMPSE`, whose steps are those of several others."""
    draw, more = (glimpse, 30) if name in GLIMPSE else (attention, 1)
    arguments, sets = draw(name, maker, *sizes)
    return compare(fused, kernel_of(name), arguments, sets, more, **conversion)


def compare_noise(fused, n, dtype, **conversion):
    """Assert that both twins draw the same n numbers: in one dtype, for each has its own."""
    eps = Maker(0, dtype, apart=False).dense(n)
    numbers = {"key0": 2**63 - 1, "key1": 5, "number": 2**40 + 3}
    expected = launch(reference.standard_normal, {"eps": eps} | numbers)["eps"]
    got = launch(fused.standard_normal, {"eps": eps} | numbers, **conversion)["eps"]
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE[dtype] * 8)


def compare_narrow(kernels, dtype, log_s2):
    """Read through filters narrower than a pixel, and back, beside the reference in float64."""
    found = [_narrow(*how, log_s2) for how in ((kernels, dtype), (reference, "float64"))]
    for ours, theirs in zip(*found, strict=True):
        tolerance = 1e4 * TOLERANCE[dtype] * max(1, np.abs(theirs).max())
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance)


def _narrow(kernels, dtype, log_s2):
    rng, B, N, A = np.random.default_rng(0), 8, 3, 20
    grid = Grid(get_backend("numpy", dtype), A, A, N)
    p = np.zeros((5, B), dtype)
    p[:2], p[2] = rng.uniform(-1.5, 1.5, (2, B)), log_s2
    shapes = bank_shapes(B, A, A, 1, N)
    bank = Bank(grid, p, {key: np.zeros(shape, dtype) for key, shape in shapes.items()})
    x, bias = rng.random((B, A, A)).astype(dtype), np.zeros((5, 1), dtype)
    dr = rng.standard_normal((B, N, N)).astype(dtype)
    r, dp = np.zeros((B, N, N), dtype), np.zeros((5, B), dtype)
    kernels.attentive_read_forward(r, None, bank, bias, grid, x, None)
    kernels.attentive_read_backward(dp, None, None, dr, None, bank, grid, r, None, x)
    return r, np.float64(dp[:2]) * np.exp(log_s2), dp[2:]
