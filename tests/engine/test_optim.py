"""Adam, clipping and schedules against their definitions."""

import numpy as np
import pytest

from mindraw import Adam, MindrawError, get_backend, optim
from mindraw.arena import Params
from mindraw.kernels import reference
from mindraw.parallel import Workers

SIZE = 2 * reference.BLOCK + 137


def build(dtype="float64", threads=1, **kwargs):
    ops = get_backend("numpy", dtype)
    params = Params({"a.W": (SIZE,)}, ops)
    params.load(np.random.default_rng(0).standard_normal(SIZE))
    return Adam(params, ops, workers=Workers(threads), **kwargs)


def gradient(optimizer, seed, scale=1.0):
    g = optimizer.params.like()
    g.load(scale * np.random.default_rng(seed).standard_normal(g.flat.size))
    return g


@pytest.mark.parametrize("threads", [1, 2])
def test_it_is_adam_as_published_after_clipping(threads):
    optimizer = build(threads=threads, lr=0.01, beta1=0.5, clip=5.0)
    theta = optimizer.params.flat.copy()
    m, v = np.zeros(SIZE), np.zeros(SIZE)
    for t in range(1, 6):
        g = gradient(optimizer, seed=t, scale=0.001 if t % 2 else 3.0)
        optimizer.step(g)
        norm = np.sqrt((g.flat**2).sum())
        assert optimizer.norm() == pytest.approx(norm, rel=1e-12)
        clipped = g.flat * min(1, 5.0 / norm)
        m = 0.5 * m + 0.5 * clipped
        v = 0.999 * v + 0.001 * clipped**2
        theta -= 0.01 * (m / (1 - 0.5**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        np.testing.assert_allclose(optimizer.params.flat, theta, rtol=1e-12, atol=1e-14)
    assert optimizer.count == 5 and optimizer.failed_step() is None


def test_threads_change_nothing():
    one, two = build("float32"), build("float32", threads=2)
    for t in range(3):
        one.step(gradient(one, t))
        two.step(gradient(two, t))
    assert np.array_equal(one.params.flat, two.params.flat)


def four():
    ops = get_backend("numpy", "float64")
    params = Params({"a.W": (7, 5), "a.b": (7, 1), "c.W": (3, 7), "d.W": (2, 2)}, ops)
    params.load(np.random.default_rng(0).standard_normal(params.flat.size))
    return params, ops


@pytest.mark.parametrize("threads", [1, 3])
def test_some_parameters_learn_at_another_rate(threads):
    params, ops = four()
    before = {name: value.copy() for name, value in params.to_dict().items()}
    rates = {"a.b": 0.1, "c.W": 0.1, "d.W": 3.0}
    optimizer = Adam(params, ops, lr=0.01, workers=Workers(threads), rates=rates)
    optimizer.step(gradient(optimizer, 1))
    for name in params.names:  # the first update of Adam is lr everywhere
        moved = np.abs(params[name] - before[name])
        np.testing.assert_allclose(moved, 0.01 * rates.get(name, 1.0), rtol=1e-5)


@pytest.mark.parametrize("threads", [1, 3])
def test_weights_that_decay_are_that_much_less_than_without(threads):
    params, ops = four()
    twin = params.like()
    numbers = {"lr": 0.01, "rates": {"c.W": 0.1, "d.W": 3.0}}
    decaying = Adam(
        params, ops, workers=Workers(threads), weight_decay=20.0, decayed=("a.W", "c.W"), **numbers
    )
    plain = Adam(twin, ops, **numbers)
    for step in range(3):
        twin.flat[:] = params.flat
        decaying.step(gradient(decaying, step), lr=0.005)
        plain.step(gradient(plain, step), lr=0.005)
        for name in params.names:
            left = {"a.W": 0.9, "c.W": 0.99}.get(name, 1.0)
            np.testing.assert_allclose(params[name], left * twin[name], rtol=1e-12)


#: Of which those clipped apart lie before, between and behind the others.
APART = ("a.W", "c.W", "e.b")


def build_apart(threads=1, **kwargs):
    ops = get_backend("numpy", "float64")
    shapes = {"a.W": (7, 5), "b.W": (7,), "b.b": (4,), "c.W": (3, 7), "d.W": (2, 2), "e.b": (3,)}
    return Adam(Params(shapes, ops), ops, workers=Workers(threads), apart=APART, **kwargs)


@pytest.mark.parametrize("threads", [1, 3])
def test_some_parameters_are_clipped_by_a_norm_of_their_own(threads):
    optimizer = build_apart(threads, clip=2.0, beta1=0.0, beta2=0.0, eps=1.0, rates={"c.W": 0.5})
    g = gradient(optimizer, 1)
    for name in APART:
        g[name][...] *= 100
    optimizer.step(g)
    both = {True: 0.0, False: 0.0}
    for name in g.names:
        both[name in APART] += (g[name] ** 2).sum()
    assert optimizer.norm() == pytest.approx(np.sqrt(sum(both.values())), rel=1e-12)
    for name in g.names:
        clipped = g[name] * 2.0 / np.sqrt(both[name in APART])
        rate = optimizer.lr * (0.5 if name == "c.W" else 1)
        moved = rate * clipped / (np.abs(clipped) + 1)
        np.testing.assert_allclose(optimizer.params[name], -moved, rtol=1e-12)


@pytest.mark.parametrize("name", ["b.b", "c.W"])
def test_what_is_not_finite_in_one_group_freezes_both(name):
    optimizer = build_apart()
    optimizer.step(gradient(optimizer, 1))
    frozen = optimizer.params.flat.copy()
    g = gradient(optimizer, 2)
    g[name].flat[0] = np.nan
    optimizer.step(g)
    optimizer.step(gradient(optimizer, 3))
    assert np.array_equal(optimizer.params.flat, frozen) and optimizer.failed_step() == 2
    optimizer.load(optimizer.m, optimizer.v, 1)
    optimizer.step(gradient(optimizer, 3))
    assert not np.array_equal(optimizer.params.flat, frozen)


def test_the_first_update_that_failed_is_told_whatever_fails_later():
    optimizer = build_apart()
    for count, names in enumerate(([], ["c.W"], ["b.b"], ["b.b", "c.W"]), start=1):
        g = gradient(optimizer, count)
        for name in names:
            g[name].flat[0] = np.inf
        optimizer.step(g)
        assert optimizer.failed_step() == (2 if count > 1 else None)


@pytest.mark.parametrize(
    ("otherwise", "sentence"),
    [
        ({"rates": {"b.W": 0.1}}, "no parameter 'b.W'.*a.W"),
        ({"apart": ("b.W",)}, "no parameter 'b.W'.*a.W"),
        ({"rates": {"a.W": 0.0}}, "rate of a.W is 0.0"),
        ({"decayed": ("b.W",)}, "no parameter 'b.W'.*a.W"),
        ({"weight_decay": -1.0}, "weight_decay is -1.0"),
        ({"weight_decay": np.nan}, "weight_decay is nan"),
    ],
)
def test_what_makes_no_sense_for_some_parameters_is_refused(otherwise, sentence):
    with pytest.raises(MindrawError, match=sentence):
        build(**otherwise)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_gradient_that_is_not_finite_freezes_everything(bad):
    optimizer = build(weight_decay=3.0, decayed=("a.W",))
    optimizer.step(gradient(optimizer, 1))
    frozen = [a.copy() for a in (optimizer.params.flat, optimizer.m, optimizer.v)]
    g = gradient(optimizer, 2)
    g.flat[SIZE - 1] = bad
    optimizer.step(g)
    optimizer.step(gradient(optimizer, 3))
    for array, before in zip(
        (optimizer.params.flat, optimizer.m, optimizer.v), frozen, strict=True
    ):
        assert np.array_equal(array, before)
    assert optimizer.failed_step() == 2


def test_it_continues_from_saved_moments():
    a = build()
    for t in range(3):
        a.step(gradient(a, t))
    b = build()
    b.params.load(a.params.flat)
    b.load(a.m, a.v, a.count)
    a.step(gradient(a, 9), lr=0.5)
    b.step(gradient(b, 9), lr=0.5)
    assert np.array_equal(a.params.flat, b.params.flat)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"lr": 0.0}, "lr is 0.0"),
        ({"lr": float("nan")}, "lr is nan"),
        ({"beta1": 1.0}, "beta1 is 1.0"),
        ({"beta2": -0.1}, "beta2 -0.1"),
        ({"clip": 0.0}, "clip 0.0"),
        ({"eps": 0.0}, "eps is 0.0"),
    ],
)
def test_numbers_out_of_range_are_refused(change, sentence):
    with pytest.raises(MindrawError, match=sentence):
        build(**change)


def test_schedules():
    assert optim.constant(0.1)(10**6) == 0.1
    cosine = optim.cosine(1.0, 100, floor=0.2)
    assert cosine(0) == 1.0 and cosine(50) == pytest.approx(0.6) and cosine(100) == cosine(999)
    assert cosine(25) == pytest.approx(0.6 + 0.4 * 2**-0.5)
    assert cosine(100) == pytest.approx(0.2)
    decay = optim.decay(1e-3, 0.985, 4, floor=1e-4)
    assert decay(3) == 1e-3 and decay(4) == pytest.approx(0.985e-3) and decay(10**6) == 1e-4
