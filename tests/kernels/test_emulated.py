"""The CUDA kernels against their reference, on the CPU: same sources, same launchers."""

import inspect

import numpy as np
import pytest
from cases import ATTENTION, ELEMENTWISE, GLIMPSE, Maker, adam, elementwise, kernel_of
from comparing import TOLERANCE, compare, compare_attention, compare_noise

from mindraw import Adam, Draw, DrawConfig
from mindraw.backend import Backend, get_backend
from mindraw.errors import MindrawError
from mindraw.gradcheck.operations import OPERATIONS
from mindraw.gradcheck.suite import compare_with
from mindraw.kernels import fused, reference

SIZES = [(9, 33), (3, 70), (300, 5), (1, 1), (17, 1), (0, 3), (4, 0)]
GLIMPSES = [(3, 5, 40, 3), (35, 2, 7, 1), (1, 1, 1, 1), (2, 12, 28, 1), (0, 3, 4, 2)]


@pytest.mark.parametrize("apart", [False, True], ids=["together", "apart"])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(emulated, name, dtype, apart):
    for seed, (n, B) in enumerate(SIZES):
        arguments, sets = elementwise(name, Maker(seed, dtype, apart), n, B)
        compare(emulated, kernel_of(name), arguments, sets)


@pytest.mark.parametrize("apart", [False, True], ids=["together", "apart"])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", ATTENTION + GLIMPSE)
def test_attention(emulated, name, dtype, apart):
    for seed, sizes in enumerate(GLIMPSES):
        compare_attention(emulated, name, Maker(seed, dtype, apart), *sizes)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("log_s2", [-5, -15, -19, -25, -40, -60, -75])
def test_narrow_filters(emulated, log_s2, dtype):
    """Both twins, in either precision, find what the reference does in double precision."""
    rng, A = np.random.default_rng(0), 100
    mu = np.array([60.5, 60.3, 17.0, 17.875, -40.25, 130.0, 0.0, 99.5])[None, None]
    dF, s2 = rng.standard_normal((1, 1, 8, A)), np.exp([float(log_s2)])

    def found(kernels, dtype):
        F, e, dmu, dlog_s2 = (np.empty(shape, dtype) for shape in (dF.shape, dF.shape, mu.shape, 1))
        given = [array.astype(dtype) for array in (mu, s2, np.arange(A))]
        kernels.filterbank_forward(F, e, *given)
        whole = F.copy()
        kernels.filterbank_backward(dmu, dlog_s2.reshape(1, 1), dF.astype(dtype), F, e, *given[1:])
        return whole, dmu * s2, dlog_s2

    expected = found(reference, "float64")
    tolerance = {"float32": 1e-4, "float64": 1e-11}[dtype]
    for kernels in (emulated, reference):
        for got, want in zip(found(kernels, dtype), expected, strict=True):
            np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", GLIMPSE)
def test_attention_without_shared_memory(emulated, name, monkeypatch):
    monkeypatch.setattr(fused, "SHARED", 0)
    for seed, sizes in enumerate(GLIMPSES):
        compare_attention(emulated, name, Maker(seed, "float64", apart=False), *sizes)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("n", [0, 1, 2, 7, 8, 9, 5001])
def test_noise(emulated, n, dtype):
    compare_noise(emulated, n, dtype)


@pytest.mark.parametrize("name", ["error_image_forward", "error_image_backward"])
def test_images_count_as_rows(emulated, name):
    m = Maker(1, "float64", apart=False)
    keys = inspect.signature(getattr(reference, name)).parameters
    compare(emulated, name, {key: m.image(3, 6, 35) for key in keys}, [next(iter(keys))])


def test_sigmoid_in_place(emulated):
    x = np.linspace(-800, 800, 21).reshape(7, 3)
    expected = x.copy()
    reference.sigmoid(expected, expected)
    emulated.sigmoid(x, x)
    np.testing.assert_allclose(x, expected, rtol=0, atol=1e-15)


def test_no_overflow(emulated):
    logits = np.array([[-1e4, 1e4, 0, -745, 37]] * 3)
    arguments = {"loss": np.zeros(5), "work": np.zeros((3, 5)), "logits": logits}
    arguments["x"] = np.array([[0.0], [0.5], [1.0]]) + np.zeros(5)
    expected = {key: value.copy() for key, value in arguments.items()}
    emulated.bernoulli_forward(**arguments)
    reference.bernoulli_forward(**expected)
    np.testing.assert_allclose(arguments["loss"], expected["loss"], rtol=1e-13)


def test_what_is_not_a_number_shows(emulated):
    logits, x, loss = np.zeros((6, 2)), np.zeros((6, 2)), np.zeros(2)
    logits[3, 1] = np.nan
    emulated.bernoulli_forward(loss, np.zeros((6, 2)), logits, x)
    assert np.isfinite(loss[0]) and np.isnan(loss[1])


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_a_class_that_is_not_a_number_is_a_wrong_answer(emulated, bad):
    for truth in range(3):
        if truth == bad:
            continue
        logits, target = np.array([[5.0], [4.0], [6.0]]), np.zeros((3, 1))
        logits[bad], target[truth] = np.nan, 1
        for kernels in (emulated, reference):
            loss, wrong, p = np.zeros(1), np.zeros(1), np.zeros((3, 1))
            kernels.softmax_forward(loss, wrong, p, logits, target)
            assert wrong == 1 and np.isnan(loss).all() and np.isnan(p).all()


def test_a_large_gradient_has_a_norm(emulated):
    """Though its square is no float32."""
    gradient = np.zeros(70000, np.float32)
    gradient[[3, 69000]] = 3e19, -4e19
    for kernels in (emulated, reference):
        state = np.zeros(2, np.float32)
        kernels.gradient_norm(state, gradient, 7)
        assert state[0] == pytest.approx(5e19, rel=1e-6) and state[1] == 0


def test_a_picture_too_large_to_count_is_refused(emulated, monkeypatch):
    monkeypatch.setattr(fused, "LARGEST", 42 * 40 * 3 - 1)
    for name in ATTENTION + GLIMPSE:
        if name.startswith(("attentive", "read", "write")):
            with pytest.raises(MindrawError, match="5,040 numbers is too large for the CUDA ker"):
                compare_attention(emulated, name, Maker(0, "float64", False), 2, 3, 40, 3)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("size", [0, 1, 300, 5000])
def test_gradient_norm(emulated, size, dtype, monkeypatch):
    monkeypatch.setattr(fused, "MOST_PARTS", 7)  # so that blocks go round more than once
    m = Maker(2, dtype, apart=False)
    arguments = {"state": m.constant([7, 0]), "gradient": m.dense(size), "count": 3}
    for _ in range(2):  # the count of blocks is back at 0
        compare(emulated, "gradient_norm", arguments, ["state"])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_first_bad_update_is_noted(emulated, bad):
    state, gradient = np.zeros(2), np.ones(1000)
    emulated.gradient_norm(state, gradient, 1)
    assert state[1] == 0
    gradient[777] = bad
    emulated.gradient_norm(state, gradient, 2)
    emulated.gradient_norm(state, gradient, 3)
    assert state[1] == 2 and not np.isfinite(state[0])
    theta, moments = np.ones(1000), np.zeros((2, 1000))
    emulated.adam(theta, *moments, None, gradient, state, 1.0, 0.1, 0.5, 0.999, 1e-8, 3)
    emulated.decay(theta, state, 0.5)
    assert (theta == 1).all() and (moments == 0).all()


@pytest.mark.parametrize("norm", [0.5, 30.0], ids=["free", "clipped"])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("size", [0, 1, 1000])
def test_adam(emulated, size, dtype, norm):
    arguments = adam(Maker(3, dtype, apart=False), size, norm)
    compare(emulated, "adam", *arguments)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("size", [0, 1, 1000])
def test_decay(emulated, size, dtype):
    m = Maker(4, dtype, apart=False)
    arguments = {"theta": m.dense(size), "state": m.constant([30.0, 0]), "part": 0.3}
    compare(emulated, "decay", arguments, ["theta"])


CONFIGS = [
    DrawConfig(H=5, W=4, C=2, T=3, h_enc=6, h_dec=5, z=3),
    DrawConfig(H=5, W=4, C=2, T=3, h_enc=6, h_dec=5, z=3, read_n=3, write_n=2, initial="zeros"),
]


@pytest.mark.parametrize("config", CONFIGS, ids=["whole", "attentive"])
def test_the_whole_model(emulated, config):
    model, other = (
        Draw(config, ops, batch=4, threads=1)
        for ops in (get_backend("numpy", "float64"), Backend("emulated", np, emulated, "float64"))
    )
    rng = np.random.default_rng(5)
    x, eps = rng.random((config.D, 4)), rng.standard_normal(model.noise_shape())
    optimizers = []
    for each in (model, other):
        each.initialise(1, scale=0.4)
        optimizers.append(Adam(each.parameters, each.ops, lr=0.05, clip=0.5))
    for _ in range(3):
        losses = [each.loss_and_gradient(x, eps) for each in (model, other)]
        for each, optimizer in zip((model, other), optimizers, strict=True):
            optimizer.step(each.gradients)
        np.testing.assert_allclose(losses[1], losses[0], rtol=1e-12)
        np.testing.assert_allclose(other.gradients.flat, model.gradients.flat, atol=1e-11)
        np.testing.assert_allclose(other.parameters.flat, model.parameters.flat, atol=1e-9)
    np.testing.assert_allclose(other.generate(eps), model.generate(eps), atol=1e-9)
    np.testing.assert_allclose(other.reconstruct(x, eps), model.reconstruct(x, eps), atol=1e-9)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_gradients_of_every_operation(emulated, operation):
    ops = Backend("emulated", np, emulated, "float64")
    for result in compare_with(operation, get_backend("numpy", "float64"), ops):
        assert result.error <= result.tolerance, result


def test_columns_that_lie_apart_are_refused(emulated):
    x = np.zeros((3, 8))
    with pytest.raises(ValueError, match="contiguous columns"):
        emulated.sigmoid(x[:, ::2], x[:, :4])
    images = np.zeros((2, 4, 5))[:, :3]
    with pytest.raises(ValueError, match="more than one stride"):
        emulated.error_image_forward(images, images, images)
    with pytest.raises(ValueError, match="not contiguous"):
        emulated.bernoulli_forward(np.zeros(8)[::2], None, x[:, :4], x[:, :4])


def test_other_dtypes_are_refused():
    x = np.zeros((2, 2), np.complex128)
    with pytest.raises(MindrawError, match="float32 and float64"):
        fused.sigmoid(x, x)
