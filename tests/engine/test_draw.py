"""The model as a whole: shapes, sharding, memory, and the refusals of bad input."""

import tracemalloc

import numpy as np
import pytest

from mindraw import Adam, Draw, DrawConfig, MindrawError, get_backend

SMALL = DrawConfig(H=5, W=4, C=3, T=4, h_enc=9, h_dec=7, z=3)


def build(config=SMALL, batch=6, threads=1, dtype="float64", seed=0):
    ops = get_backend("numpy", dtype)
    model = Draw(config, ops, batch=batch, threads=threads)
    model.initialise(seed, scale=0.3)
    return model


def minibatch(model, seed=1, b=None):
    rng = np.random.default_rng(seed)
    b = model.batch if b is None else b
    dtype = model.ops.dtype
    x = rng.random((model.config.D, b)).astype(dtype)
    return x, rng.standard_normal(model.noise_shape(b)).astype(dtype)


def by_the_paper(model, x, eps):
    """The paper's equations once more, batch first and with nothing shared with the engine."""
    c, p = model.config, model.parameters.to_dict()

    def sigmoid(a):
        return 1 / (1 + np.exp(-a))

    def lstm(a, cell):
        i, f, o, g = np.split(a, 4, axis=1)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(cell), cell

    B = x.shape[1]
    x = x.T

    def initial(name, n):
        start = p.get(f"initial.{name}", np.zeros((n, 1)))
        return np.repeat(start.T, B, axis=0)

    canvas, h_enc, h_dec = initial("c", c.D), initial("h_enc", c.h_enc), initial("h_dec", c.h_dec)
    cell_enc, cell_dec = np.zeros((B, c.h_enc)), np.zeros((B, c.h_dec))
    W_enc = np.concatenate([p["encoder.W_x"], p["encoder.W_u"]], axis=1)
    latent, pictures = np.zeros(B), []
    for t in range(c.T):
        x_hat = x - sigmoid(canvas)
        u = np.concatenate([x, x_hat, h_enc, h_dec], axis=1)
        h_enc, cell_enc = lstm(u @ W_enc.T + p["encoder.b"].T, cell_enc)
        q = h_enc @ p["latent.W"].T + p["latent.b"].T
        mu, s = q[:, : c.z], np.exp(q[:, c.z :])
        latent += 0.5 * (mu**2 + s**2 - np.log(s**2)).sum(axis=1) - c.z / 2
        v = np.concatenate([h_dec, mu + s * eps[t].T], axis=1)
        h_dec, cell_dec = lstm(v @ p["decoder.W_v"].T + p["decoder.b"].T, cell_dec)
        canvas = canvas + h_dec @ p["write.W"].T + p["write.b"].T
        pictures.append(sigmoid(canvas).T)
    mean = sigmoid(canvas)
    reconstruction = -(x * np.log(mean) + (1 - x) * np.log(1 - mean)).sum(axis=1)
    return reconstruction, latent, np.stack(pictures)


@pytest.mark.parametrize("initial", ["zeros", "learned"])
def test_losses_and_pictures_follow_the_papers_equations(initial):
    config = DrawConfig(H=5, W=4, C=3, T=4, h_enc=9, h_dec=7, z=3, initial=initial)
    model = build(config)
    flat = model.parameters.flat
    model.parameters.load(flat + 0.2 * np.random.default_rng(3).standard_normal(flat.size))
    x, eps = minibatch(model)
    losses = model.loss(x, eps)
    reconstruction, latent, pictures = by_the_paper(model, x, eps)
    np.testing.assert_allclose(losses.reconstruction, reconstruction, rtol=1e-12)
    np.testing.assert_allclose(losses.latent, latent, rtol=1e-11)
    np.testing.assert_allclose(model.reconstruct(x, eps), pictures, rtol=1e-11)


def test_latent_loss_is_zero_where_the_posterior_is_the_prior():
    model = build()
    model.parameters.load(np.zeros(model.parameters.flat.size))
    losses = model.loss(*minibatch(model))
    assert np.array_equal(losses.latent, np.zeros(6))
    np.testing.assert_allclose(losses.reconstruction, SMALL.D * np.log(2), rtol=1e-14)


def test_replication_weight_sizes():
    shapes = build(DrawConfig(T=1, initial="zeros"), batch=1).parameters.shapes
    encoder = shapes["encoder.W_x"], shapes["encoder.W_u"]
    assert encoder[0][0] == encoder[1][0] == 4 * 256
    assert encoder[0][1] + encoder[1][1] == 2 * 784 + 512 == 2080
    assert shapes["decoder.W_v"] == (4 * 256, 10 + 256)
    for N, C, u in [(5, 1, 562), (12, 3, 864 + 512)]:
        config = DrawConfig(T=1, C=C, read_n=N, write_n=N)
        shapes = build(config, batch=1).parameters.shapes
        assert shapes["encoder.W_u"] == (4 * 256, u)
        assert shapes["read.W"] == shapes["attend.W"] == (5, 256)
        assert shapes["write.W"] == (N * N * C, 256)


@pytest.mark.parametrize("threads", [2, 3, 6])
def test_shards_change_rounding_only_and_repeat_bit_for_bit(threads):
    one, many = build(threads=1), build(threads=threads)
    x, eps = minibatch(one)
    a, b = one.loss_and_gradient(x, eps), many.loss_and_gradient(x, eps)
    np.testing.assert_allclose(a.reconstruction, b.reconstruction, rtol=1e-13)
    np.testing.assert_allclose(one.gradients.flat, many.gradients.flat, rtol=1e-9, atol=1e-13)
    first = many.gradients.flat.copy()
    many.loss_and_gradient(x, eps)
    assert np.array_equal(first, many.gradients.flat)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("b", [1, 3, 6])
def test_a_partial_minibatch_gives_the_same_losses(b, threads):
    model = build(threads=threads)
    x, eps = minibatch(model)
    whole = model.loss(x, eps)
    want = whole.reconstruction[:b].copy(), whole.latent[:b].copy()
    model.loss(*minibatch(model, seed=9))
    got = model.loss(x[:, :b], eps[:, :, :b])
    assert got.reconstruction.shape == got.latent.shape == (b,)
    np.testing.assert_allclose(got.reconstruction, want[0], rtol=1e-13)
    np.testing.assert_allclose(got.latent, want[1], rtol=1e-13)


def test_generation_is_decoding_of_the_noise_and_leaves_no_trace():
    model = build()
    x, eps = minibatch(model)
    before = model.loss(x, eps).reconstruction.copy()
    pictures = model.generate(eps)
    assert pictures.shape == (4, 60, 6)
    assert pictures.min() >= 0 and pictures.max() <= 1
    assert np.array_equal(pictures, model.generate(eps))
    assert np.array_equal(model.generate(eps[:, :, :2]), pictures[:, :, :2])
    assert np.array_equal(before, model.loss(x, eps).reconstruction)
    # encoding to N(0, 1) whatever h_enc is: reconstruction and generation are then the same
    parameters = model.parameters
    parameters.latent.W[...] = 0
    parameters.latent.b[...] = 0
    np.testing.assert_allclose(model.reconstruct(x, eps), model.generate(eps), rtol=1e-12)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_step_allocates_nothing_after_the_first(threads):
    """Under 1 MB traced per minibatch, at the size of the replication's experiment."""
    config = DrawConfig(T=3)
    model = build(config, batch=100, threads=threads, dtype="float32")
    optimizer = Adam(model.parameters, model.ops, workers=model.workers)
    x, eps = minibatch(model)

    def step():
        model.loss_and_gradient(x, eps)
        optimizer.step(model.gradients)

    step()
    tracemalloc.start()
    step()
    start, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    step()
    now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak - start < 1e6
    assert now - start < 1e4


def test_training_lowers_the_loss():
    model = build(DrawConfig(H=6, W=6, T=3, h_enc=16, h_dec=16, z=4), batch=20)
    optimizer = Adam(model.parameters, model.ops, lr=1e-2)
    rng = np.random.default_rng(0)
    pictures = (rng.random((36, 4)) > 0.5).astype(float)
    totals = []
    for step in range(150):
        x = pictures[:, rng.integers(4, size=20)]
        losses = model.loss_and_gradient(x, rng.standard_normal(model.noise_shape()))
        totals.append((losses.reconstruction + losses.latent).mean())
        optimizer.step(model.gradients)
        assert optimizer.count == step + 1
    assert np.mean(totals[-10:]) < 0.5 * totals[0]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"T": 0}, "T is 0"),
        ({"z": -1}, "z is -1"),
        ({"H": 2.5}, r"H is 2\.5"),
        ({"C": True}, "C is True"),
        ({"initial": "random"}, "initial is 'random'"),
        ({"read_n": 5}, "read_n is 5 and write_n is None: give both"),
        ({"read_n": 0, "write_n": 5}, "read_n is 0"),
    ],
)
def test_a_bad_configuration_is_refused_in_a_sentence(change, sentence):
    with pytest.raises(MindrawError, match=sentence):
        DrawConfig(**change)


def test_minibatches_that_do_not_fit_are_refused():
    model = build()
    x, eps = minibatch(model)
    with pytest.raises(MindrawError, match=r"\(T, z, b\) = \(4, 3, 1 to 6\)"):
        model.loss(x, eps[:3])
    with pytest.raises(MindrawError, match=r"\(D, b\) = \(60, 6\)"):
        model.loss(x[:-1], eps)
    with pytest.raises(MindrawError, match="a full minibatch of 6, not 2"):
        model.loss_and_gradient(x[:, :2], eps[:, :, :2])
    with pytest.raises(MindrawError, match="noise has shape"):
        model.generate(eps[0, 0, 0])
    with pytest.raises(MindrawError, match="batch is 0"):
        build(batch=0)
    with pytest.raises(MindrawError, match="threads is 0"):
        build(threads=0)
