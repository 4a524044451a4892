"""The compiled kernels against their reference."""

import functools
import inspect

import numpy as np
import pytest
from cases import ELEMENTWISE, GLIMPSE, Maker, adam, elementwise, kernel_of
from comparing import TOLERANCE, compare, compare_attention, compare_narrow

from mindraw import Adam, Classifier, ClassifierConfig, Draw, DrawConfig, get_backend
from mindraw.gradcheck.operations import OPERATIONS
from mindraw.gradcheck.suite import compare_with
from mindraw.kernels import reference

pytest.importorskip("numba", reason="Numba is not installed")
from mindraw.kernels import compiled
from mindraw.kernels.compiled import elementary

SIZES = [(9, 33), (3, 70), (300, 5), (1, 1), (17, 1), (0, 3), (4, 0)]
GLIMPSES = [(3, 5, 40, 3), (35, 2, 7, 1), (1, 1, 1, 1), (2, 12, 28, 1), (0, 3, 4, 2)]
OURS = [name for name in ELEMENTWISE if kernel_of(name) in compiled.__all__]


def test_there_is_a_case_for_each():
    assert {kernel_of(name) for name in (*OURS, *GLIMPSE, "adam")} == set(compiled.__all__)


@pytest.mark.parametrize("name", compiled.__all__)
def test_signatures_are_the_references(name):
    ours, theirs = (inspect.signature(getattr(m, name)) for m in (compiled, reference))
    assert ours == theirs


@pytest.mark.parametrize("apart", [False, True], ids=["together", "apart"])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", OURS)
def test_elementwise(name, dtype, apart):
    for seed, (n, B) in enumerate(SIZES):
        arguments, sets = elementwise(name, Maker(seed, dtype, apart), n, B)
        compare(compiled, kernel_of(name), arguments, sets)


@pytest.mark.parametrize("apart", [False, True], ids=["together", "apart"])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", GLIMPSE)
def test_glimpses(name, dtype, apart):
    for seed, sizes in enumerate(GLIMPSES):
        compare_attention(compiled, name, Maker(seed, dtype, apart), *sizes)


@pytest.mark.parametrize("name", GLIMPSE)
def test_large_glimpses_are_for_blas(name, monkeypatch):
    monkeypatch.setattr(compiled.attentive, "LARGEST", 0)
    function, called = getattr(reference, kernel_of(name)), []

    @functools.wraps(function)
    def watched(*arguments, **named):
        called.append(name)
        return function(*arguments, **named)

    monkeypatch.setattr(reference, kernel_of(name), watched)
    compare_attention(compiled, name, Maker(0, "float64", False), 2, 3, 8, 1)
    assert len(called) == 2  # once as the reference


@pytest.mark.parametrize("norm", [0.5, 30.0], ids=["free", "clipped"])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("size", [0, 1, 1000])
def test_adam(size, dtype, norm):
    compare(compiled, "adam", *adam(Maker(3, dtype, apart=False), size, norm))


def test_nothing_changes_after_an_update_that_was_not_finite():
    theta, moments = np.ones(100), np.zeros((2, 100))
    compiled.adam(
        theta, *moments, None, np.ones(100), np.array([np.nan, 2]), 1.0, 0.1, 0.5, 0.999, 1e-8, 3
    )
    assert (theta == 1).all() and (moments == 0).all()


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("log_s2", [-5, -10, -15, -19, -25, -40, -85])
def test_narrow_filters(log_s2, dtype):
    compare_narrow(compiled, dtype, log_s2)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_gradients_of_every_operation(operation):
    ours, numpy = (get_backend(name, "float64") for name in ("numba", "numpy"))
    for result in compare_with(operation, numpy, ours):
        assert result.error <= result.tolerance, result


MODELS = [
    (Draw, DrawConfig(H=5, W=4, C=2, T=3, h_enc=6, h_dec=5, z=3)),
    (Draw, DrawConfig(H=5, W=4, C=2, T=3, h_enc=6, h_dec=5, z=3, read_n=3, write_n=2)),
    (Classifier, ClassifierConfig(H=9, W=8, T=3, h=6, read_n=3, classes=4)),
]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kind, config", MODELS, ids=["whole", "attentive", "classifier"])
def test_models_train_as_with_numpy(kind, config, threads):
    rng, results = np.random.default_rng(5), []
    x = rng.random((config.D, 4))
    other = rng.standard_normal((config.T, config.z, 4)) if kind is Draw else np.eye(4)
    for name, dtype in (("numpy", "float64"), ("numba", "float64"), ("numba", "float32")):
        ops = get_backend(name, dtype)
        model = kind(config, ops, batch=4, threads=threads)
        model.initialise(1, scale=0.4)
        adam = Adam(model.parameters, ops, lr=0.05, clip=0.5)
        losses = []
        for _ in range(3):
            losses += [part.copy() for part in model.loss_and_gradient(x, other)]
            adam.step(model.gradients)
        results.append((np.array(losses), model.parameters.flat.copy()))
    for found, tolerance in zip(results[1:], (1e-10, 2e-4), strict=True):
        for ours, theirs in zip(found, results[0], strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_what_is_not_a_number_shows(dtype):
    m = Maker(0, dtype, False)
    for name, bad, sets in (
        ("lstm_forward", "gates", "h"),
        ("lstm_backward", "cell", "dgates"),
        ("gaussian_forward", "q", "z"),
        ("gaussian_backward", "q", "dq"),
        ("error_image_forward", "canvas", "x_hat"),
        ("error_image_backward", "dcanvas", "dcanvas_prev"),
    ):
        arguments, _ = elementwise(name, m, 3, 20)
        arrays = {
            key: value.on(lambda buffer: buffer)[1] if hasattr(value, "on") else value
            for key, value in arguments.items()
        }
        arrays[bad][1, 17] = np.nan
        getattr(compiled, name)(**arrays)
        assert np.isnan(arrays[sets][1, 17]), name
        assert np.isfinite(arrays[sets][:, :17]).all(), name


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_beyond_what_exp_and_tanh_tell_apart(dtype):
    """No gate leaves [0, 1], and what is too large for a number is infinite."""
    gates = np.array([[-1e4, -90, -20, 0, 20, 90, 1e4]] * 4, dtype)
    h, cell, before = np.zeros((1, 7), dtype), np.zeros((1, 7), dtype), np.zeros((1, 7), dtype)
    compiled.lstm_forward(h, cell, gates, np.zeros((4, 1), dtype), before)
    i, _, _, g = gates
    assert (i >= 0).all() and (i <= 1).all() and (np.abs(g) <= 1).all()
    np.testing.assert_allclose(i, [0, 0, 0, 0.5, 1, 1, 1], atol=3e-7)
    q, z = np.array([[0.0], [800.0]], dtype), np.zeros((1, 1), dtype)
    latent = np.zeros(1, dtype)
    compiled.gaussian_forward(z, latent, q, np.zeros((2, 1), dtype), np.ones((1, 1), dtype))
    assert z == np.inf and latent == np.inf


def test_without_a_folder_for_it_compiled_code_is_not_kept(monkeypatch):
    def nowhere(**options):
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(elementary, "njit", nowhere)
    assert not elementary._can_cache()


def test_columns_that_lie_apart_are_refused():
    x = np.zeros((3, 8))[:, ::2]
    with pytest.raises(ValueError, match="contiguous columns"):
        compiled.error_image_forward(x, x, x)
