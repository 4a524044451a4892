"""Write a data set of MNIST's first training digits, and all its test digits.

python bench/first_digits.py 10000 DIR
python examples/mnist_attn.py --data DIR
"""

from __future__ import annotations

import gzip
import struct
import sys
from pathlib import Path

import numpy as np

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.options import at_least_one
from mindraw.commands import Parser, guarded
from mindraw.data.sets import mnist
from mindraw.errors import MindrawError
from mindraw.files import write_whole


def idx(items: np.ndarray) -> bytes:
    """What `mindraw.data.idx` reads, gzipped, of bytes (n,) or (n, H, W)."""
    header = struct.pack(f">4B{items.ndim}I", 0, 0, 8, items.ndim, *items.shape)
    return gzip.compress(header + items.tobytes(), mtime=0)


def write(n: int, folder: Path, source: str | None = None) -> None:
    """Write the four files of MNIST with the first n training digits into `folder`/mnist.

    Raises
    ------
    MindrawError
        If MNIST has fewer, cannot be had, or the folder holds files of that name or cannot be
        written to.
    """
    train, test, where, whole = mnist.read(source)
    if not whole:
        raise MindrawError(f"this is {where}: give the folder of the whole MNIST with --data")
    if n > len(train[1]):
        raise MindrawError(f"{where} holds {len(train[1]):,} training digits, fewer than {n:,}")
    folder = folder / "mnist"
    for remote in mnist.OFFICIAL.files:
        if (folder / remote.name).exists():
            raise MindrawError(f"{folder / remote.name} is there already: name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MindrawError(f"{folder} cannot be written to ({error.strerror})") from error
    arrays = [
        array
        for pixels, labels in ((train[0][:n], train[1][:n]), test)
        for array in (pixels.reshape(-1, mnist.H, mnist.W), labels)
    ]
    for remote, array in zip(mnist.OFFICIAL.files, arrays, strict=True):
        write_whole(folder / remote.name, idx(array))
    print(f"{n:,} of {len(train[1]):,} training digits and {len(test[1]):,} to test, in {folder}")


def main() -> int:
    return guarded(_main)


def _main() -> None:
    parser = Parser(description=__doc__.partition("\n")[0])
    parser.add_argument("n", type=at_least_one, help="how many training digits")
    parser.add_argument("folder", type=Path, metavar="DIR", help="for --data DIR")
    parser.add_argument("--data", metavar="DIR", help="where the whole MNIST is, if not found")
    options = parser.parse_args()
    write(options.n, options.folder, options.data)


if __name__ == "__main__":
    sys.exit(main())
