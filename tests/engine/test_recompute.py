"""Holding fewer steps changes memory and time, and nothing else."""

import numpy as np
import pytest

from mindraw import Draw, DrawConfig, MindrawError, get_backend
from mindraw.models.segments import Segment, Segments

SIZES = {"H": 5, "W": 4, "T": 7, "h_enc": 9, "h_dec": 8, "z": 3}
MODELS = {
    "whole": {},
    "attention": {"read_n": 2, "write_n": 3, "C": 2},
    "zeros": {"read_n": 1, "write_n": 1, "initial": "zeros"},
}


def build(config, threads=1, recompute=None, dtype="float64", batch=6):
    model = Draw(config, get_backend("numpy", dtype), batch, threads, recompute)
    flat = model.parameters.flat
    model.parameters.load(0.3 * np.random.default_rng(0).standard_normal(flat.size))
    return model


def minibatch(model, seed=1, b=None):
    rng = np.random.default_rng(seed)
    x = rng.random((model.config.D, b or model.batch))
    return x, rng.standard_normal(model.noise_shape(b))


def held(model):
    return sum(part.buffer.nbytes for part in (model.tape, *model.shards))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("recompute", [1, 2, 3, 6, 7])
@pytest.mark.parametrize("name", MODELS)
def test_losses_pictures_and_gradients_stay(name, recompute, threads):
    config = DrawConfig(**SIZES | MODELS[name])
    all_held = build(config, threads)
    few = build(config, threads, recompute)
    for seed in (1, 2):  # what the first minibatch leaves behind must not matter
        x, eps = minibatch(few, seed)
        for got, want in zip(
            few.loss_and_gradient(x, eps), all_held.loss_and_gradient(x, eps), strict=True
        ):
            assert np.array_equal(got, want)
        scale = np.abs(all_held.gradients.flat).max()
        np.testing.assert_allclose(
            few.gradients.flat, all_held.gradients.flat, rtol=0, atol=1e-14 * scale
        )
        assert np.array_equal(few.reconstruct(x, eps), all_held.reconstruct(x, eps))
        if config.attention:
            for part in ("read", "write"):
                assert np.array_equal(few.windows(part), all_held.windows(part))
        some = minibatch(few, seed, b=4)
        assert np.array_equal(few.reconstruct(*some), all_held.reconstruct(*some))
        assert np.array_equal(few.generate(eps), all_held.generate(eps))
        if config.attention:
            for part in ("read", "write"):  # nothing was read, and nothing of it is lost
                assert np.array_equal(few.windows(part), all_held.windows(part))


@pytest.mark.parametrize("name", ["whole", "attention"])
def test_memory_grows_with_the_square_root_of_T(name):
    def least(T):
        config = DrawConfig(**SIZES | MODELS[name] | {"T": T, "z": 1})
        return min(held(build(config, recompute=K)) for K in range(1, T + 1))

    def all_held(T):
        return held(build(DrawConfig(**SIZES | MODELS[name] | {"T": T, "z": 1})))

    assert all_held(256) / all_held(64) > 3.9
    assert least(256) / least(64) < 2.2
    assert least(256) < all_held(256) / 7


def test_segments():
    assert Segments(7) == ((0, 0, 7),)
    assert Segments(7, 3) == (Segment(0, 0, 3), Segment(1, 3, 3), Segment(2, 6, 1))
    assert Segments(7, 3).held == 3 and Segments(7, 3).last == (2, 6, 1)
    assert Segments(6, 3).last == (1, 3, 3) and len(Segments(5, 1)) == 5


@pytest.mark.parametrize("recompute", [0, 8, -1, 2.0, True, "3"])
def test_what_cannot_be_held_is_refused(recompute):
    with pytest.raises(MindrawError, match=r"it must be a whole number from 1 to T = 7"):
        build(DrawConfig(**SIZES), recompute=recompute)
