"""Where training starts: the weights, the glimpses and the first canvas."""

import numpy as np
import pytest

from mindraw.backend import get_backend
from mindraw.models.attention import Aim
from mindraw.models.config import DrawConfig
from mindraw.models.draw import Draw

B = 3


def started(read_n=2, write_n=5, H=20, W=30, **start):
    config = DrawConfig(H=H, W=W, T=2, h_enc=4, h_dec=4, z=2, read_n=read_n, write_n=write_n)
    model = Draw(config, get_backend("numpy", "float64"), B, 1)
    # without weights, the glimpses are what the biases say
    model.initialise(0, 0.0, **start)
    x = np.random.default_rng(1).random((config.D, B))
    model.loss(x, np.zeros(model.noise_shape()))
    return model


@pytest.mark.parametrize(("part", "N"), [("read", 2), ("write", 5)])
def test_a_glimpse_starts_as_it_is_aimed(part, N):
    gx, gy, s2, d, gamma = started(**{part: Aim(0.5, 3.0, 2.0)}).windows(part).transpose(1, 0, 2)
    np.testing.assert_allclose(gx, (30 - 1) / 2)
    np.testing.assert_allclose(gy, (20 - 1) / 2)
    np.testing.assert_allclose(s2, 9)
    np.testing.assert_allclose(d * (N - 1), 0.5 * 29)
    np.testing.assert_allclose(gamma, 2)


@pytest.mark.parametrize("part", ["read", "write"])
def test_unaimed_it_is_a_grid_of_narrow_filters_over_everything(part):
    _, _, s2, d, gamma = started().windows(part).transpose(1, 0, 2)
    np.testing.assert_allclose(s2, 1)
    np.testing.assert_allclose(gamma, 1)
    np.testing.assert_allclose(d, 29 / ({"read": 2, "write": 5}[part] - 1))


@pytest.mark.parametrize("N", [1, 2, 5, 12])
def test_broad_filters_divide_the_side_evenly_and_overlap(N):
    side = 30
    model = started(N, N, read=Aim.broad(N, side))
    gx, _, s2, d, _ = model.windows("read")[0, :, 0]
    filters = gx + (np.arange(N) - (N - 1) / 2) * d
    edges = [-0.5, *filters, side - 0.5]
    np.testing.assert_allclose(np.diff(edges), side / (N + 1), rtol=1e-12)
    np.testing.assert_allclose(np.sqrt(s2), side / (N + 1) / 2)


@pytest.mark.parametrize("attention", [{}, {"read_n": None, "write_n": None}])
def test_the_first_canvas_starts_at_the_logits_it_is_given(attention):
    logits = np.linspace(-3, 2, 600)
    model = started(**attention, canvas=logits)
    np.testing.assert_array_equal(model.parameters.initial.c[:, 0], logits)
    # a decoder without weights adds nothing
    first = model.generate(np.zeros(model.noise_shape()))[0]
    np.testing.assert_allclose(first, np.tile(1 / (1 + np.exp(-logits))[:, None], B), rtol=1e-12)


def test_the_forget_gates_start_where_they_are_told():
    p = started(forget=1.5).parameters
    for bias in (p.encoder.b, p.decoder.b):
        np.testing.assert_array_equal(bias.reshape(4, 4), np.repeat([[0], [1.5], [0], [0]], 4, 1))
