"""Where the model attends, as `Draw.windows` tells it: the filterbank's own definition."""

import numpy as np
import pytest

from mindraw import Draw, DrawConfig, MindrawError, get_backend
from mindraw.training.draw import windows


def model(threads=1, **config):
    config = DrawConfig(**{"T": 3, "h_enc": 5, "h_dec": 6, "z": 2, "H": 9, "W": 14} | config)
    built = Draw(config, get_backend("numpy", "float64"), batch=7, threads=threads)
    rng = np.random.default_rng(1)
    built.parameters.load(0.3 * rng.standard_normal(built.parameters.flat.shape[0]))
    return built


def by_hand(model, part, h):
    """Equations 21 to 24 counted from 0, for decoder states (h_dec, T*B): (T, 5, B)."""
    config, p = model.config, model.parameters
    W, b = (p["read.W"], p["read.b"]) if part == "read" else (p["attend.W"], p["attend.b"])
    N = config.read_n if part == "read" else config.write_n
    gx, gy, log_s2, log_d, log_gamma = W @ h + b
    rows = np.stack(
        [
            (config.W + 1) / 2 * (gx + 1) - 1,
            (config.H + 1) / 2 * (gy + 1) - 1,
            np.exp(log_s2),
            (max(config.H, config.W) - 1) / max(N - 1, 1) * np.exp(log_d),
            np.exp(log_gamma),
        ]
    )
    return rows.reshape(5, config.T, -1).transpose(1, 0, 2)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    "sizes", [{"read_n": 2, "write_n": 5}, {"read_n": 1, "write_n": 3, "C": 3}]
)
def test_they_are_what_the_decoder_asked_for(threads, sizes):
    m = model(threads, **sizes)
    rng = np.random.default_rng(2)
    for b in (7, 4):
        m.loss(rng.random((m.config.D, b)), rng.standard_normal(m.noise_shape(b)))
        h_dec = m.tape.h_dec_all
        for part, h in (("read", h_dec[:, : -m.batch]), ("write", h_dec[:, m.batch :])):
            got = m.windows(part, b)
            assert got.shape == (3, 5, b)
            np.testing.assert_allclose(got, by_hand(m, part, h)[:, :, :b], rtol=1e-12)
    m.generate(rng.standard_normal(m.noise_shape()))
    want = by_hand(m, "write", m.tape.h_dec_all[:, m.batch :])
    np.testing.assert_allclose(m.windows("write"), want, rtol=1e-12)


def test_they_are_kept_until_the_next_call():
    m = model(read_n=2, write_n=2)
    rng = np.random.default_rng(2)
    x, eps = rng.random((m.config.D, 7)), rng.standard_normal(m.noise_shape())
    m.loss(x, eps)
    kept = m.windows("read")
    copy = kept.copy()
    m.loss(1 - x, eps)
    np.testing.assert_array_equal(kept, copy)
    assert (m.windows("read")[1:] != copy[1:]).any()


def test_what_is_written_lies_inside_of_its_rectangle():
    """With narrow filters the pixels that change are those of the grid's own corners."""
    m = model(T=1, H=12, W=15, read_n=2, write_n=3, initial="zeros")
    for name in m.parameters.names:
        m.parameters[name][...] = 0
    m.parameters["write.b"][...] = 5
    gx, gy, d = 9, 4, 2
    m.parameters["attend.b"][:, 0] = [
        2 * (gx + 1) / 16 - 1, 2 * (gy + 1) / 13 - 1, np.log(0.01), np.log(d / 7), 0,
    ]  # fmt: skip
    canvas = m.generate(np.zeros(m.noise_shape(1)))[0, :, 0].reshape(12, 15)
    box = windows(m, 1, ["write"])["write"][0, 0]
    np.testing.assert_allclose(box, [gx, gy, 2 * d, 0.1], rtol=1e-12)
    rows, columns = np.nonzero(canvas > 0.6)
    assert [columns.min(), columns.max()] == [gx - d, gx + d]
    assert [rows.min(), rows.max()] == [gy - d, gy + d]


def test_one_filter_spans_nothing():
    m = model(read_n=1, write_n=1)
    m.generate(np.zeros(m.noise_shape()))
    assert (windows(m, 7, ["write"])["write"][..., 2] == 0).all()


def test_without_attention_there_are_none():
    m = model()
    m.generate(np.zeros(m.noise_shape()))
    assert windows(m, 7) == {}
    with pytest.raises(MindrawError, match="no attention"):
        m.windows("write")
