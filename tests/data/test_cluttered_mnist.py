"""Cluttered MNIST against a slow generator, written after the published one, picture by picture."""

import itertools
import time

import numpy as np
import pytest
from data_files import write_mnist

from mindraw import MindrawError, data
from mindraw.data import clutter


@pytest.fixture
def folder(tmp_path):
    write_mnist(tmp_path / "mnist", n_train=40, n_test=12)
    return tmp_path / "mnist"


def load(folder, **options):
    return data.load("cluttered-mnist", folder, **options)


def by_hand(split, index, epoch):
    """Distractors added and clipped at 1; then each digit added and clipped at 1."""
    how = split.clutter
    distractors, digits = split.draw([index], epoch)
    canvas = np.zeros((how.H, how.W))
    side = how.distractor_size
    for k in range(how.distractors):
        t, u = distractors.top[0, k], distractors.left[0, k]
        s, v = distractors.crop_top[0, k], distractors.crop_left[0, k]
        crop = split.source[distractors.which[0, k]][s : s + side, v : v + side] / 255
        canvas[t : t + side, u : u + side] += crop
    canvas[canvas >= 1] = 1
    for k in range(how.digits):
        t, u = digits.top[0, k], digits.left[0, k]
        canvas[t : t + 28, u : u + 28] += split.digits[digits.which[0, k]] / 255
        canvas[canvas >= 1] = 1
    return canvas.ravel()


OPTIONS = {
    "as published": {},
    "crowded": {"size": 40, "distractors": 30, "distractor_size": 11, "border": 3},
    "no clutter": {"size": (28, 33), "distractors": 0},
    "two digits": {"size": (60, 70), "digits": 2, "origin": "train"},
    "three digits": {"size": 50, "digits": 3, "target": "sum", "distractor_size": 28},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_the_pictures_are_the_published_ones(folder, options):
    dataset = load(folder, seed=3, **options)
    size = np.broadcast_to(options.get("size", 100), 2)
    assert dataset.shape == (1, *size) and dataset.classes == len(classes(options))
    for split, n in ((dataset.train, 40), (dataset.test, 12)):
        assert len(split) == n
        x = split.images(np.arange(n), 5)
        assert x.dtype == np.float32 and x.shape == (n, np.prod(size))
        assert 0 <= x.min() and x.max() <= 1
        for index in range(n):
            np.testing.assert_allclose(x[index], by_hand(split, index, 5), atol=1e-6)


def classes(options):
    """Every class, as the published one orders them."""
    n = options.get("digits", 1)
    if options.get("target") == "sum":
        return list(range(9 * n + 1))
    return list(itertools.combinations_with_replacement(range(10), n))


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_the_targets_are_the_published_ones(folder, options):
    split = load(folder, **options).train
    for epoch in (0, 1):
        _, digits = split.draw(np.arange(40), epoch)
        found = split.targets(np.arange(40), epoch)
        for index in range(40):
            held = sorted(split.classes[digits.which[index]].tolist())
            want = sum(held) if options.get("target") == "sum" else tuple(held)
            assert classes(options)[found[index]] == want
    assert (split.labels == split.targets(np.arange(40), 0)).all()


def test_every_digit_is_shown_once_in_an_epoch_and_partners_change(folder):
    split = load(folder, digits=2, size=60).train
    shown = [split.draw(np.arange(40), epoch)[1].which for epoch in (0, 1)]
    for which in shown:
        assert (np.sort(which, axis=0) == np.arange(40)[:, None]).all()
        assert (which[:, 0] == np.arange(40)).all()
    assert (shown[0][:, 1] != shown[1][:, 1]).any()


def test_a_picture_depends_on_seed_epoch_and_index_alone(folder):
    one, other = (load(folder, seed=4, digits=2, bend=0.1) for _ in range(2))
    x = one.train.images(np.arange(40), 7)
    one.train.images([3], 8)
    order = np.random.default_rng(0).permutation(40)
    np.testing.assert_array_equal(one.train.images(order, 7), x[order])
    np.testing.assert_array_equal(other.train.images(np.arange(5, 9), 7), x[5:9])
    assert (x != one.train.images(np.arange(40), 8)).any(axis=1).all()
    third = load(folder, seed=5, digits=2, bend=0.1)
    assert (x != third.train.images(np.arange(40), 7)).any(axis=1).all()
    assert len(np.unique(x, axis=0)) == 40
    y = one.test.images(np.arange(12), 0)
    assert (y != third.test.images(np.arange(12), 0)).any(axis=1).all()
    # nor does one part draw what the other draws
    for train, test in zip(
        *(part.draw(np.arange(12), 0) for part in (one.train, one.test)), strict=True
    ):
        for name in ("top", "left"):
            assert (getattr(train, name) != getattr(test, name)).any(axis=1).sum() > 9


def test_the_pictures_to_test_stay_and_are_never_bent(folder):
    test = load(folder).test
    x = test.images(np.arange(12), 0)
    np.testing.assert_array_equal(test.images(np.arange(12), 3), x)
    np.testing.assert_array_equal(load(folder, bend=0.2).test.images(np.arange(12), 0), x)


def test_the_digits_to_train_on_are_bent_afresh_in_every_epoch(folder):
    def whole(epoch, **options):
        """Cut the digits out of pictures without clutter."""
        split = load(folder, distractors=0, **options).train
        x = split.images(np.arange(40), epoch).reshape(40, 100, 100)
        corners = (split.places(np.arange(40), epoch).T - 13.5).astype(int)
        pairs = zip(x, corners, strict=True)
        return np.stack([one[top : top + 28, left : left + 28] for one, (left, top) in pairs])

    straight = whole(0)
    np.testing.assert_array_equal(straight, whole(1))
    bent = [whole(0, bend=0.2), whole(1, bend=0.2), whole(0, bend=0.2)]
    np.testing.assert_array_equal(bent[0], bent[2])
    for one, other in ((straight, bent[0]), (bent[0], bent[1])):
        assert (one != other).any(axis=(1, 2)).all()


def test_no_digit_touches_the_border(folder):
    split = load(folder, size=(40, 50), border=5, digits=2).train
    drawn = [split.draw(np.arange(40), epoch)[1] for epoch in range(10)]
    for name, last in (("top", 40 - 28 - 5), ("left", 50 - 28 - 5)):
        places = np.stack([getattr(one, name) for one in drawn])
        assert (places.min(), places.max()) == (5, last)


def test_the_test_pictures_hold_test_digits_and_the_origin_says_whose_crops(folder):
    published, other = load(folder), load(folder, origin="train")
    np.testing.assert_array_equal(published.test.source, published.test.digits)
    np.testing.assert_array_equal(other.test.source, other.train.digits)
    np.testing.assert_array_equal(other.test.digits, published.test.digits)


def test_places_and_crops_are_uniform(folder):
    split = load(folder, size=32, distractors=200).train
    drawn = [split.draw(np.arange(40), epoch) for epoch in range(10)]
    for part, name, n in (
        (0, "which", 40), (0, "top", 25), (0, "left", 25), (0, "crop_top", 21),
        (0, "crop_left", 21), (1, "top", 5), (1, "left", 5),
    ):  # fmt: skip
        counts = np.bincount(np.concatenate([getattr(d[part], name).ravel() for d in drawn]))
        assert len(counts) == n
        expected = counts.sum() / n
        assert (abs(counts - expected) < 5 * np.sqrt(expected)).all(), name
    # and none says anything of another
    for part, names in (
        (0, ("which", "top", "left", "crop_top", "crop_left")),
        (1, ("top", "left")),
    ):
        numbers = [
            np.concatenate([getattr(d[part], name).ravel() for d in drawn]) for name in names
        ]
        related = np.corrcoef(numbers) - np.eye(len(names))
        assert abs(related).max() < 5 / np.sqrt(numbers[0].size), names


def test_it_says_where_a_digit_lies(folder):
    train = load(folder, seed=3, distractors=0).train
    indices = np.arange(40)[::-1]
    for epoch in (0, 2):
        places = train.places(indices, epoch)
        assert places.shape == (2, 40) and places.dtype == np.float32
        for x, (left, top) in zip(train.images(indices, epoch), places.T - 13.5, strict=True):
            x, (left, top) = x.reshape(100, 100), map(int, (left, top))
            digit = x[top : top + 28, left : left + 28]
            assert np.count_nonzero(digit) == np.count_nonzero(x) > 0
    assert load(folder, seed=3, digits=2).train.places(indices) is None
    assert data.load("mnist", folder).train.places(indices) is None


def test_bent_digits_are_other_pictures_of_the_same_digits():
    digits = np.zeros((300, 28, 28), np.float32)
    digits[:, 6:22, 12:16] = 1
    rng = np.random.default_rng(1)
    levels = clutter.LEVELS
    moves = rng.integers(-levels, levels + 1, (600, len(clutter.BASIS))).astype(np.float32)
    np.testing.assert_array_equal(clutter.bent(digits, moves, 0.0), digits)
    found = clutter.bent(digits, moves, 0.1)
    assert 0 <= found.min() and found.max() <= 1 + 1e-6
    overlap = np.minimum(found, digits).sum((1, 2)) / np.maximum(found, digits).sum((1, 2))
    assert 0.2 < overlap.min() and overlap.max() < 1 and 0.5 < np.median(overlap) < 0.95


def test_a_shift_reads_black_from_beyond_the_edge():
    digits = np.zeros((2, 28, 28), np.float32)
    digits[:, 6:22, 12:16] = 0.5
    digits[1] = 1
    moves = np.zeros((2, 2, len(clutter.BASIS)), np.float32)
    moves[:, 0, 2] = clutter.LEVELS  # rows are read from 10 pixels further down
    found = clutter.bent(digits, moves.reshape(4, -1), 10 * clutter.FINE / clutter.BASIS[2, 0])
    np.testing.assert_allclose(found[0, :12, 12:16], 0.5, atol=1e-5)
    assert found[0].sum() == pytest.approx(24) and (found[1, 18:] == 0).all()


def test_displacements_add_up_exactly():
    """So that a digit is bent to the same bits in every minibatch, whatever the BLAS."""
    assert (clutter.BASIS == np.rint(clutter.BASIS)).all()
    assert clutter.LEVELS * abs(clutter.BASIS).sum(axis=0).max() < 2**24


def test_it_is_faster_than_any_training_step():
    """100 pictures in well under the milliseconds of a step, even on a busy machine."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (1000, 784), dtype=np.uint8)
    labels = rng.integers(0, 10, 1000, dtype=np.uint8)
    split = clutter.ClutteredSplit(
        pixels, labels, pixels, clutter.Clutter(), "combine", (0,), endless=True
    )
    seconds = []
    for epoch in range(20):
        start = time.perf_counter()
        split.images(np.arange(100), epoch)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.006


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 27}, "the size of cluttered-mnist is 27"),
        ({"digits": 0}, "digits is 0: use a whole number of 1 to 3"),
        ({"distractors": -1}, "distractors is -1"),
        ({"distractor_size": 29}, "distractor_size is 29: use a whole number of 1 to 28"),
        ({"border": 37}, "border is 37: use a whole number of 0 to 36"),
        ({"target": "mark"}, "target is 'mark': use one of combine, sum"),
        ({"origin": "noise"}, "origin is 'noise': use one of own, train"),
        ({"bend": -0.1}, "bend is -0.1"),
        ({"bend": float("nan")}, "bend is nan"),
        ({"binarise": "fixed"}, "leave binarise out"),
        ({"speed": 3}, "cluttered-mnist has no option 'speed'"),
    ],
)
def test_senseless_options(folder, options, words):
    with pytest.raises(MindrawError, match=words):
        load(folder, **options)


def test_other_data_sets_have_no_such_options(folder):
    with pytest.raises(MindrawError, match="mnist has no option 'digits': leave it out"):
        data.load("mnist", folder, digits=2)


def test_pictures_that_do_not_exist(folder):
    with pytest.raises(IndexError, match="picture 40 or 40 of 40 does not exist"):
        load(folder).train.images([40], 0)
