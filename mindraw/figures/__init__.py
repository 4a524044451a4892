"""Pictures of a run: NumPy arrays in, a PNG or GIF out.

    checks.py      what is refused
    sheet.py       tiles on a page: one layout for every picture of pictures
    windows.py     rectangles where a model read and wrote
    pictures.py    canvases, samples, reconstructions, nearest, animate
    curves.py      loss_curves
    output.py      matplotlib and Pillow, imported when needed; files written whole

The same arrays give the same bytes. Neither pyplot nor the user's backend and style
are touched.
"""

from .curves import loss_curves
from .pictures import animate, canvases, nearest, reconstructions, samples

__all__ = ["animate", "canvases", "loss_curves", "nearest", "reconstructions", "samples"]
