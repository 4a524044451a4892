"""Centred updates: plain ones in other coordinates, and those coordinates worth having."""

import numpy as np
import pytest

from mindraw import Adam, Classifier, ClassifierConfig, Draw, DrawConfig, get_backend
from mindraw.arena import Params
from mindraw.centring import Centring, Layer
from mindraw.kernels import reference
from mindraw.parallel import Workers

DRAW = {"H": 5, "W": 4, "C": 2, "T": 3, "h_enc": 9, "h_dec": 8, "z": 4}
CONFIGS = {
    "whole": DrawConfig(**DRAW),
    "attentive": DrawConfig(**DRAW, read_n=3, write_n=2),
    "zeros": DrawConfig(**DRAW, read_n=2, write_n=3, initial="zeros"),
    "classifier": ClassifierConfig(H=9, W=8, T=3, h=10, read_n=3, classes=4),
    "overviews": ClassifierConfig(
        H=9, W=8, T=3, h=10, read_n=3, classes=4, first="learned", first_every=2
    ),
}
every_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
BATCH = 6


def build(config, threads=1, dtype="float64", batch=BATCH):
    kind = Draw if isinstance(config, DrawConfig) else Classifier
    model = kind(config, get_backend("numpy", dtype), batch=batch, threads=threads)
    model.initialise(3, scale=0.3)
    return model


def minibatch(model, seed):
    """Return x and noise or targets; pixels are bright, so that their mean is far from 0."""
    rng, config, b = np.random.default_rng(seed), model.config, model.batch
    x = 1 - rng.random((config.D, b)) ** 4
    if isinstance(config, DrawConfig):
        other = rng.standard_normal(model.noise_shape())
    else:
        other = np.eye(config.classes)[:, rng.integers(0, config.classes, b)]
    return x.astype(model.ops.dtype), other.astype(model.ops.dtype)


def means(model):
    return [layer.inputs.mean(axis=1, keepdims=True) for layer in model.layers()]


def weights(model):
    return [name for name in model.parameters.names if ".W" in name]


def adam_for(model, **numbers):
    return Adam(
        model.parameters, model.ops, workers=model.workers, coordinates=[Centring(model)], **numbers
    )


@every_config
def test_every_weight_belongs_to_a_layer_once(config):
    model = build(config)
    names = [name for layer in model.layers() for name in layer.weights]
    assert sorted(names) == sorted(weights(model))
    for layer in model.layers():
        W = model.parameters.stacked(*layer.weights)
        b = model.parameters.stacked(*layer.biases)
        assert W.shape == (len(b), len(layer.inputs))


@every_config
def test_a_layer_s_inputs_are_what_its_gradient_is_made_of(config):
    """dL/dW is a sum of dy u^T: no row of it has a part that is orthogonal to all u."""
    model = build(config, batch=1)
    model.loss_and_gradient(*minibatch(model, 0))
    for layer in model.layers():
        g = model.gradients.stacked(*layer.weights)
        basis, sizes, _ = np.linalg.svd(layer.inputs, full_matrices=False)
        basis = basis[:, sizes > 1e-12 * sizes[0]]
        assert basis.shape[1] < len(layer.inputs), "a gradient could be anything"
        np.testing.assert_allclose(g @ basis @ basis.T, g, atol=1e-13)
        assert abs(g).max() > 1e-8


@pytest.mark.parametrize("threads", [1, 2, 3])
@every_config
def test_it_is_adam_on_the_weights_and_the_moved_biases(config, threads):
    model = build(config, threads)
    numbers = {"lr": 0.01, "clip": 0.5, "rates": dict.fromkeys(model.aiming, 0.3)}
    numbers |= {"apart": model.aiming, "weight_decay": 3.0, "decayed": weights(model)}
    adam = adam_for(model, **numbers)
    twin = Params(model.parameters.shapes, model.ops)
    plain = Adam(twin, model.ops, **numbers)
    for step in range(4):
        model.loss_and_gradient(*minibatch(model, step))
        at, layers = means(model), model.layers()
        g = twin.like()
        twin.flat[:] = model.parameters.flat
        g.flat[:] = model.gradients.flat
        for layer, m in zip(layers, at, strict=True):
            twin.stacked(*layer.biases)[...] += model.parameters.stacked(*layer.weights) @ m
            dW = g.stacked(*layer.weights)
            dW -= model.gradients.stacked(*layer.biases) @ m.T
            assert abs(m).max() > 0.01
        plain.step(g)
        for layer, m in zip(layers, at, strict=True):
            twin.stacked(*layer.biases)[...] -= twin.stacked(*layer.weights) @ m
        adam.step(model.gradients)
        np.testing.assert_allclose(model.parameters.flat, twin.flat, rtol=1e-10, atol=1e-12)
        assert adam.norm() == pytest.approx(plain.norm(), rel=1e-10)


def test_weights_of_many_rows_are_centred_in_pieces(monkeypatch):
    found = []
    for most in (reference.BLOCK, 50):
        for module in (reference, reference.optimizer):
            monkeypatch.setattr(module, "BLOCK", most)
        model = build(CONFIGS["attentive"])
        adam = adam_for(model, lr=0.01)
        for step in range(2):
            model.loss_and_gradient(*minibatch(model, step))
            adam.step(model.gradients)
        found.append(model.parameters.flat.copy())
    np.testing.assert_allclose(*found, rtol=1e-10, atol=1e-12)


def test_threads_change_nothing_but_rounding():
    found = []
    for threads in (1, 2):
        model = build(CONFIGS["attentive"], threads, "float32")
        adam = adam_for(model, lr=0.001)
        for step in range(3):
            model.loss_and_gradient(*minibatch(model, step))
            adam.step(model.gradients)
        found.append(model.parameters.flat.copy())
    np.testing.assert_allclose(*found, atol=2e-5)


class Line:
    """y = W u + b, to be fitted by least squares: a model of one layer."""

    def __init__(self, u, target, shift, threads=1):
        self.ops, self.workers = get_backend("numpy", "float64"), Workers(threads)
        self.u, self.target = self.ops.shared(u.shape), target
        self.u[...] = u + shift
        self.parameters = Params({"a.W": (3, len(u)), "a.b": (3, 1)}, self.ops)
        self.parameters.a.W[...] = np.linspace(-1, 1, 3 * len(u)).reshape(3, -1)
        self.parameters.a.b[...] = -self.parameters.a.W @ np.full((len(u), 1), shift)
        self.gradients = self.parameters.like()

    def layers(self):
        return [Layer(("a.W",), ("a.b",), self.u)]

    def sum_inputs(self):
        return [(self.u.sum(axis=1, keepdims=True), self.u.shape[1])]

    def y(self):
        return self.parameters.a.W @ self.u + self.parameters.a.b

    def loss_and_gradient(self):
        error = (self.y() - self.target) / self.u.shape[1]
        self.gradients.a.W[...] = error @ self.u.T
        self.gradients.a.b[...] = error.sum(axis=1, keepdims=True)
        return float((error**2).sum()) * self.u.shape[1] / 2


def fit(shift, centred, steps=300):
    rng = np.random.default_rng(1)
    u = rng.standard_normal((8, 40))
    u -= u.mean(axis=1, keepdims=True)
    line = Line(u, rng.standard_normal((3, 8)) @ u + 0.5, shift)
    coordinates = [Centring(line)] if centred else []
    adam = Adam(line.parameters, line.ops, lr=0.02, beta1=0.9, clip=1e9, coordinates=coordinates)
    for _ in range(steps):
        loss = line.loss_and_gradient()
        adam.step(line.gradients)
    return line.y(), loss


def test_a_shift_of_the_inputs_does_not_matter_any_more():
    (here, loss), (there, other), (_, plain) = fit(0, True), fit(5.0, True), fit(5.0, False)
    np.testing.assert_allclose(here, there, atol=1e-9)
    assert other == pytest.approx(loss, abs=1e-9)
    assert plain > 10 * other, "then there is nothing to gain"
    np.testing.assert_allclose(fit(0, False)[0], here, atol=1e-9)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["inputs", "gradient"])
def test_a_minibatch_that_is_not_finite_leaves_the_parameters_alone(bad, where):
    model = build(CONFIGS["whole"])
    adam = adam_for(model, lr=0.01)
    model.loss_and_gradient(*minibatch(model, 0))
    adam.step(model.gradients)
    kept = model.parameters.flat.copy()
    model.loss_and_gradient(*minibatch(model, 1))
    if where == "inputs":
        model.sum_inputs()[2][0][0, 0] = bad
    else:
        model.gradients.decoder.W_v[0, 0] = bad
    with np.errstate(all="ignore"):
        adam.step(model.gradients)
    assert adam.failed_step() == 2
    assert np.array_equal(model.parameters.flat, kept)


@pytest.mark.parametrize("name", ["whole", "attentive"])
@pytest.mark.parametrize("threads", [1, 2])
def test_steps_that_are_not_held_count_as_well(name, threads):
    """With `recompute`, too, the mean is over all steps."""
    found = []
    for recompute in (None, 1, 2):
        ops = get_backend("numpy", "float64")
        model = Draw(CONFIGS[name], ops, batch=BATCH, threads=threads, recompute=recompute)
        model.initialise(3, scale=0.3)
        adam = adam_for(model, lr=0.01)
        for step in range(3):
            model.loss_and_gradient(*minibatch(model, step))
            adam.step(model.gradients)
        found.append(model.parameters.flat.copy())
    np.testing.assert_allclose(found[1], found[0], atol=1e-9)
    np.testing.assert_allclose(found[2], found[0], atol=1e-9)


def test_a_model_that_has_run_before_sums_from_then_on():
    """Processes that are at work already learn of it; twice asked for, it is one sum."""
    model = build(CONFIGS["attentive"], threads=2)
    model.loss_and_gradient(*minibatch(model, 0))
    expected = model.gradients.flat.copy()
    model.sum_inputs()
    model.loss_and_gradient(*minibatch(model, 0))
    assert np.array_equal(model.gradients.flat, expected)
    for (sums, count), layer in zip(model.sum_inputs(), model.layers(), strict=True):
        assert count == layer.inputs.shape[1]
        np.testing.assert_allclose(sums[:, 0], layer.inputs.sum(axis=1), atol=1e-12)
