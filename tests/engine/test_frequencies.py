"""Updates by a glimpse's frequencies: plain ones in other coordinates, and those worth having."""

import numpy as np
import pytest
import scipy.fft
from test_centring import build, minibatch, weights

from mindraw import Adam, ClassifierConfig, DrawConfig, MindrawError, get_backend
from mindraw.arena import Params
from mindraw.centring import Centring
from mindraw.frequencies import Frequencies, cosines

DRAW = {"H": 5, "W": 6, "C": 2, "T": 3, "h_enc": 9, "h_dec": 8, "z": 4}
CONFIGS = {
    "draw": DrawConfig(**DRAW, read_n=3, write_n=2),
    "classifier": ClassifierConfig(H=9, W=8, C=3, T=3, h=10, read_n=4, classes=4, first="learned"),
}
every_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


def adam_for(model, *changes, **numbers):
    coordinates = [change(model) for change in changes]
    return Adam(
        model.parameters, model.ops, workers=model.workers, coordinates=coordinates, **numbers
    )


def transform(rows, config, function):
    """The numbers of the glimpses at the beginning of each row, transformed; the rest as it is."""
    P, N, C = (2 if isinstance(config, DrawConfig) else 1), config.read_n, config.C
    new, R = rows.copy(), P * N * C * N
    glimpses = rows[:, :R].reshape(-1, P, N, C, N)
    new[:, :R] = function(glimpses, axes=(2, 4), norm="ortho").reshape(len(rows), R)
    return new


def test_the_cosines_are_those_of_scipy():
    r = np.random.default_rng(1).standard_normal((5, 2 * 4 * 3 * 4))
    Q = cosines(2, 4, 3)
    expected = scipy.fft.dctn(r.reshape(5, 2, 4, 3, 4), axes=(2, 4), norm="ortho").reshape(5, -1)
    np.testing.assert_allclose(r @ Q, expected, atol=1e-13)
    np.testing.assert_allclose(Q @ Q.T, np.eye(len(Q)), atol=1e-13)


@pytest.mark.parametrize("threads", [1, 3])
@every_config
def test_it_is_adam_on_the_transformed_weights(config, threads):
    model = build(config, threads)
    numbers = {"lr": 0.01, "clip": 0.5, "rates": dict.fromkeys(model.aiming, 0.3)}
    numbers |= {"weight_decay": 3.0, "decayed": weights(model)}
    adam = adam_for(model, Frequencies, **numbers)
    twin = Params(model.parameters.shapes, model.ops)
    plain = Adam(twin, model.ops, **numbers)
    for step in range(4):
        model.loss_and_gradient(*minibatch(model, step))
        g = twin.like()
        twin.flat[:], g.flat[:] = model.parameters.flat, model.gradients.flat
        for params in (twin, g):
            params.encoder.W_u[...] = transform(params.encoder.W_u, config, scipy.fft.dctn)
        plain.step(g)
        twin.encoder.W_u[...] = transform(twin.encoder.W_u, config, scipy.fft.idctn)
        adam.step(model.gradients)
        np.testing.assert_allclose(model.parameters.flat, twin.flat, rtol=1e-9, atol=1e-12)
        assert adam.norm() == pytest.approx(plain.norm(), rel=1e-10)


@every_config
def test_a_minibatch_that_is_not_finite_leaves_the_parameters_alone(config):
    model = build(config, threads=2)
    adam = adam_for(model, Centring, Frequencies, lr=0.01)
    for step in range(3):
        model.loss_and_gradient(*minibatch(model, step))
        kept = model.parameters.flat.copy()
        if step == 1:
            model.gradients.encoder.W_u[0, 0] = np.nan
        with np.errstate(all="ignore"):
            adam.step(model.gradients)
        assert np.array_equal(model.parameters.flat, kept) == (step > 0)
    assert adam.failed_step() == 2


def test_smooth_inputs_are_told_apart_sooner():
    """A least-squares fit to glimpses whose neighbours are alike."""
    rng = np.random.default_rng(2)
    r = scipy.fft.idctn(
        rng.standard_normal((400, 6, 6)) / (1 + np.add.outer(np.arange(6), np.arange(6))) ** 2,
        axes=(1, 2), norm="ortho",
    ).reshape(400, -1).T  # fmt: skip
    target = rng.standard_normal((3, 36)) @ r
    lost = []
    for Q in (np.eye(36), cosines(1, 6, 1)):
        ops = get_backend("numpy", "float64")
        V = Params({"a.W": (3, 36)}, ops)
        adam = Adam(V, ops, lr=0.02, beta1=0.9, clip=1e9)
        for _ in range(200):
            g = V.like()
            g.a.W[...] = (V.a.W @ Q.T @ r - target) @ r.T @ Q / 400
            adam.step(g)
        lost.append(((V.a.W @ Q.T @ r - target) ** 2).mean())
    assert lost[1] < 0.5 * lost[0]


def test_without_glimpses_there_are_no_frequencies():
    with pytest.raises(MindrawError, match="reads no glimpses"):
        Frequencies(build(DrawConfig(**DRAW)))
