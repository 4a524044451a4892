"""Pictures of a run: NumPy arrays in, a PNG or GIF out.

    checks.py      what is refused
    sheet.py       tiles on a page: one layout for every picture of pictures
    windows.py     rectangles where a model read and wrote
    pictures.py    canvases, samples, reconstructions, nearest, animate
    paths.py       glimpses
    classes.py     confusion, mistakes
    curves.py      loss_curves, classification_curves
    output.py      matplotlib and Pillow, imported when needed; files written whole

The same arrays give the same bytes. Neither pyplot nor the user's backend and style
are touched.
"""

from .classes import confusion, mistakes
from .curves import classification_curves, loss_curves
from .paths import glimpses
from .pictures import animate, canvases, nearest, reconstructions, samples

__all__ = [
    "animate",
    "canvases",
    "classification_curves",
    "confusion",
    "glimpses",
    "loss_curves",
    "mistakes",
    "nearest",
    "reconstructions",
    "samples",
]
