"""Tiles on a page: the layout of every picture that is made of pictures."""

import textwrap

import numpy as np

from ..errors import MindrawError
from . import windows
from .output import FAINT, PAPER, new_figure, pixels, rasterise

#: The side of the longest page that is drawn, in pixels.
LONGEST = 20_000
#: Size of the letters of the legend, of those of the title.
LETTER = 0.8
#: Thickness of the lines in the legend, in pixels.
LINE = 3


class Sheet:
    """A grid of tiles, magnified by a whole factor, with a title and a label per column.

    Everything is placed in pixels of the page, counted from its top left corner.

    Parameters
    ----------
    rows, columns : int
    shape : (int, int)
        H and W of a tile before it is magnified.
    title : str, optional
    labels : sequence of str
        One above each column.
    caption : str
        Stands where labels would, but over the whole page.
    breaks : collection of int
        Columns with a wider gap before them.
    width : int
        The page is at most about this wide, where the tiles allow it.
    text : int
        The height of the letters.
    legend : collection of str
        Which windows the tiles carry; see `windows.py`.
    notes : dict of (int, int) to str
        Written below the tile in that row and column.

    Attributes
    ----------
    caption : str
        May be changed before the page is drawn again.
    scale : int
        Side of the square that stands for one pixel of a tile.
    page : array uint8 (rows, columns, 3)
        The tiles without the writing.

    Raises
    ------
    MindrawError
        If the page would be too large.
    """

    def __init__(
        self, rows, columns, shape, title=None, labels=(), caption="", breaks=(), width=1600,
        text=26, legend=(), notes=None,
    ):  # fmt: skip
        H, W = shape
        self.text = text
        self.labels = labels
        self.caption = caption
        self.legend = legend
        self.notes = notes or {}
        self.gap = gap = max(2, text // 5)
        self.margin = margin = text // 2
        extra = 2 * margin + (columns - 1) * gap + len(breaks) * 4 * gap
        self.scale = max(1, min(
            (width - extra) // (columns * W),
            (2 * width - 2 * margin - (rows - 1) * gap) // (rows * H),
            max(width // 5, 64) // max(H, W),
        ))  # fmt: skip
        self.tile = (H * self.scale, W * self.scale)
        broken = np.array([4 * gap * (k in breaks) for k in range(columns)])
        self.left = margin + np.arange(columns) * (self.tile[1] + gap) + np.cumsum(broken)
        across = int(self.left[-1]) + self.tile[1] + margin
        # letters of this font are 0.6 of their height wide, on average
        letter = 0.62 * text
        if title:
            across = max(across, min(24 * text, round(len(title) * letter) + 2 * margin))
        if legend:
            across = max(across, round(self._lay_legend()[-1][0]))
        self.title = textwrap.wrap(title or "", max(1, int((across - 2 * margin) / letter)))
        self.line = round(1.4 * text)
        lines = len(self.title) + bool(legend) + bool(labels or caption)
        head = margin + lines * self.line + margin // 2 * bool(lines)
        self.foot = round(1.2 * text) * bool(self.notes)
        self.top = head + np.arange(rows) * (self.tile[0] + self.foot + gap)
        down = int(self.top[-1]) + self.tile[0] + self.foot + margin
        if max(across, down) > LONGEST:
            raise MindrawError(
                f"{rows} x {columns} pictures of {H} x {W} pixels make a page of {down} x {across} "
                f"pixels, more than {LONGEST}: draw fewer"
            )
        paper = [int(PAPER[k : k + 2], 16) for k in (1, 3, 5)]
        self.page = np.full((down, across, 3), paper, dtype=np.uint8)

    def put(self, row, column, tile, boxes=None):
        """Lay a tile, uint8 (C, H, W), on the page, and upon it rectangles by name (K, 4).

        Returns
        -------
        array uint8 (rows, columns, 3)
            The tile's part of the page. A tile of another size than the others fills it too.
        """
        top, left = self.top[row], self.left[column]
        large = self.page[top : top + self.tile[0], left : left + self.tile[1]]
        rows, columns = (
            np.arange(n) * size // n for n, size in zip(self.tile, tile.shape[1:], strict=True)
        )
        large[...] = tile.transpose(1, 2, 0)[rows[:, None], columns]
        if boxes:
            windows.draw(large, boxes, self.scale)
        return large

    def draw(self):
        """Return the page with its writing, uint8 (rows, columns, 3)."""
        from matplotlib.transforms import IdentityTransform

        # most writing stands above the tiles: to draw no more than that keeps memory small
        height, width = self.top[0], self.page.shape[1]
        figure = new_figure(width, height)

        def write(x, y, words, size, **style):
            figure.text(
                x, height - y, words, fontsize=pixels(size), transform=IdentityTransform(), **style
            )

        for k, words in enumerate(self.title):
            y = self.margin + k * self.line
            write(self.margin, y, words, self.text, va="top", fontweight="bold")
        y = height - 0.35 * self.text
        style = {"va": "baseline", "color": FAINT}
        write(self.margin, y, self.caption, 0.9 * self.text, **style)
        longest = max(map(len, self.labels), default=1)
        size = min(0.9 * self.text, (self.tile[1] + self.gap) / (0.65 * longest))
        for left, words in zip(self.left, self.labels, strict=False):
            write(left + self.tile[1] / 2, y, words, size, ha="center", **style)
        baseline = self.margin + (len(self.title) + 0.78) * self.line
        places = self._lay_legend() if self.legend else []
        for x, words in places[:-1]:
            write(x, baseline, words, LETTER * self.text, **style)
        self.page[:height] = rasterise(figure)
        side = self._sample()
        for (x, _), name in zip(places, self.legend, strict=False):
            left, bottom = round(x - 1.4 * side), round(baseline)
            sample = self.page[bottom - side : bottom, left : left + side]
            middle = (side - 1) / 2
            box = (middle, middle, side - LINE, 2 * LINE)
            windows.outline(sample, box, 1, windows.COLOURS[name], dashed=name == "read")
        self._write_notes()
        return self.page

    def _write_notes(self):
        """Write the notes, row by row."""
        for row in sorted({row for row, _ in self.notes}):
            figure = new_figure(self.page.shape[1], self.foot)
            for column, left in enumerate(self.left):
                figure.text(
                    (left + self.tile[1] / 2) / self.page.shape[1], 0.3,
                    self.notes.get((row, column), ""), fontsize=pixels(0.8 * self.text),
                    ha="center", va="baseline", color=FAINT,
                )  # fmt: skip
            top = self.top[row] + self.tile[0]
            self.page[top : top + self.foot] = rasterise(figure)

    def _sample(self):
        """Return the side of the rectangles in the legend."""
        return round(0.75 * self.text)

    def _lay_legend(self):
        """Return where each piece of the legend is written and its words; last, where it ends."""
        x, places = self.margin, []
        size = LETTER * self.text
        for name in self.legend:
            x += 1.4 * self._sample()
            places.append((x, windows.LEGEND[name]))
            x += 0.62 * size * len(windows.LEGEND[name]) + size
        places.append((x, windows.WIDTHS))
        x += 0.57 * size * len(windows.WIDTHS)
        return [*places, (x, "")]
