"""matplotlib and Pillow, imported when needed, and files written whole."""

import contextlib
import io
from pathlib import Path

import numpy as np

from ..errors import MindrawError
from ..files import write_whole

#: A power of two, so that whole pixels divided by it and multiplied again stay whole.
DPI = 64
PAPER = "#ffffff"
# neutral, so that a sheet of grey pictures is a grey file
INK = "#202020"
FAINT = "#6e6e6e"


def check_path(path, suffix):
    """Return `path` as a pathlib.Path, refused if it does not end in `suffix`."""
    path = Path(path)
    if path.suffix.lower() != suffix:
        raise MindrawError(f"{path} must end in {suffix}: that is what is drawn")
    return path


def pixels(size):
    """Turn pixels into the points that matplotlib measures text and lines in."""
    return size * 72 / DPI


def new_figure(width, height):
    """Return an empty matplotlib Figure of `width` by `height` pixels, outside pyplot."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=PAPER)


@contextlib.contextmanager
def plain_style():
    """Draw in matplotlib's own defaults, whatever the user's style; theirs comes back after.

    Raises
    ------
    MindrawError
        If matplotlib or Pillow is missing.
    """
    try:
        import matplotlib.style
        import PIL  # noqa: F401
    except ImportError as error:
        raise MindrawError(
            f"pictures need matplotlib and Pillow ({error}): pip install 'mindraw[examples]'"
        ) from error
    settings = {
        "font.family": "DejaVu Sans", "text.color": INK, "axes.labelcolor": INK,
        "text.parse_math": False,
    }  # fmt: skip
    with matplotlib.style.context(["default", settings]):
        yield


def rasterise(figure):
    """Return a matplotlib Figure as an array uint8 (rows, columns, 3)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def save_png(path, page):
    """Write a page uint8 (rows, columns, 3) as PNG: no dates, no versions, grey if it is grey."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(page[..., 0] if _is_grey(page) else page).save(file, "PNG")
    write_whole(path, file.getvalue())
    return path


def save_gif(path, pages, seconds, palette):
    """Write pages, each shown for its `seconds`, as a GIF that loops.

    Parameters
    ----------
    path : pathlib.Path
    pages : iterable of array uint8 (rows, columns, 3)
        Taken one at a time: only their indexed twins are held.
    seconds : list of float
    palette : Palette
    """
    from PIL import Image

    def frames():
        for page in pages:
            frame = Image.fromarray(palette.indices(page))
            frame.putpalette(palette.colours.tobytes())
            yield frame

    frames = frames()
    file = io.BytesIO()
    next(frames).save(
        file, "GIF", save_all=True, append_images=frames, loop=0,
        duration=[10 * round(100 * each) for each in seconds],
    )  # fmt: skip
    write_whole(path, file.getvalue())
    return path


class Palette:
    """The 256 colours of a GIF, and which of them each pixel gets.

    Parameters
    ----------
    tiles : array uint8 (..., C, H, W)
        All that the pages will show. Grey pictures have nearly all grey levels; coloured
        ones share what is left, beside some greys for the writing.
    lines : collection of (int, int, int)
        Colours that must come out exact.

    Attributes
    ----------
    colours : array uint8 (256 or fewer, 3)
    """

    def __init__(self, tiles, lines=()):
        self.lines = np.array(list(lines), np.uint8).reshape(-1, 3)
        free = 256 - len(self.lines)
        self.coloured = tiles.shape[-3] == 3 and bool((tiles != tiles[..., :1, :, :]).any())
        self.greys = np.rint(np.linspace(0, 255, WRITING if self.coloured else free))
        levels = self.greys.astype(np.uint8)[:, None].repeat(3, axis=1)
        common = _common(tiles, free - len(levels)) if self.coloured else levels[:0]
        self.colours = np.concatenate([self.lines, levels, common])

    def indices(self, page):
        """Return a page uint8 (rows, columns, 3) as indices uint8 (rows, columns)."""
        first, last = len(self.lines), len(self.lines) + len(self.greys) - 1
        if self.coloured:
            indices = self._nearest(page)
            # what is nearest to Pillow is approximate, which would tint the paper
            indices[(page == 255).all(axis=-1)] = last
        else:
            nearest = np.rint(np.arange(256) * ((last - first) / 255)) + first
            indices = nearest.astype(np.uint8)[page[..., 0]]
        for number, colour in enumerate(self.lines):
            indices[(page == colour).all(axis=-1)] = number
        return indices

    def _nearest(self, page):
        from PIL import Image

        holder = Image.new("P", (1, 1))
        holder.putpalette(self.colours.tobytes())
        return np.array(Image.fromarray(page).quantize(palette=holder, dither=Image.Dither.NONE))


#: Greys that a coloured GIF keeps for the writing and the paper.
WRITING = 18


def _common(tiles, count):
    """Return at most `count` colours uint8 (n, 3) that suit coloured tiles."""
    from PIL import Image

    # some ten thousands of pixels are enough to know the colours by
    pixels = np.moveaxis(tiles, -3, -1).reshape(-1, 3)
    pixels = pixels[:: max(1, len(pixels) // 50_000)]
    image = Image.fromarray(np.ascontiguousarray(pixels)[None])
    found = image.quantize(count, Image.Quantize.MAXCOVERAGE).getpalette()
    # some versions of Pillow fill the palette up to 256
    return np.array(found, np.uint8).reshape(-1, 3)[:count]


def _is_grey(page):
    return bool((page == page[..., :1]).all())
