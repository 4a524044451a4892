"""SVHN, cropped: house numbers' digits in colour, 32 x 32, 73,257 to train on, 26,032 to test.

From the MATLAB files of format 2, version 5: X (rows, columns, channels, n) and y (n, 1), in which
the digit 0 has the label 10.
"""

import numpy as np

from ...errors import MindrawError
from .. import locate, patches
from ..dataset import Dataset
from ..mat5 import read_mat5
from ..splits import GreySplit, binarised
from . import mnist

C, H, W = 3, 32, 32
D = C * H * W
MOST_ITEMS = 200_000
MIRRORS = ("http://ufldl.stanford.edu/housenumbers/",)

OFFICIAL = locate.Official(
    name="svhn",
    folders=("svhn", "SVHN"),
    files=(
        locate.Remote(
            "train_32x32.mat",
            182040794,
            "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
        ),
        locate.Remote(
            "test_32x32.mat",
            64275384,
            "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
        ),
    ),
    mirrors=MIRRORS,
)


def load(data_dir, binarise, seed):
    """Read SVHN, or coloured MNIST digits over photographs where it cannot be had."""
    try:
        paths, where = locate.find(OFFICIAL, data_dir)
    except locate.Unreachable as why:
        return _stand_in(why, binarise, seed)
    train, test = map(read_mat, paths)
    return _dataset(train, test, f"pictures, from {where}", binarise, seed)


def read_mat(path):
    """Read one MATLAB file.

    Parameters
    ----------
    path : Path

    Returns
    -------
    pixels : uint8 array (n, D)
        In the order channel, row, column.
    labels : uint8 array (n,)
        0 to 9.

    Raises
    ------
    MindrawError
        If the file does not hold what it should.
    """
    variables = read_mat5(path, ("X", "y"), MOST_ITEMS * D)
    for name in ("X", "y"):
        if name not in variables:
            found = ", ".join(variables) or "neither"
            raise MindrawError(f"{path}: expected the variables X and y, found {found}")
    pixels, labels = variables["X"], variables["y"]
    n = pixels.shape[-1]
    if pixels.dtype != np.uint8 or pixels.shape != (H, W, C, n):
        raise MindrawError(
            f"{path}: X, expected uint8 of ({H}, {W}, {C}, n), found {pixels.dtype} of "
            f"{pixels.shape}"
        )
    if labels.shape != (n, 1):
        raise MindrawError(
            f"{path}: y, expected ({n}, 1) labels as X has pictures, found {labels.shape}"
        )
    wrong = ~np.isin(labels[:, 0], np.arange(1, 11))
    if wrong.any():
        at = int(wrong.argmax())
        raise MindrawError(
            f"{path}: y, entry {at + 1}, expected a label of 1 to 10, found {labels[at, 0]}"
        )
    pixels = np.ascontiguousarray(pixels.transpose(3, 2, 0, 1)).reshape(n, D)
    return pixels, labels[:, 0].astype(np.uint8) % 10


def _stand_in(why, binarise, seed):
    photos = patches.photographs(
        "svhn", why, "put train_32x32.mat and test_32x32.mat into DIR/svhn and use --data DIR"
    )
    (train, _), (test, _), *_ = mnist.read(None)
    pairs = (
        (patches.numbers(photos, part, len(digits), W, digits, 1).reshape(-1, D), None)
        for part, digits in (("train", train), ("test", test))
    )
    what = (
        "MNIST digits coloured over patches of scikit-learn's two photographs, a STAND-IN, "
        f"since SVHN was not found ({why})"
    )
    return _dataset(*pairs, what, binarise, seed, stand_in=True)


def _dataset(train, test, what, binarise, seed, stand_in=False):
    train, test = (
        binarised(GreySplit(*pair), binarise, seed, part)
        for pair, part in ((train, "train"), (test, "test"))
    )
    source = f"svhn: {train.size:,} to train on, {test.size:,} to test, {what}"
    return Dataset("svhn", (C, H, W), train, None, test, source, stand_in)
