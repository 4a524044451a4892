import numpy as np
import pytest

from mindraw.data import splits
from mindraw.data.splits import BinarySplit, GreySplit, binarised


@pytest.fixture
def grey():
    """60 pictures of 51 pixels; column j is as bright as 5 j in all of them."""
    pixels = np.tile(np.arange(0, 256, 5, dtype=np.uint8)[:51], (60, 1))
    pixels[:, 50] = 255
    return GreySplit(pixels, np.arange(60, dtype=np.uint8) % 10)


def test_grey_values_are_shares_of_255(grey):
    x = grey.images([3, 1])
    assert x.shape == (2, 51)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, grey.pixels[[3, 1]] / np.float32(255))


def test_bits_come_back():
    bits = np.random.default_rng(0).integers(0, 2, (9, 13), dtype=np.uint8)
    x = BinarySplit(np.packbits(bits, axis=1), 13).images(np.array([8, 0, 8]), epoch=4)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, bits[[8, 0, 8]])


@pytest.mark.parametrize("binarise", ["fixed", "stochastic"])
def test_only_zeros_and_ones_and_labels_stay(grey, binarise):
    split = binarised(grey, binarise, 0, "train")
    x = split.images(range(60))
    assert set(np.unique(x)) == {0, 1}
    assert x.dtype == np.float32
    assert len(split) == split.size == 60
    assert split.labels is grey.labels


def test_a_pixel_is_one_as_often_as_it_is_bright():
    n = 40_000
    pixels = np.tile(np.array([0, 1, 64, 128, 254, 255], np.uint8), (n, 1))
    x = binarised(GreySplit(pixels), "fixed", 5, "train").images(range(n))
    share, p = x.mean(axis=0), pixels[0] / 255
    assert share[0] == 0 and share[-1] == 1
    # Six standard deviations.
    assert (abs(share - p) <= 6 * np.sqrt(p * (1 - p) / n)).all()


def test_neighbours_are_independent():
    x = binarised(GreySplit(np.full((2000, 100), 128, np.uint8)), "fixed", 0, "train")
    x = x.images(range(2000)) - 0.5
    assert abs((x[:, 1:] * x[:, :-1]).mean()) < 6 * 0.25 / np.sqrt(x.size)
    assert abs((x[1:] * x[:-1]).mean()) < 6 * 0.25 / np.sqrt(x.size)


def test_stochastic_is_fresh_every_epoch_and_a_pure_function(grey):
    split = binarised(grey, "stochastic", 7, "train")
    epochs = [split.images(range(60), epoch) for epoch in range(3)]
    assert not np.array_equal(epochs[0], epochs[1])
    assert not np.array_equal(epochs[1], epochs[2])
    resumed = binarised(grey, "stochastic", 7, "train")
    for epoch in (2, 0, 1):
        order = np.random.default_rng(epoch).permutation(60)
        for batch in (order[:25], order[25:]):
            np.testing.assert_array_equal(resumed.images(batch, epoch), epochs[epoch][batch])


@pytest.mark.parametrize(
    ("binarise", "part"), [("fixed", "train"), ("stochastic", "valid"), ("stochastic", "test")]
)
def test_drawn_once(grey, binarise, part):
    split = binarised(grey, binarise, 0, part)
    np.testing.assert_array_equal(split.images(range(60), 0), split.images(range(60), 5))


def test_seed_and_part_change_the_draw(grey):
    draws = [
        binarised(grey, "fixed", seed, part).images(range(60)).tobytes()
        for seed in (0, 1)
        for part in ("train", "valid", "test")
    ]
    assert len(set(draws)) == 6


def test_every_picture_is_drawn_even_beyond_one_chunk(monkeypatch):
    monkeypatch.setattr(splits, "CHUNK", 8)
    white = GreySplit(np.full((21, 10), 255, np.uint8))
    assert binarised(white, "fixed", 0, "train").images(range(21)).all()


def test_none_leaves_all_alone(grey):
    assert binarised(grey, "none", 0, "train") is grey
    assert binarised(None, "fixed", 0, "valid") is None


def test_the_draw_of_a_seed_stays_what_it_is():
    """Published numbers hang on it: a change here must be meant."""
    split = binarised(GreySplit(np.full((1, 32), 128, np.uint8)), "stochastic", 3, "train")
    drawn = "".join(f"{pixel:.0f}" for pixel in split.images([0], 2)[0])
    assert drawn == "11011111100110010110011010110011"
