"""Small files in the official formats."""

import gzip
import struct

import numpy as np

MNIST_NAMES = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


def idx(array):
    """The bytes of an IDX file."""
    array = np.asarray(array, np.uint8)
    head = bytes([0, 0, 8, array.ndim])
    return head + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def amat(bits):
    """The bytes of an .amat file."""
    return b"".join(b" ".join(b"%d" % bit for bit in row) + b"\n" for row in bits)


def digits(n, seed=0):
    """Pictures (n, 28, 28) and labels (n,) of noise."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
    return images, rng.integers(0, 10, n, dtype=np.uint8)


def write_mnist(folder, n_train=6, n_test=4, suffix="-ubyte.gz", seed=0):
    """Write the four files of MNIST or its like; returns their arrays, in order."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = [*digits(n_train, seed), *digits(n_test, seed + 1)]
    for name, array in zip(MNIST_NAMES, arrays, strict=True):
        content = idx(array)
        if suffix.endswith(".gz"):
            content = gzip.compress(content)
        (folder / (name + suffix)).write_bytes(content)
    return arrays


def write_binarized(folder, rows=(5, 3, 2), gzipped=False):
    """Write the three files of the binarised MNIST; returns their arrays (n, 784)."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(3)
    arrays = []
    for part, n in zip(("train", "valid", "test"), rows, strict=True):
        arrays.append(rng.integers(0, 2, (n, 784), dtype=np.uint8))
        content = amat(arrays[-1])
        name = f"binarized_mnist_{part}.amat"
        if gzipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    return arrays
