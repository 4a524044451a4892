"""Paths, confusions, mistakes and curves of a classifier: what is drawn is what was given."""

import numpy as np
import pytest

from mindraw import MindrawError, figures
from mindraw.figures import output, paths


def test_a_path_shows_pictures_rectangles_and_glimpses(tmp_path, tiles):
    x, seen = 0 * tiles.make(2, 1, 20, 20), tiles.make(3, 2, 1, 4, 4)
    windows = np.zeros((3, 2, 4))
    windows[:, 0] = [[9.5, 9.5, 18, 3], [5, 5, 4, 1], [14, 12, 6, 1]]
    windows[:, 1] = [[9.5, 9.5, 200, 3], [-50, 5, 4, 1], [3, 3, 0, 0]]
    page = tiles.read(figures.glimpses(tmp_path / "g.png", x, seen, windows, title="Paths"))
    for t in range(3):
        frame = (page == paths.colour(t, 3)).all(axis=-1)
        assert frame.any()
        # the middle of a glimpse is not covered by its frame
        for row in range(2):
            values = np.rint(255 * seen[t, row, 0]).astype(np.uint8)
            assert (page == values[1, 2]).all(axis=-1).any()


def test_the_rectangle_lies_where_the_glimpse_was(tmp_path, tiles):
    x = np.zeros((1, 1, 40, 30))
    windows = np.array([[[20, 10, 8, 5]]], float)
    page = tiles.read(figures.glimpses(tmp_path / "g.png", x, np.ones((1, 1, 1, 3, 3)), windows))
    top, left, scale = tiles.find(page[:, : page.shape[1] // 2], np.zeros((1, 1, 1)), scales=[1])
    blue = (page == paths.colour(0, 1)).all(axis=-1)
    blue[:, page.shape[1] // 2 :] = False
    rows, columns = np.nonzero(blue)
    height = np.ptp(np.nonzero((page[:, left + 1] == 0).all(axis=-1))[0]) + 1
    scale = height / 40
    middle = ((columns.min() + columns.max() + 1) / 2 - left) / scale - 0.5
    assert middle == pytest.approx(20, abs=0.3)
    assert ((rows.min() + rows.max() + 1) / 2 - top) / scale - 0.5 == pytest.approx(10, abs=0.3)
    assert np.ptp(rows) / scale == pytest.approx(8, abs=0.7)


def test_colours_run_from_first_to_last():
    found = [tuple(paths.colour(t, 8)) for t in range(8)]
    assert len(set(found)) == 8 and found[0] == tuple(paths.TIMES[0])
    assert found[-1] == tuple(paths.TIMES[-1]) and tuple(paths.colour(0, 1)) == found[0]


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were drawn."""
    kept, rasterise = [], output.rasterise

    def keep(figure):
        kept.append(figure)
        return rasterise(figure)

    monkeypatch.setattr(output, "rasterise", keep)
    return kept


def test_a_confusion_counts(tmp_path, drawn):
    truth, guess = np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 1, 2, 0, 0])
    figures.confusion(tmp_path / "c.png", truth, guess, 4, title="Confusion")
    (figure,) = drawn
    (axes,) = figure.axes
    written = {tuple(text.get_position()): text.get_text() for text in axes.texts}
    assert written == {(0, 0): "1", (1, 0): "1", (1, 1): "1", (2, 2): "1", (0, 2): "2"}
    shades = np.asarray(axes.get_images()[0].get_array())
    assert shades.shape == (4, 4, 3) and (shades[3] == 1).all()
    blue, orange = shades[1, 1], shades[2, 0]
    assert blue[2] > blue[0] and orange[0] > orange[2]
    assert (shades[2, 0] < shades[0, 1]).any(), "two thirds are darker than a half"


def test_many_classes_bear_no_numbers(tmp_path, drawn):
    figures.confusion(tmp_path / "c.png", np.arange(55), np.zeros(55, int), 55)
    assert not drawn[0].axes[0].texts


def test_mistakes_are_labelled(tmp_path, tiles, words):
    x = tiles.make(5, 1, 9, 9)
    page = tiles.read(figures.mistakes(tmp_path / "m.png", x, [1, 2, 3, 4, 5], [0, 0, 7, 8, 9]))
    assert [each for each in words if "→" in each] == ["1 → 0", "2 → 0", "3 → 7", "4 → 8", "5 → 9"]
    places = [tiles.find(page, tile)[:2] for tile in x]
    assert len(set(places)) == 5 and places == sorted(places)


def history():
    return [
        {"step": 10 * k, "epoch": k / 2, "train_loss": 2.3 / k, "train_error": 90 / k,
         "test_loss": 2.4 / k if k % 2 else None, "test_error": 95 / k if k % 2 else None}
        for k in range(1, 9)
    ]  # fmt: skip


def test_the_curves_are_the_history(tmp_path, drawn):
    figures.classification_curves(tmp_path / "c.png", history(), title="Curves")
    loss, error = drawn[0].axes
    assert [axes.get_title(loc="left") for axes in (loss, error)] == ["loss", "error"]
    assert [axes.get_ylabel() for axes in (loss, error)] == ["nats per picture", "per cent"]
    assert {axes.get_xlabel() for axes in (loss, error)} == {"minibatches, up to epoch 4"}
    train, test = error.get_lines()
    np.testing.assert_allclose(train.get_ydata(), [90 / k for k in range(1, 9)])
    np.testing.assert_allclose(test.get_xdata(), [10, 30, 50, 70])


X, SEEN, BOXES = np.zeros((2, 1, 5, 5)), np.zeros((3, 2, 1, 4, 4)), np.zeros((3, 2, 4))


@pytest.mark.parametrize(
    "draw, words",
    [
        (lambda p: figures.glimpses(p, X[:1], SEEN, BOXES), "they must be"),
        (lambda p: figures.glimpses(p, X, SEEN, BOXES[:2]), "they must be"),
        (lambda p: figures.glimpses(p, X, SEEN, BOXES * np.nan), "and numbers"),
        (lambda p: figures.glimpses(p, X, SEEN + 2, BOXES), "glimpses holds values"),
        (lambda p: figures.confusion(p, [0, 4], [0, 1], 4), "truth must hold whole numbers"),
        (lambda p: figures.confusion(p, [0, 1], [0, -1], 4), "guess must hold whole numbers"),
        (lambda p: figures.confusion(p, [0, 1], [0], 4), "truth has 2 classes and guess 1"),
        (lambda p: figures.mistakes(p, X, [1], [1, 2]), "2 pictures, 1 truths and 2 guesses"),
        (lambda p: figures.classification_curves(p, [{"step": 1}]), "no column epoch"),
        (lambda p: figures.mistakes(p.with_suffix(".gif"), X, [1, 1], [2, 2]), "end in .png"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path, draw, words):
    with pytest.raises(MindrawError, match=words):
        draw(tmp_path / "figure.png")
    assert not list(tmp_path.iterdir())
