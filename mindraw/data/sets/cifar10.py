"""CIFAR-10: 50,000 colour pictures to train on and 10,000 to test, 32 x 32, ten classes.

From the binary distribution: a file is rows of 3,073 bytes, a label and then the
pixels in the order channel, row, column. The distribution for Python is pickled, and a
pickled file that was downloaded is not opened here.
"""

import numpy as np

from ...errors import MindrawError
from .. import archive, locate, patches
from ..dataset import Dataset
from ..splits import GreySplit, binarised

C, H, W = 3, 32, 32
D = C * H * W
ROW = 1 + D
MOST_ROWS = 10_000
TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST = ("test_batch.bin",)
STAND_IN = {"train": 50_000, "test": 10_000}

OFFICIAL = locate.Official(
    name="cifar10",
    folders=("cifar10", "cifar-10", "CIFAR10"),
    files=(
        locate.Remote(
            "cifar-10-binary.tar.gz",
            170052171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ),
    ),
    mirrors=("https://www.cs.toronto.edu/~kriz/",),
)


def load(data_dir, binarise, seed):
    """Read CIFAR-10, or patches of two photographs where it cannot be had."""
    try:
        (path,), where = locate.find(OFFICIAL, data_dir)
    except locate.Unreachable as why:
        return _stand_in(why, binarise, seed)
    batches = read_archive(path)
    train, test = (
        tuple(np.concatenate(arrays) for arrays in zip(*(batches[n] for n in names), strict=True))
        for names in (TRAIN, TEST)
    )
    return _dataset(train, test, f"pictures, from {where}", binarise, seed)


def read_archive(path):
    """Return the six batches by their names: each (pixels (n, D), labels (n,)), uint8."""
    batches = {}

    def wanted(name):
        return name.rpartition("/")[2] in TRAIN + TEST

    for name, contents in archive.members(path, wanted, MOST_ROWS * ROW):
        batch = name.rpartition("/")[2]
        if batch in batches:
            raise MindrawError(f"{path}: expected one {batch}, found a second one, {name!a}")
        batches[batch] = read_batch(contents, f"{path}: {name!a}")
    for batch in TRAIN + TEST:
        if batch not in batches:
            raise MindrawError(f"{path}: expected a {batch} in this archive, found none")
    return batches


def read_batch(contents, where):
    """Return (pixels (n, D), labels (n,)) of the bytes of one file.

    Parameters
    ----------
    contents : uint8 array
    where : str
        The file, for messages.
    """
    n, rest = divmod(len(contents), ROW)
    if rest or not n:
        raise MindrawError(
            f"{where}: at byte {n * ROW}, expected rows of {ROW} bytes to end, "
            f"found {rest or 'no'} bytes"
        )
    rows = contents.reshape(n, ROW)
    labels = rows[:, 0].copy()
    if labels.max() > 9:
        at = int((labels > 9).argmax())
        raise MindrawError(
            f"{where}: at byte {at * ROW}, expected a label of 0 to 9, found {labels[at]}"
        )
    return rows[:, 1:], labels


def _stand_in(why, binarise, seed):
    photos = patches.photographs(
        "cifar10", why, f"put {OFFICIAL.files[0].name} into DIR/cifar10 and use --data DIR"
    )
    train, test = (
        (patches.patches(photos, part, n, W).reshape(n, D), None) for part, n in STAND_IN.items()
    )
    what = (
        "patches of scikit-learn's two photographs, a STAND-IN, since CIFAR-10 was not found "
        f"({why})"
    )
    return _dataset(train, test, what, binarise, seed, stand_in=True)


def _dataset(train, test, what, binarise, seed, stand_in=False):
    train, test = (
        binarised(GreySplit(*pair), binarise, seed, part)
        for pair, part in ((train, "train"), (test, "test"))
    )
    source = f"cifar10: {train.size:,} to train on, {test.size:,} to test, {what}"
    return Dataset("cifar10", (C, H, W), train, None, test, source, stand_in)
