import numpy as np
import pytest
from PIL import Image, ImageSequence


class Tiles:
    """Random tiles, no two alike, and where they lie in a picture."""

    @staticmethod
    def make(*shape, seed=0):
        return np.random.default_rng(seed).integers(0, 256, shape) / 255

    @staticmethod
    def find(page, tile, scales=range(1, 400)):
        """Return (top, left, scale) of a tile (C, H, W) in a page uint8 (rows, columns, 3)."""
        picture = np.rint(255 * np.broadcast_to(tile, (3, *tile.shape[1:]))).astype(np.uint8)
        picture = picture.transpose(1, 2, 0)
        flat = page.tobytes()
        for scale in scales:
            large = picture.repeat(scale, axis=0).repeat(scale, axis=1)
            height, width = large.shape[:2]
            at = flat.find(large[0].tobytes())
            while at >= 0:
                top, left = divmod(at // 3, page.shape[1])
                if np.array_equal(page[top : top + height, left : left + width], large):
                    return top, left, scale
                at = flat.find(large[0].tobytes(), at + 1)
        raise AssertionError("the tile is not in the picture")

    @staticmethod
    def read(path):
        """Return the picture in a PNG as uint8 (rows, columns, 3)."""
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))

    @staticmethod
    def frames(path):
        """Return the pictures of a GIF and how many milliseconds each is shown."""
        with Image.open(path) as image:
            return [
                (np.asarray(frame.convert("RGB")), frame.info["duration"])
                for frame in ImageSequence.Iterator(image)
            ]


@pytest.fixture
def tiles():
    return Tiles


@pytest.fixture
def words(monkeypatch):
    """What is written on the sheets, in the order of writing."""
    from matplotlib.figure import Figure

    written = []
    text = Figure.text

    def listen(figure, x, y, words, **style):
        if words:
            written.append(words)
        return text(figure, x, y, words, **style)

    monkeypatch.setattr(Figure, "text", listen)
    return written
