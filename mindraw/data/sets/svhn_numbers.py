"""SVHN, whole house numbers in colour, cut out at 64 x 64 and shown at 54 x 54 pixels.

As the paper takes them from Goodfellow et al. 2013: crops of 54 x 54 at random places to
train on, afresh for every epoch, and at the centre to validate and test. Numbers of more
than five digits are left out. Of the 33,401 and 202,353 numbers of the training and the
extra part, 4,701 validate and 231,053 train; those to validate are 3,134 of the training
and 1,567 of the extra part, two to one as in Sermanet et al. 2012, always the same ones.
Which ones the authors drew is not published.
"""

import numpy as np

from ...errors import MindrawError
from .. import draws, house_numbers, locate, patches
from ..crops import CropSplit
from ..dataset import Dataset
from . import mnist
from .svhn import MIRRORS

C, SIDE = house_numbers.C, house_numbers.SIDE
CROP = 54
#: Numbers to validate from the training and the extra part: at most, and at most one in ten.
VALID = (3134, 1567)
#: The choice of them is the same for everybody, whatever the seed of a run.
KEY = 0x5A11D
#: Keeps the places of the crops apart from every other use of the same seed.
STREAM = 0xC209
STAND_IN = {"train": 10_000, "test": 2_000}
MOST_DIGITS = 3

OFFICIAL = locate.Official(
    name="svhn-numbers",
    folders=("svhn-numbers", "svhn_numbers", "svhn", "SVHN"),
    files=(
        locate.Remote(
            "train.tar.gz",
            404141560,
            "4b17bb33b6cd8f963493168f80143da956f28ec406cc12f8e5745a9f91a51898",
        ),
        locate.Remote(
            "test.tar.gz",
            276555967,
            "57ac9ceb530e4aa85b55d991be8fc49c695b3d71c6f6a88afea86549efde7fb5",
        ),
    ),
    mirrors=MIRRORS,
    optional=(
        locate.Remote(
            "extra.tar.gz",
            1955489752,
            "e857e27d1e65bd1e7d3959b094061777f6506bbc39889a0df3bba6a729d60f9c",
        ),
    ),
)


def load(data_dir, binarise, seed):
    """Read the house numbers, or coloured MNIST digits over photographs in their place."""
    if binarise != "none":
        raise MindrawError("svhn-numbers are in colour: leave binarise at none")
    try:
        paths, where = locate.find(OFFICIAL, data_dir)
    except locate.Unreachable as why:
        return _stand_in(why, seed)
    train, test, *extra = map(house_numbers.load, paths)
    what = f"pictures, from {where}"
    if not extra:
        what += f", without {OFFICIAL.optional[0].name}, which is not there"
    return _dataset([train, *extra], test, VALID, what, seed)


def _stand_in(why, seed):
    photos = patches.photographs(
        "svhn-numbers",
        why,
        "put train.tar.gz, test.tar.gz and extra.tar.gz into DIR/svhn-numbers and use --data DIR",
    )
    (train, _), (test, _), *_ = mnist.read(None)
    train, test = (
        patches.numbers(photos, part, STAND_IN[part], SIDE, digits, MOST_DIGITS)
        for part, digits in (("train", train), ("test", test))
    )
    what = (
        "one to three MNIST digits coloured over patches of scikit-learn's two photographs, a "
        f"STAND-IN, since SVHN's house numbers were not found ({why})"
    )
    return _dataset([train], test, (0,), what, seed, stand_in=True)


def _dataset(arrays, test, most_valid, what, seed, stand_in=False):
    train, valid = [], []
    for part, (pictures, most) in enumerate(zip(arrays, most_valid, strict=False)):
        chosen, others = draws.chosen((KEY, part), len(pictures), min(most, len(pictures) // 10))
        valid.append((pictures, chosen))
        train.append((pictures, others))
    train = CropSplit(train, CROP, (seed, STREAM))
    valid = CropSplit(valid, CROP)
    test = CropSplit([(test, np.arange(len(test)))], CROP)
    source = (
        f"svhn-numbers: {train.size:,} to train on, {valid.size:,} to validate, "
        f"{test.size:,} to test, {what}"
    )
    shape = (C, CROP, CROP)
    return Dataset("svhn-numbers", shape, train, valid or None, test, source, stand_in)
