"""The fixed binarised MNIST on which the paper's table of bounds stands.

Each pixel of MNIST was drawn once, for everybody, with its grey value as the
probability (Salakhutdinov and Murray 2008; files by Larochelle): 50,000 pictures to
train on, 10,000 to validate, 10,000 to test, no labels.
"""

from contextlib import suppress

from ...errors import MindrawError
from .. import cache, locate
from ..amat import read_amat
from ..dataset import Dataset
from ..splits import BinarySplit

H = W = 28
D = H * W
MOST_ROWS = (50_000, 10_000, 10_000)

OFFICIAL = locate.Official(
    name="binarized-mnist",
    folders=("binarized_mnist", "binarized-mnist"),
    files=(
        locate.Remote(
            "binarized_mnist_train.amat",
            78400000,
            "ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d",
        ),
        locate.Remote(
            "binarized_mnist_valid.amat",
            15680000,
            "1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2",
        ),
        locate.Remote(
            "binarized_mnist_test.amat",
            15680000,
            "e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c",
        ),
    ),
    mirrors=("http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/",),
)


def load(data_dir, binarise, seed):
    """Read the binarised MNIST; `binarise` may be "fixed", which it is already."""
    if binarise == "stochastic":
        raise MindrawError(
            "binarized-mnist is binarised once and for all: leave binarise at none, "
            "or take mnist to have pixels drawn afresh for every epoch"
        )
    try:
        paths, where = locate.find(OFFICIAL, data_dir)
    except locate.Unreachable as why:
        raise MindrawError(
            f"binarized-mnist could not be downloaded ({why}): put its three .amat files into "
            "DIR/binarized_mnist and use --data DIR"
        ) from why
    train, valid, test = (
        BinarySplit(_bits(path, most), D) for path, most in zip(paths, MOST_ROWS, strict=True)
    )
    source = (
        f"binarized-mnist: {train.size:,} pictures to train on, {valid.size:,} to validate, "
        f"{test.size:,} to test, from {where}"
    )
    return Dataset("binarized-mnist", (1, H, W), train, valid, test, source)


def _bits(path, most):
    """Read one file, or what was kept of it when its very bytes were read before."""
    try:
        source = cache.sha256(path)
    except OSError as error:
        raise MindrawError(f"{path}: cannot be read ({error.strerror})") from error
    kept = cache.folder() / "parsed" / f"{path.name.split('.')[0]}-{source[:16]}.h5"
    bits = cache.read(kept, source)
    if bits is None:
        bits = read_amat(path, D, most)
        with suppress(OSError):  # a cache that cannot be written is no error
            cache.write(kept, source, bits.shape, [bits])
    return bits
