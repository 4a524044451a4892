"""Cluttered MNIST: digits of MNIST at random places on black, among crops of other digits.

As the authors of DRAW published it: 100 x 100 pixels, 8 distractors of 8 x 8 pixels. Every
epoch shows every digit of the training part once, at a fresh place among fresh distractors,
without end. The pictures to test hold the test digits and are drawn once.
"""

import math

from ...errors import MindrawError
from ..clutter import SIDE, Clutter, ClutteredSplit, count_classes
from ..dataset import Dataset
from ..sizes import rows_and_columns
from . import mnist

#: Keeps these draws apart from every other use of the same seed.
STREAM = 0xC1A7
TARGETS = ("combine", "sum")
ORIGINS = ("own", "train")


def load(
    data_dir,
    binarise,
    seed,
    size=100,
    digits=1,
    target="combine",
    distractors=8,
    distractor_size=8,
    origin="own",
    border=0,
    bend=0.0,
):
    """Clutter the digits of MNIST.

    Parameters
    ----------
    size : int or pair of int
        Pixels, or rows and columns, of the canvas.
    digits : int
        Whole digits in a picture: 1 to 3.
    target : {"combine", "sum"}
        Whether the classes are the combinations of the digits, or their sums.
    distractors : int
        How many crops are in a picture.
    distractor_size : int
        Side of a crop, in pixels.
    origin : {"own", "train"}
        What distractors are cut out of: the digits of the same part, training or test, or
        those of the training part in both.
    border : int
        Pixels at the edge that no whole digit touches.
    bend : float
        The largest slant, stretch and bump by which the digits to train on are deformed,
        at random and afresh in every epoch; 0 for none, 0.1 is mild.
    """
    H, W = rows_and_columns(size, SIDE, "cluttered-mnist")
    if binarise != "none":
        raise MindrawError("cluttered-mnist has grey values only: leave binarise out")
    for name, choices, given in (("target", TARGETS, target), ("origin", ORIGINS, origin)):
        if given not in choices:
            raise MindrawError(f"{name} is {given!r}: use one of {', '.join(choices)}")
    widest = (min(H, W) - SIDE) // 2
    for name, given, least, most in (
        ("digits", digits, 1, 3),
        ("distractors", distractors, 0, 1000),
        ("distractor_size", distractor_size, 1, SIDE),
        ("border", border, 0, widest),
    ):
        if not isinstance(given, int) or not least <= given <= most:
            raise MindrawError(f"{name} is {given!r}: use a whole number of {least} to {most}")
    if not (math.isfinite(bend) and 0 <= bend <= 1):
        raise MindrawError(f"bend is {bend}: use a number of 0 to 1")
    clutter = Clutter(H, W, digits, distractors, distractor_size, border)
    train, test, where, _ = mnist.read(data_dir)
    crops = {"own": (train[0], test[0]), "train": (train[0], train[0])}[origin]
    splits = [
        ClutteredSplit(
            *pair, crop, clutter, target, (seed, STREAM, part),
            endless=part == 0, bend=0.0 if part else bend,
        )
        for part, (pair, crop) in enumerate(zip((train, test), crops, strict=True))
    ]  # fmt: skip
    train, test = splits
    source = (
        f"cluttered-mnist: on {H} x {W} pixels, {train.size:,} fresh pictures in every epoch, "
        f"{test.size:,} to test, of mnist from {where}"
    )
    return Dataset(
        "cluttered-mnist", (1, H, W), train, None, test, source,
        classes=count_classes(target, digits),
    )  # fmt: skip
