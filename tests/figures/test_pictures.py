"""Each picture is read back: every tile must lie where a reader looks for it."""

import numpy as np
import pytest
from PIL import Image

from mindraw import MindrawError, figures


@pytest.mark.parametrize(
    "shape", [(4, 3, 1, 5, 5), (1, 1, 1, 28, 28), (3, 2, 3, 6, 4), (2, 1, 3, 1, 1), (1, 3, 1, 2, 9)]
)
def test_canvases_hold_every_example_at_every_step(tmp_path, tiles, shape):
    canvases = tiles.make(*shape)
    path = figures.canvases(tmp_path / "canvases.png", canvases.astype(np.float32))
    assert path == tmp_path / "canvases.png"
    page = tiles.read(path)
    found = np.array([[tiles.find(page, tile) for tile in step] for step in canvases])
    top, left, scale = found.transpose(2, 0, 1)
    assert len(np.unique(scale)) == 1
    assert np.array_equal(top, np.broadcast_to(np.sort(top[0]), top.shape)), "a row per example"
    assert np.array_equal(left.T, np.broadcast_to(np.sort(left[:, 0]), left.T.shape)), "time"
    assert len(np.unique(top)) == shape[1] and len(np.unique(left)) == shape[0]


def test_a_picture_is_wide_enough_for_a_page(tmp_path, tiles):
    path = figures.canvases(tmp_path / "c.png", tiles.make(20, 3, 1, 28, 28))
    assert 1200 <= tiles.read(path).shape[1] <= 1600


@pytest.mark.parametrize(
    "T, columns, steps",
    [
        (1, None, [1]),
        (12, None, list(range(1, 13))),
        (20, None, [1, 3, 5, 7, 9, 12, 14, 16, 18, 20]),
        (64, None, [1, 8, 15, 22, 29, 36, 43, 50, 57, 64]),
        (64, 3, [1, 33, 64]),
        (5, 1, [5]),
        (3, 8, [1, 2, 3]),
    ],
)
def test_steps_are_spread_from_the_first_to_the_last(tmp_path, tiles, words, T, columns, steps):
    canvases = tiles.make(T, 1, 1, 3, 3)
    page = tiles.read(figures.canvases(tmp_path / "c.png", canvases, "A title", columns))
    assert words == ["A title", f"t = {steps[0]}", *map(str, steps[1:])]
    scale = tiles.find(page, canvases[steps[0] - 1, 0])[2]
    lefts = [tiles.find(page, canvases[t - 1, 0], [scale])[1] for t in steps]
    assert lefts == sorted(lefts)
    for t in set(range(1, T + 1)) - set(steps):
        with pytest.raises(AssertionError):
            tiles.find(page, canvases[t - 1, 0], [scale])


@pytest.mark.parametrize(
    "n, rows, columns", [(1, 1, 1), (7, 3, 3), (24, 4, 6), (50, 5, 10), (53, 7, 8), (100, 10, 10)]
)
def test_rows_of_samples_are_full_where_they_can_be(tmp_path, tiles, n, rows, columns):
    pictures = tiles.make(n, 1, 3, 3)
    page = tiles.read(figures.samples(tmp_path / "samples.png", pictures))
    scale = tiles.find(page, pictures[0])[2]
    places = np.array([tiles.find(page, tile, [scale])[:2] for tile in pictures])
    assert [len(np.unique(axis)) for axis in places.T] == [rows, columns]


@pytest.mark.parametrize("shape", [(1, 1, 7, 7), (7, 3, 4, 6), (100, 1, 3, 3)])
def test_samples_are_read_like_words(tmp_path, tiles, shape):
    pictures = tiles.make(*shape)
    page = tiles.read(figures.samples(tmp_path / "samples.png", pictures))
    scale = tiles.find(page, pictures[0])[2]
    places = [tiles.find(page, tile, [scale])[:2] for tile in pictures]
    assert places == sorted(places)
    rows = len({top for top, _ in places})
    assert shape[0] < 4 or 1 < rows < shape[0]


@pytest.mark.parametrize("C", [1, 3])
@pytest.mark.parametrize("T", [1, 6, 30])
def test_reconstructions_lie_beside_their_inputs(tmp_path, tiles, words, T, C):
    x, canvases = tiles.make(3, C, 4, 4, seed=1), tiles.make(T, 3, C, 4, 4)
    path = figures.reconstructions(tmp_path / "r.png", x, canvases, title="Test digits")
    page = tiles.read(path)
    assert words[:3] == ["Test digits", "input", "output"]
    assert words[3:4] == (["t = 1"] if T > 1 else [])
    assert T == 1 or words[-1] == str(T)
    for example in range(3):
        top, left, scale = tiles.find(page, x[example])
        width = 4 * scale
        # the first of two equal tiles in a row is the one next to the input
        beside = tiles.find(page, canvases[-1, example], [scale])
        assert beside[0] == top and left + width < beside[1] < left + 1.5 * width
        if T > 1:
            first = tiles.find(page, canvases[0, example], [scale])
            assert first[0] == top and first[1] > beside[1] + width
            last = page[:, first[1] :]
            assert tiles.find(last, canvases[-1, example], [scale])[0] == top


@pytest.mark.parametrize("T, n", [(5, 4), (1, 1), (3, 7)])
def test_an_animation_has_a_frame_for_every_step(tmp_path, tiles, words, T, n):
    canvases = tiles.make(T, n, 1, 6, 5)
    path = figures.animate(tmp_path / "a.gif", canvases, seconds_per_step=0.2, hold=1.5)
    frames = tiles.frames(path)
    assert words == [f"t = {t}" for t in range(1, T + 1)]
    assert len(frames) == T
    if T > 1:
        assert [duration for _, duration in frames] == [200] * (T - 1) + [1700]
    scale = tiles.find(frames[0][0], canvases[0, 0])[2]
    for (page, _), step in zip(frames, canvases, strict=True):
        places = [tiles.find(page, tile, [scale])[:2] for tile in step]
        assert places == sorted(places)
    with Image.open(path) as image:
        assert image.info["loop"] == 0


def test_an_animation_that_stands_still_keeps_its_frames(tmp_path, tiles):
    path = figures.animate(tmp_path / "a.gif", np.ones((4, 1, 1, 3, 3)), title="Nothing moves")
    assert len(tiles.frames(path)) == 4


def test_an_animation_in_colour_stays_close_and_its_paper_white(tmp_path, tiles):
    ramp = np.linspace(0, 1, 16)
    red, green = np.meshgrid(ramp, ramp)
    canvases = np.array([[[red * k, green, 1 - red]] for k in (0.2, 0.6, 1.0)])
    frames = tiles.frames(figures.animate(tmp_path / "a.gif", canvases))
    assert len(frames) == 3
    for (page, _), step in zip(frames, canvases, strict=True):
        assert (page[0] == 255).all() and (page[-1] == 255).all()
        ink = np.argwhere((page != 255).any(axis=-1) & (np.ptp(page, axis=-1) > 30))
        (top, left), (bottom, right) = ink.min(axis=0), ink.max(axis=0)
        scale = round((right - left + 1) / 16)
        centres = page[top + scale // 2 : bottom + 1 : scale, left + scale // 2 : right + 1 : scale]
        want = 255 * step[0].transpose(1, 2, 0)
        assert centres.shape == want.shape
        assert np.abs(centres - want).mean() < 8
        assert np.abs(centres - want).max() < 40


def test_a_long_title_wraps_inside_the_page(tmp_path, tiles, words):
    title = "Samples of a model that was trained on a stand-in for the data, which is not at hand"
    page = tiles.read(figures.samples(tmp_path / "s.png", tiles.make(1, 1, 4, 4), title=title))
    assert len(words) > 1 and " ".join(words) == title
    assert (page[:, -8:] == 255).all()


@pytest.mark.parametrize("title", ["$x_t$ and $", "\\frac{", "50 % & #1", "two\nlines", ""])
def test_a_title_is_taken_at_its_letters(tmp_path, tiles, words, title):
    figures.canvases(tmp_path / "c.png", tiles.make(1, 1, 1, 4, 4), title=title)
    assert " ".join(words[:-1]).split() == title.split()


def test_values_beyond_the_range_by_rounding_are_drawn(tmp_path, tiles):
    picture = np.array([0.0, 1.0, -4e-6, 1 + 4e-6]).reshape(1, 1, 2, 2)
    page = tiles.read(figures.samples(tmp_path / "s.png", picture))
    tiles.find(page, np.array([[[0.0, 1.0], [0.0, 1.0]]]))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float16, np.float64])
def test_any_real_type_is_drawn(tmp_path, tiles, dtype):
    picture = np.array([[[[0, 1, 1], [1, 0, 0]]]], dtype=dtype)
    page = tiles.read(figures.samples(tmp_path / "s.png", picture))
    tiles.find(page, picture[0].astype(float))


BAD = [
    (np.zeros((2, 1, 4, 4)), "must be (T, n, C, H, W)"),
    (np.zeros((2, 3, 2, 4, 4)), "2 channels"),
    (np.zeros((0, 3, 1, 4, 4)), "nothing in it"),
    (np.zeros((2, 0, 1, 4, 4)), "nothing in it"),
    (np.full((1, 1, 1, 2, 2), np.nan), "not finite"),
    (np.full((1, 1, 1, 2, 2), -np.inf), "not finite"),
    (np.full((1, 1, 1, 2, 2), 1.01), "from 1.01 to 1.01"),
    (np.full((1, 1, 1, 2, 2), -3.0), "from -3 to -3"),
    (np.full((1, 1, 1, 2, 2), 255, np.uint8), "from 255 to 255"),
    (np.zeros((1, 1, 1, 2, 2), complex), "real numbers"),
    (np.full((1, 1, 1, 2, 2), "0"), "real numbers"),
    ([[1], [2, 3]], "not a NumPy array"),
    (np.zeros((1, 1, 1, 30_000, 2)), "draw fewer"),
]


@pytest.mark.parametrize("draw, name", [(figures.canvases, "c.png"), (figures.animate, "c.gif")])
@pytest.mark.parametrize("array, words", BAD, ids=[words for _, words in BAD])
def test_what_is_no_picture_is_refused(tmp_path, draw, name, array, words):
    with pytest.raises(MindrawError) as refused:
        draw(tmp_path / name, array)
    assert words in str(refused.value) and "\n" not in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_other_arguments_are_refused(tmp_path):
    array = np.zeros((2, 3, 1, 4, 4))
    with pytest.raises(MindrawError, match=r"pictures has shape .* must be \(n, C, H, W\)"):
        figures.samples(tmp_path / "s.png", array)
    with pytest.raises(MindrawError, match=r"x has shape \(2, 1, 4, 4\) and canvases"):
        figures.reconstructions(tmp_path / "r.png", array[0, :2], array)
    with pytest.raises(MindrawError, match="columns is 0"):
        figures.canvases(tmp_path / "c.png", array, columns=0)
    for bad in (0, -1, 601, np.nan):
        with pytest.raises(MindrawError, match="seconds_per_step is"):
            figures.animate(tmp_path / "a.gif", array, seconds_per_step=bad)
    with pytest.raises(MindrawError, match="hold is -1"):
        figures.animate(tmp_path / "a.gif", array, hold=-1)
    assert not list(tmp_path.iterdir())
