"""What a task gives its model, and what an experiment makes of its options."""

import math

import numpy as np
import pytest

from mindraw import data, get_backend
from mindraw.centring import Centring
from mindraw.experiment import Classification, Experiment
from mindraw.experiment.draw import mean_logits
from mindraw.frequencies import Frequencies

NUMPY = get_backend("numpy")


def given_to(task, monkeypatch, k):
    """Return copies of what the model is given for minibatch k."""
    taken = []
    real = task.model.loss_and_gradient

    def watched(*arguments):
        taken.extend(np.array(array) for array in arguments)
        return real(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(task.model, "loss_and_gradient", watched)
        task.step(k)
    return taken


def test_every_minibatch_has_the_pictures_of_its_epoch_and_noise_of_its_own(toy, monkeypatch):
    dataset = toy.dataset()
    pixels = dataset.train.pixels
    # as if pictures were drawn anew in every epoch
    dataset.train.images = lambda indices, epoch: pixels[indices] / (1 + epoch)
    toy.build(dataset=dataset, seed=3)
    task = toy.task
    assert task.minibatches.per_epoch == 11
    for k in (0, 1, 11, 25):
        x, eps = given_to(task, monkeypatch, k)
        indices, epoch = task.minibatches.at(k)
        assert epoch == k // 11
        np.testing.assert_array_equal(x.T, pixels[indices] / (1 + epoch))
        own = task.ops.standard_normal(task.model.noise_shape(), (3, 1, k))
        np.testing.assert_array_equal(eps, own)
    # a second training goes on where the first ended
    task.first = 24
    for one, other in zip(given_to(task, monkeypatch, 1), (x, eps), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("digits", [1, 2])
def test_a_classifier_is_told_what_its_pictures_of_this_epoch_show(idx_folder, monkeypatch, digits):
    experiment = Classification(
        minibatches=1, data=str(idx_folder), size=40, glimpses=2, h=6, read_n=3, batch=10,
        threads=1, digits=digits, seed=2, aim_loss=1.0 if digits == 1 else 0.0,
    )  # fmt: skip
    task = experiment.build(experiment.load(), NUMPY)
    train, truths = task.dataset.train, []
    for k in (0, 6, 15):
        x, target, *places = given_to(task, monkeypatch, k)
        indices, epoch = task.minibatches.at(k)
        assert epoch == k // 6
        np.testing.assert_array_equal(x.T, train.images(indices, epoch))
        truths.append(train.targets(indices, epoch))
        np.testing.assert_array_equal(target.argmax(axis=0), truths[-1])
        assert (target.sum(axis=0) == 1).all() and target.max() == 1
        if digits == 1:
            np.testing.assert_array_equal(places[0], train.places(indices, epoch))
        elif epoch:
            assert (train.targets(indices, 0) != truths[-1]).any()


@pytest.fixture(params=["draw", "classify"])
def experiment(request, idx_folder):
    common = {"minibatches": 1, "data": str(idx_folder), "batch": 10, "threads": 1, "seed": 5}
    if request.param == "classify":
        return Classification(size=40, glimpses=3, h=20, read_n=3, **common)
    return Experiment(T=2, h_enc=20, h_dec=20, z=3, read_n=2, write_n=3, **common)


def test_the_optimizer_has_the_experiments_numbers(experiment):
    numbers = {"lr": 0.02, "beta1": 0.7, "clip": 3.0, "aim_rate": 0.25, "aim_clip": "apart"}
    numbers["weight_decay"] = 0.3
    kinds = {"plain": [], "centred": [Centring], "frequencies": [Centring, Frequencies]}
    for updates, coordinates in kinds.items():
        changed = experiment.but(updates=updates, **numbers)
        model = changed.build(changed.load(), NUMPY).model
        adam = changed.optimizer(model)
        assert (adam.lr, adam.beta1, adam.clip) == (0.02, 0.7, 3.0)
        assert adam.rates == dict.fromkeys(model.aiming, 0.25)
        assert adam.apart == set(model.aiming) and adam.workers is model.workers
        assert [type(change) for change in adam.coordinates] == coordinates
        assert adam.weight_decay == 0.3 and adam.decayed == set(model.gating)
        draws = isinstance(changed, Experiment)
        assert model.gating[0] == "encoder.W_u" and ("decoder.W_v" in model.gating) == draws
    adam = experiment.optimizer(model)
    assert not adam.rates and not adam.apart and adam.weight_decay == 0


def test_the_weights_are_normal_and_follow_from_the_seed(experiment):
    def built(**numbers):
        changed = experiment.but(**numbers)
        return changed.build(dataset, NUMPY).model.parameters

    dataset = experiment.load()
    one, wide, other = built(), built(init_scale=0.2), built(seed=6)
    for name in one.names:
        W = one[name]
        if not name.rpartition(".")[2].startswith("W"):
            continue
        n = W.size
        assert abs(W.mean()) < 5 * 0.05 / math.sqrt(n)
        # a normal variable's fourth moment is 3, a uniform one's 1.8
        squares = (W / 0.05) ** 2
        assert abs(squares.mean() - 1) < 5 * math.sqrt(2 / n)
        assert n < 500 or abs((squares**2).mean() - 3) < 5 * math.sqrt(96 / n)
        np.testing.assert_allclose(wide[name], 4 * W, rtol=1e-5)
        assert (W != other[name]).all()


def test_the_start_is_what_the_options_say(experiment):
    broad = experiment.but(forget=1.5)
    if isinstance(experiment, Classification):
        broad = broad.but(
            span=0.5, deviation=3.0, gain=2.0, first="learned", first_gain=7.0, first_span=0.25
        )
        p = broad.build(broad.load(), NUMPY).model.parameters
        np.testing.assert_allclose(p["encoder.b"][20:40], 1.5)
        ways = {"read.b": (3.0, 0.5, 2.0), "initial.glimpse": (3.0, 0.25, 7.0)}
    else:
        broad = broad.but(filters="broad")
        p = broad.build(broad.load(), NUMPY).model.parameters
        for name in ("encoder.b", "decoder.b"):
            np.testing.assert_allclose(p[name][20:40], 1.5)
        # N filters divide 28 pixels evenly, and are half a stride wide
        ways = {
            "read.b": (28 / 3 / 2, 28 / 3 / 27, 1.0),
            "attend.b": (28 / 4 / 2, 2 * 28 / 4 / 27, 1.0),
        }
    for name, (deviation, span, gain) in ways.items():
        expected = [0, 0, 2 * math.log(deviation), math.log(span), math.log(gain)]
        np.testing.assert_allclose(p[name][:, 0], expected, rtol=1e-5, atol=1e-6)


def test_the_mean_picture_is_that_of_all_pictures(toy):
    split = toy.dataset().train
    split.pixels = np.random.default_rng(0).random((350, 6), dtype=np.float32)
    mean = split.pixels.mean(axis=0, dtype=np.float64)
    np.testing.assert_allclose(mean_logits(split), np.log(mean / (1 - mean)), rtol=1e-6)


def test_a_reconstruction_stands_beside_what_it_is_of(toy):
    """One that the model has learned by heart is nearer to it than to any other."""
    rng = np.random.default_rng(0)
    x = (rng.random((4, 20)) < 0.5).astype(np.float32)
    dataset = toy.dataset()
    dataset.train.pixels, dataset.test.pixels = np.tile(x, (15, 1)), x
    toy.train(1500, dataset=dataset, lr=0.02)
    shown, canvases = toy.task.reconstructions(4)
    assert len(shown) == 4
    away = ((canvases[-1].reshape(4, 1, 20) - shown.reshape(1, 4, 20)) ** 2).sum(axis=2)
    np.testing.assert_array_equal(away.argmin(axis=1), np.arange(4))
    assert away.diagonal().max() < 1


def test_stochastic_pixels_are_fresh_in_every_epoch(idx_folder):
    split = data.load("mnist", idx_folder, binarise="stochastic", seed=1).train
    x = [split.images(np.arange(10), epoch) for epoch in (0, 1, 0)]
    assert (x[0] != x[1]).any(axis=1).all() and (x[0] == x[2]).all()
