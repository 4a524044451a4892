"""Rectangles are read back from the page: their place, size and line, in PNG and in GIF."""

import tracemalloc

import numpy as np
import pytest

from mindraw import MindrawError, figures
from mindraw.figures.windows import COLOURS, LEGEND, SMALLEST, WIDTHS

H, W = 20, 30
CANVAS = np.full((1, 1, 1, H, W), 0.5)
#: How a page shows a single one of these.
SCALE, MARGIN = 10, 13


def boxes(*each, T=1):
    """The same rectangles, (x, y, side, deviation) each, at every step of one example."""
    return np.broadcast_to(np.array(each, float), (T, 1, len(each), 4))


def drawn(page, name):
    """Return where the only canvas has the colour of a part."""
    top, left = page.shape[0] - MARGIN - H * SCALE, MARGIN
    assert (page[top - 1] == 255).all() and (page[top, left] != 255).any()
    canvas = page[top : top + H * SCALE, left : left + W * SCALE]
    return (canvas == COLOURS[name]).all(axis=-1)


@pytest.mark.parametrize(
    "x, y, side", [(10, 8, 6), (10.5, 7.25, 9.5), (14.5, 9.5, 12), (4, 15, 2), (20, 5, 1)]
)
def test_a_rectangle_stands_where_the_filters_do(tmp_path, tiles, x, y, side):
    windows = {"write": boxes((x, y, side, 0.1))}
    page = tiles.read(figures.canvases(tmp_path / "c.png", CANVAS, windows=windows))
    marked = drawn(page, "write")
    rows, columns = (np.flatnonzero(marked.any(axis=axis)) for axis in (1, 0))
    # a pixel's centre lies half a pixel from its left edge
    for found, centre in ((columns, x), (rows, y)):
        want = [(centre + 0.5 + sign * side / 2) * SCALE for sign in (-1, 1)]
        np.testing.assert_allclose([found[0], found[-1] + 1], want, atol=2)
    middle = marked[rows[0] + 3 : rows[-1] - 2, columns[0] + 3 : columns[-1] - 2]
    assert not middle.any() and marked[rows[0], columns[0] : columns[-1]].all()


def test_a_window_of_one_filter_can_be_seen(tmp_path, tiles):
    windows = {"write": boxes((10, 8, 0, 0.1))}
    page = tiles.read(figures.canvases(tmp_path / "c.png", CANVAS, windows=windows))
    marked = drawn(page, "write")
    found = np.argwhere(marked)
    assert np.ptp(found, axis=0).min() >= SMALLEST
    np.testing.assert_allclose(found.mean(axis=0), [8.5 * SCALE, 10.5 * SCALE], atol=1)


def test_the_line_is_as_thick_as_the_filters_are_wide(tmp_path, tiles):
    lines = []
    for deviation in (0, 0.3, 1, 2, 4, np.inf):
        windows = {"write": boxes((14.5, 9.5, 10, deviation))}
        page = tiles.read(figures.canvases(tmp_path / "c.png", CANVAS, windows=windows))
        marked = drawn(page, "write")
        row = marked[10 * SCALE]
        lines.append(int(row[: len(row) // 2].sum()))
    assert lines == sorted(lines) and lines[0] >= 2
    assert lines[1] < lines[2] < lines[3] and lines[-1] < 2 * SCALE
    assert abs(lines[2] - SCALE / 2) <= 1


@pytest.mark.parametrize(
    "box",
    [
        (-300, 5, 6, 1), (5, 900, 6, 1), (14, 9, 5000, 1), (np.inf, 5, 3, 1), (14, 9, np.inf, 1),
        (-1e30, 1e30, 1e30, 1),
    ],
)  # fmt: skip
def test_what_lies_outside_is_cut_off(tmp_path, tiles, box):
    windows = {"read": boxes(box), "write": boxes(box)}
    page = tiles.read(figures.canvases(tmp_path / "c.png", CANVAS, windows=windows))
    for name in windows:
        assert not drawn(page, name).any()


def test_what_reaches_over_the_edge_stays_on_its_canvas(tmp_path, tiles):
    canvases = tiles.make(3, 2, 1, 8, 8)
    windows = np.full((3, 2, 4), 1000.0)
    windows[1, 0] = (0, 4, 5, 2)
    page = tiles.read(figures.canvases(tmp_path / "c.png", canvases, windows={"write": windows}))
    _, left, scale = tiles.find(page, canvases[1, 1])
    top, *_ = tiles.find(page, canvases[0, 0], [scale])
    for t, k in ((0, 0), (2, 0), (0, 1), (1, 1), (2, 1)):
        tiles.find(page, canvases[t, k], [scale])
    marked = np.argwhere((page == COLOURS["write"]).all(axis=-1))
    marked = marked[marked[:, 0] >= top]
    assert marked[:, 1].min() == left and marked[:, 1].max() < left + 5 * scale
    assert np.ptp(marked[:, 0]) > 5 * scale


def test_reading_is_told_from_writing_where_they_coincide(tmp_path, tiles, words):
    windows = {part: boxes((14.5, 9.5, 10, 1)) for part in ("write", "read")}
    page = tiles.read(figures.canvases(tmp_path / "c.png", CANVAS, windows=windows))
    read, write = (drawn(page, name) for name in ("read", "write"))
    both = read | write
    assert 0.3 < read.sum() / both.sum() < 0.7
    assert words[-3:] == [LEGEND["read"], LEGEND["write"], WIDTHS]


@pytest.mark.parametrize("part", ["read", "write"])
def test_the_legend_names_what_is_drawn(tmp_path, tiles, words, part):
    figures.canvases(tmp_path / "c.png", CANVAS, windows={part: boxes((10, 8, 6, 1))})
    assert words == ["t = 1", LEGEND[part], WIDTHS]
    words.clear()
    for none in (None, {}):
        page = tiles.read(figures.canvases(tmp_path / "c.png", CANVAS, windows=none))
        assert words == ["t = 1"] and (page == page[..., :1]).all()
        words.clear()


def test_each_example_and_step_has_its_own(tmp_path, tiles):
    canvases = tiles.make(4, 3, 1, 8, 8) / 4  # dark, so that no tile looks like another
    windows = np.zeros((4, 3, 4))
    windows[..., 2:] = (3, 0.1)
    windows[..., 0] = np.arange(4)[:, None] + 1
    windows[..., 1] = np.arange(3) * 2 + 1
    plain = tiles.read(figures.canvases(tmp_path / "p.png", canvases))
    page = tiles.read(figures.canvases(tmp_path / "c.png", canvases, windows={"write": windows}))
    down = page.shape[0] - plain.shape[0]  # the line of the legend
    for t in range(4):
        for k in range(3):
            top, left, scale = tiles.find(plain, canvases[t, k])
            tile = page[top + down : top + down + 8 * scale, left : left + 8 * scale]
            found = np.argwhere((tile == COLOURS["write"]).all(axis=-1))
            middle = (found.min(axis=0) + found.max(axis=0) + 1) / 2 / scale
            if windows[t, k, 1] < 5:  # the others reach over the edge
                np.testing.assert_allclose(middle[0], windows[t, k, 1] + 0.5, atol=0.3)


def test_several_rectangles_on_one_canvas(tmp_path, tiles):
    windows = {"write": boxes((5, 5, 4, 0.1), (20, 12, 4, 0.1))}
    page = tiles.read(figures.canvases(tmp_path / "c.png", CANVAS, windows=windows))
    marked = drawn(page, "write")
    for x, y in ((5, 5), (20, 12)):
        around = marked[(y - 3) * SCALE : (y + 4) * SCALE, (x - 3) * SCALE : (x + 4) * SCALE]
        assert around.sum() == marked.sum() / 2


def test_reconstructions_carry_them_on_their_steps_alone(tmp_path, tiles):
    x = tiles.make(1, 1, 8, 8, seed=1) / 4
    canvases = tiles.make(3, 1, 1, 8, 8) / 4
    windows = {"read": np.full((3, 1, 4), 3.0), "write": np.full((3, 1, 4), 4.0)}
    path = figures.reconstructions(tmp_path / "r.png", x, canvases, windows=windows)
    page = tiles.read(path)
    top, _, scale = tiles.find(page, x[0])
    output = tiles.find(page, canvases[-1, 0], [scale])
    assert output[0] == top
    for name in windows:
        found = np.argwhere((page == COLOURS[name]).all(axis=-1))
        found = found[found[:, 0] >= top]
        assert found[:, 1].min() > output[1] + 8 * scale
        assert found[:, 1].max() > page.shape[1] - 13 - 8 * scale


@pytest.mark.parametrize("C", [1, 3])
def test_an_animation_carries_them_in_their_very_colours(tmp_path, tiles, C):
    canvases = tiles.make(4, 1, C, H, W)
    windows = {name: np.zeros((4, 1, 4)) for name in ("read", "write")}
    for k, name in enumerate(windows):
        windows[name][:, 0] = [(5 + 5 * t, 6 + 7 * k, 4, 0.5) for t in range(4)]
    path = figures.animate(tmp_path / "a.gif", canvases, windows=windows)
    frames = [page for page, _ in tiles.frames(path)]
    assert len(frames) == 4
    for name in windows:
        lefts = []
        for page in frames:
            found = np.argwhere((page == COLOURS[name]).all(axis=-1))
            lefts.append(found[found[:, 0] > page.shape[0] // 4, 1].min())
        assert lefts == sorted(set(lefts)), "it moves to the right"
    for page in frames:
        assert (page[0] == 255).all() and (page[-1] == 255).all()


def test_a_grey_animation_with_rectangles_keeps_its_greys(tmp_path, tiles):
    ramp = np.linspace(0, 1, 256).reshape(1, 1, 1, 16, 16)
    windows = {"write": np.array([[[3.0, 3.0, 2.0, 0.0]]])}
    (page, _), *_ = tiles.frames(figures.animate(tmp_path / "a.gif", ramp, windows=windows))
    scale = 8
    top = page.shape[0] - 8 - 16 * scale
    centres = page[top + scale // 2 :: scale, 8 + scale // 2 :: scale][:16, :16].astype(int)
    grey = np.ptp(centres, axis=-1) == 0
    assert grey.sum() > 240
    want = np.rint(255 * ramp[0, 0, 0])
    assert np.abs(centres[..., 0] - want)[grey].max() <= 1


@pytest.mark.parametrize(
    "windows, said",
    [
        ({"reed": np.zeros((1, 1, 4))}, "windows are for read and write, not for 'reed'"),
        ({"read": np.zeros((1, 2, 4))}, "the windows for read have shape (1, 2, 4)"),
        ({"read": np.zeros((2, 1, 4))}, "must be (T, n, 4) = (1, 1, 4)"),
        ({"write": np.zeros((1, 1, 5))}, "the windows for write have shape (1, 1, 5)"),
        ({"write": np.zeros(4)}, "the windows for write have shape (4,)"),
        ({"write": np.full((1, 1, 4), np.nan)}, "no number of 0 or more"),
        ({"write": np.full((1, 1, 4), -1.0)}, "no number of 0 or more"),
    ],
)
@pytest.mark.parametrize("name", ["c.png", "r.png", "a.gif"])
def test_what_is_no_rectangle_is_refused(tmp_path, windows, said, name):
    draw = {
        "c.png": figures.canvases,
        "r.png": lambda path, canvases, **more: figures.reconstructions(
            path, canvases[0], canvases, **more
        ),
        "a.gif": figures.animate,
    }[name]
    with pytest.raises(MindrawError) as refused:
        draw(tmp_path / name, CANVAS, windows=windows)
    assert said in str(refused.value) and "\n" not in str(refused.value)
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------ the nearest training image


@pytest.mark.parametrize("n, C", [(1, 1), (7, 3), (20, 1)])
def test_neighbours_lie_beside_their_pictures(tmp_path, tiles, words, n, C):
    pictures, neighbours = tiles.make(n, C, 5, 4), tiles.make(n, C, 5, 4, seed=1)
    page = tiles.read(figures.nearest(tmp_path / "n.png", pictures, neighbours, "A title"))
    scale = tiles.find(page, pictures[0])[2]
    assert words[:3] == ["A title", "drawn", "nearest"]
    for picture, neighbour in zip(pictures, neighbours, strict=True):
        top, left, _ = tiles.find(page, picture, [scale])
        beside = tiles.find(page, neighbour, [scale])
        assert beside[0] == top and left + 4 * scale < beside[1] < left + 5 * scale


def test_unlike_neighbours_are_refused(tmp_path):
    with pytest.raises(MindrawError, match=r"pictures has shape .* both must be"):
        figures.nearest(tmp_path / "n.png", np.zeros((2, 1, 4, 4)), np.zeros((3, 1, 4, 4)))


# ------------------------------------------------------------------ memory


@pytest.mark.parametrize(
    "draw, n, name", [(figures.canvases, 10, "c.png"), (figures.animate, 60, "a.gif")]
)
def test_little_memory_is_needed_beside_the_pictures(tmp_path, draw, n, name):
    draw(tmp_path / name, CANVAS)  # imports count for nothing
    canvases = np.full((9, 60, 3, 60, 60), 0.5, np.float32)
    windows = {"write": np.full((9, n, 4), 10.0)}
    tracemalloc.start()
    try:
        draw(tmp_path / name, canvases[:, :n], windows=windows)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < canvases.nbytes
