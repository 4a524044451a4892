"""Importance weights: against log p(x) by quadrature, and against the bound."""

import numpy as np
import pytest

from mindraw import Draw, DrawConfig, MindrawError, get_backend
from mindraw.training.likelihood import weigh

WHOLE = DrawConfig(H=3, W=2, T=2, h_enc=4, h_dec=5, z=1)
ATTENTIVE = DrawConfig(H=4, W=3, T=2, h_enc=4, h_dec=5, z=1, read_n=2, write_n=2)


def build(config, batch, threads=1, recompute=None):
    model = Draw(config, get_backend("numpy", "float64"), batch, threads, recompute)
    model.initialise(0, scale=0.5)
    return model


def binary(config, b, seed=1):
    return np.random.default_rng(seed).integers(2, size=(config.D, b)).astype(float)


def by_quadrature(model, x):
    """log p(x) of a picture (D,): the integral over both latent numbers, on a grid."""
    z = np.linspace(-7, 7, 141)
    prior = np.exp(-z * z / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0])
    total = 0.0
    for first, weight in zip(z, prior, strict=True):
        mean = model.generate(np.stack([np.full(len(z), first), z])[:, None])[-1]
        likelihood = np.prod(np.where(x[:, None] == 1, mean, 1 - mean), axis=0)
        total += weight * (likelihood @ prior)
    return float(np.log(total))


@pytest.mark.parametrize("config", [WHOLE, ATTENTIVE], ids=["whole", "attentive"])
def test_the_estimate_is_log_p_of_x(config):
    model = build(config, batch=141)
    model.parameters.latent.b[...] = [[0.5], [0.3]]  # wider than the prior: no weight is large
    rng = np.random.default_rng(2)
    for x in binary(config, 3).T:
        many = np.repeat(x[:, None], 141, axis=1)
        log_w = [model.log_weights(many, rng.standard_normal((2, 1, 141))) for _ in range(300)]
        log_w = np.concatenate(log_w)
        w = np.exp(log_w)
        error = w.std() / w.mean() / np.sqrt(w.size)
        assert error < 0.01
        found = weigh(log_w[:, None])
        assert abs(-found.estimate[0] - by_quadrature(model, x)) < 4 * error
        assert found.bound[0] > found.estimate[0] + 5 * error


@pytest.mark.parametrize("config", [WHOLE, ATTENTIVE], ids=["whole", "attentive"])
def test_their_mean_is_the_bound(config):
    model = build(config, batch=50)
    x, rng = binary(config, 50), np.random.default_rng(3)
    differences = []
    for _ in range(200):
        eps = rng.standard_normal((2, 1, 50))
        weights = model.log_weights(x, eps)
        differences.append(weights + sum(model.loss(x, eps)))
    differences = np.array(differences)
    # of one sample they differ; over the noise the analytic latent loss is the samples' mean
    error = differences.std() / np.sqrt(differences.size)
    assert differences.std() > 0.1 and abs(differences.mean()) < 4 * error


def test_shares_and_partial_minibatches_give_the_same():
    config = DrawConfig(H=5, W=4, T=3, h_enc=9, h_dec=7, z=5)
    x, eps = binary(config, 6), np.random.default_rng(4).standard_normal((3, 5, 6))
    whole = build(config, batch=6).log_weights(x, eps)
    shared = build(config, batch=6, threads=2)
    np.testing.assert_allclose(shared.log_weights(x, eps), whole, rtol=1e-12)
    np.testing.assert_allclose(shared.log_weights(x[:, :2], eps[:, :, :2]), whole[:2], rtol=1e-12)


def test_a_model_that_does_not_hold_its_steps_refuses():
    model = build(WHOLE, batch=2, recompute=1)
    with pytest.raises(MindrawError, match="all T"):
        model.log_weights(binary(WHOLE, 2), np.zeros((2, 1, 2)))


def test_weights_are_weighed_without_overflow():
    log_w = np.array([[-1000.0, 0.0, 3.0], [-1000.0, -2000.0, 3.0 + np.log(3)]])
    found = weigh(log_w)
    np.testing.assert_allclose(found.bound, [1000, 1000, -3 - np.log(3) / 2])
    np.testing.assert_allclose(found.estimate, [1000, np.log(2), -3 - np.log(2)])
    np.testing.assert_allclose(found.effective, [2, 1, 16 / 10])
