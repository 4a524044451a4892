"""Fashion-MNIST: 70,000 grey pictures of clothes, in MNIST's format and size."""

from ...errors import MindrawError
from .. import locate
from .mnist import grey_dataset, named_fashion, read_pairs

OFFICIAL = locate.Official(
    name="fashion-mnist",
    folders=("fashion-mnist", "fashion_mnist", "FashionMNIST/raw"),
    files=(
        locate.Remote(
            "train-images-idx3-ubyte.gz",
            26421880,
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        ),
        locate.Remote(
            "train-labels-idx1-ubyte.gz",
            29515,
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        ),
        locate.Remote(
            "t10k-images-idx3-ubyte.gz",
            4422102,
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        ),
        locate.Remote(
            "t10k-labels-idx1-ubyte.gz",
            5148,
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    ),
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    flat=named_fashion,
)


def load(data_dir, binarise, seed):
    """Read Fashion-MNIST."""
    try:
        paths, where = locate.find(OFFICIAL, data_dir)
    except locate.Unreachable as why:
        raise MindrawError(
            f"fashion-mnist could not be downloaded ({why}): put its four files into "
            "DIR/fashion-mnist and use --data DIR, or install Debian's dataset-fashion-mnist"
        ) from why
    train, test = read_pairs(paths)
    return grey_dataset("fashion-mnist", train, test, where, binarise, seed)
