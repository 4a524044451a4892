"""The classifier: its equations once more, its corners, sharding and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest

from mindraw import MindrawError, get_backend
from mindraw.models.attention import Aim
from mindraw.models.classify import Classifier
from mindraw.models.config import ClassifierConfig
from mindraw.nn.aim import AimLoss

CONFIG = ClassifierConfig(H=9, W=12, C=2, T=3, h=5, read_n=3, classes=4, first="learned")


def make(config=CONFIG, batch=7, threads=1, dtype="float64"):
    model = Classifier(config, get_backend("numpy", dtype), batch, threads)
    rng = np.random.default_rng(3)
    model.parameters.load(0.4 * rng.standard_normal(model.parameters.flat.shape))
    labels = rng.integers(config.classes, size=batch)
    target = (np.arange(config.classes)[:, None] == labels).astype(dtype)
    return model, rng.random((config.D, batch)).astype(dtype), target


def by_hand(model, x):
    """The paper's equations for one picture x (C, H, W): scores, glimpses and attention."""
    config, p = model.config, model.parameters.to_dict()
    N = config.read_n
    h, cell = p.get("initial.h", np.zeros((config.h, 1)))[:, 0], np.zeros(config.h)
    seen, windows = [], []
    for t in range(config.T):
        gx, gy, log_s2, log_d, log_gamma = p["read.W"] @ h + p["read.b"][:, 0]
        if config.first == "learned" and t % (config.first_every or config.T) == 0:
            gx, gy, log_s2, log_d, log_gamma = p["initial.glimpse"][:, 0]
        gx = (config.W + 1) / 2 * (gx + 1) - 1
        gy = (config.H + 1) / 2 * (gy + 1) - 1
        d = (max(config.H, config.W) - 1) / max(N - 1, 1) * np.exp(log_d)
        banks = []
        for g, size in ((gy, config.H), (gx, config.W)):
            mu = g + (np.arange(N) - (N - 1) / 2) * d
            e = -((np.arange(size) - mu[:, None]) ** 2) / (2 * np.exp(log_s2))
            F = np.exp(e - e.max(axis=1, keepdims=True))
            banks.append(F / F.sum(axis=1, keepdims=True))
        patch = np.exp(log_gamma) * np.einsum("ih,chw,jw->icj", banks[0], x, banks[1])
        seen.append(patch)
        windows.append([gx, gy, np.exp(log_s2), d, np.exp(log_gamma)])
        a = p["encoder.W_u"] @ np.concatenate([patch.ravel(), h]) + p["encoder.b"][:, 0]
        i, f, o, g = np.split(a, 4)
        i, f, o = (1 / (1 + np.exp(-each)) for each in (i, f, o))
        cell = f * cell + i * np.tanh(g)
        h = o * np.tanh(cell)
    scores = np.exp(p["classify.W"] @ h + p["classify.b"][:, 0])
    return scores / scores.sum(), np.array(seen), np.array(windows)


@pytest.mark.parametrize(
    "first",
    [{}, {"first": "learned"}, {"first": "learned", "first_every": 2}],
    ids=["state", "learned", "learned, every 2"],
)
@pytest.mark.parametrize("initial", ["zeros", "learned"])
@pytest.mark.parametrize("sizes", [{}, {"T": 1, "read_n": 1, "C": 1}], ids=["some", "ones"])
def test_the_equations(initial, first, sizes):
    sizes = {"H": 9, "W": 12, "C": 2, "T": 3, "read_n": 3} | sizes
    config = ClassifierConfig(h=5, classes=4, initial=initial, **first, **sizes)
    model, x, target = make(config, batch=3, threads=2)
    losses = model.loss(x, target)
    for k in range(3):
        p, seen, windows = by_hand(model, x[:, k].reshape(config.C, config.H, config.W))
        np.testing.assert_allclose(model.probabilities()[:, k], p, rtol=1e-12)
        np.testing.assert_allclose(losses.loss[k], -np.log(target[:, k] @ p), rtol=1e-12)
        assert losses.wrong[k] == (p.argmax() != target[:, k].argmax())
        np.testing.assert_allclose(model.glimpses()[..., k], seen, rtol=1e-10)
        np.testing.assert_allclose(model.windows()[..., k], windows, rtol=1e-12)


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_no_more_than_rounding_and_repeat_their_bits(threads):
    expected, x, target = make()
    found, _, _ = make(threads=threads)
    again, _, _ = make(threads=threads)
    for model in (expected, found, again):
        model.loss_and_gradient(x, target)
    np.testing.assert_allclose(found.gradients.flat, expected.gradients.flat, atol=1e-14)
    np.testing.assert_array_equal(found.gradients.flat, again.gradients.flat)


@pytest.mark.parametrize("b", [1, 4])
def test_fewer_pictures_than_a_minibatch(b):
    model, x, target = make(threads=3)
    whole = [part.copy() for part in model.loss(x, target)]
    model.loss(1 - x, target[::-1])
    part = model.loss(np.asfortranarray(x[:, :b]), target[:, :b])
    for found, expected in zip(part, whole, strict=True):
        np.testing.assert_allclose(found, expected[:b], rtol=1e-12)
    assert model.probabilities(b).shape == (4, b) and model.windows(b).shape == (3, 5, b)
    assert model.glimpses(b).shape == (3, 3, 2, 3, b)


def test_where_a_model_looks_before_training():
    config = ClassifierConfig(H=50, W=100, T=2, h=4, read_n=12, first="learned", initial="zeros")
    model, x, target = make(config, batch=1)
    model.initialise(0, 0.0, Aim(0.4, 1.5, 2.0), Aim(1.0, 4.0, 3.0), forget=1.5)
    model.loss(x, target)
    first, second = model.windows()[:, :, 0]
    np.testing.assert_allclose(first, [49.5, 24.5, 16, 9, 3])
    np.testing.assert_allclose(second, [49.5, 24.5, 2.25, 0.4 * 9, 2])
    np.testing.assert_array_equal(model.parameters["encoder.b"][:, 0], np.repeat([0, 1.5, 0, 0], 4))
    model.initialise(0)
    assert not any(
        model.parameters[name].any() for name in model.parameters.names if "W" not in name
    )


@pytest.mark.parametrize(
    "change, said",
    [
        ({"T": 0}, "T is 0"),
        ({"classes": 2.5}, "classes is 2.5"),
        ({"read_n": True}, "read_n is True"),
        ({"initial": "ones"}, "initial is 'ones': it must be learned or zeros"),
        ({"first": "zeros"}, "first is 'zeros': it must be state or learned"),
        ({"first": "learned", "first_every": 0}, "first_every is 0"),
        ({"first_every": 2}, "first_every is 2, but the first glimpse has no numbers of its own"),
    ],
)
def test_a_senseless_configuration_is_refused(change, said):
    with pytest.raises(MindrawError, match=said):
        ClassifierConfig(**change)


def test_wrong_shapes_are_refused():
    model, x, target = make()
    with pytest.raises(MindrawError, match="the pictures have shape"):
        model.loss(x[:-1], target)
    with pytest.raises(MindrawError, match="the pictures have shape"):
        model.loss(np.concatenate([x, x], axis=1), target)
    with pytest.raises(MindrawError, match="the targets have shape"):
        model.loss(x, target[:, :-1])
    with pytest.raises(MindrawError, match="full minibatch of 7, not 3"):
        model.loss_and_gradient(x[:, :3], target[:, :3])
    with pytest.raises(MindrawError, match="batch is 0"):
        Classifier(CONFIG, get_backend("numpy"), 0)


@pytest.mark.parametrize("threads", [1, 3])
def test_what_it_costs_to_look_elsewhere(threads):
    """Of all glimpses but the overviews, in pixels; the class's own loss stays what it was."""
    model, x, target = make(threads=threads)
    ops, config = model.ops, replace(CONFIG, T=5, first_every=3)
    told = Classifier(config, ops, model.batch, threads, AimLoss(0.7, 3.0))
    alone = Classifier(config, ops, model.batch, threads)
    place = np.random.default_rng(4).uniform(0, 9, (2, model.batch))
    for each in (told, alone):
        each.parameters.load(model.parameters.flat)
    losses, others = told.loss_and_gradient(x, target, place), alone.loss_and_gradient(x, target)
    np.testing.assert_array_equal(losses.loss, others.loss)
    assert np.any(told.gradients.flat != alone.gradients.flat)
    squares = ((told.windows()[[1, 2, 4], :2] - place) ** 2).sum(axis=1)
    expected = 0.7 * np.log(1 + squares / 9).sum(axis=0)
    np.testing.assert_allclose(told.aim_losses(), expected, rtol=1e-12)
    told.loss(x[:, :3], target[:, :3], place[:, :3])
    np.testing.assert_allclose(told.aim_losses(3), expected[:3], rtol=1e-12)
    for wrong in ((), (place[:1],), (place[:, :4],)):
        with pytest.raises(MindrawError, match=r"give \(2, b\) = \(2, 7\) of them"):
            told.loss(x, target, *wrong)
    for each in (model, told, alone):
        each.workers.forget()


def test_nothing_overflows():
    model, x, target = make()
    model.parameters["classify.b"][:, 0] = [1e4, -1e4, 0, 700]
    losses = model.loss_and_gradient(x, target)
    assert np.isfinite(losses.loss).all() and np.isfinite(model.gradients.flat).all()
    np.testing.assert_allclose(
        losses.loss, 1e4 - model.parameters["classify.b"][target.argmax(axis=0), 0], atol=20
    )
