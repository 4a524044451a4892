"""Small files in the official formats."""

import gzip
import io
import itertools
import struct
import tarfile
import zlib

import h5py
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


# ------------------------------------------------------------------ colour


def write_svhn(folder, n_train=5, n_test=3):
    """Write SVHN's two .mat files; returns two pairs (X (32, 32, 3, n), y (n, 1))."""
    from scipy.io import savemat

    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(5)
    pairs = []
    for part, n in (("train", n_train), ("test", n_test)):
        X = rng.integers(0, 256, (32, 32, 3, n), np.uint8)
        y = rng.integers(1, 11, (n, 1)).astype(np.uint8)
        savemat(folder / f"{part}_32x32.mat", {"X": X, "y": y}, do_compression=True)
        pairs.append((X, y))
    return pairs


def tar(files, kind="w:gz"):
    """The bytes of an archive of `files`: names or `tarfile.TarInfo`, and contents."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=kind, format=tarfile.USTAR_FORMAT) as archive:
        for member, content in files:
            if isinstance(member, str):
                member = tarfile.TarInfo(member)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


BATCHES = (*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin")


def cifar_rows(n, seed):
    """Rows of a CIFAR-10 file, uint8 (n, 3073)."""
    rows = np.random.default_rng(seed).integers(0, 256, (n, 3073), np.uint8)
    rows[:, 0] %= 10
    return rows


def cifar_files(n=4):
    """The members of CIFAR-10's archive, among them one that nobody asks for."""
    files = [
        (f"cifar-10-batches-bin/{name}", cifar_rows(n, seed).tobytes())
        for seed, name in enumerate(BATCHES)
    ]
    return [("cifar-10-batches-bin/readme.html", b"<html>"), *files]


def write_cifar10(folder, files=None):
    """Write CIFAR-10's archive; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "cifar-10-binary.tar.gz"
    path.write_bytes(tar(cifar_files() if files is None else files))
    return path


def png(pixels):
    """The bytes of a PNG file of uint8 (H, W) or (H, W, 3)."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


PARTS = ("left", "top", "width", "height", "label")


def digit_struct(numbers):
    """The bytes of a digitStruct.mat, laid out as MATLAB 7.3 does.

    `numbers` is a list of (name, boxes); a box is (left, top, width, height, label).
    """
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", userblock_size=512) as file:
        refs = file.create_group("#refs#")
        counter = itertools.count()
        names, boxes = [], []
        for name, box in numbers:
            letters = np.array([[ord(letter)] for letter in name], np.uint16)
            letters = refs.create_dataset(f"n{next(counter)}", data=letters)
            names.append(letters.ref)
            group = refs.create_group(f"b{next(counter)}")
            boxes.append(group.ref)
            for part, values in zip(PARTS, zip(*box, strict=True), strict=True):
                if len(values) == 1:
                    group[part] = np.array([values], float)
                    continue
                cells = [
                    refs.create_dataset(f"v{next(counter)}", data=np.array([[value]], float)).ref
                    for value in values
                ]
                group.create_dataset(part, data=np.array([cells], h5py.ref_dtype).T)
        struct = file.create_group("digitStruct")
        for part, references in (("name", names), ("bbox", boxes)):
            struct.create_dataset(part, data=np.array([references], h5py.ref_dtype).T)
    return buffer.getvalue()


def house_numbers(n, seed=0):
    """Pictures of random sizes and their numbers: two lists of (name, ...)."""
    rng = np.random.default_rng(seed)
    files, numbers = [], []
    for at in range(1, n + 1):
        H, W = rng.integers(30, 90, 2)
        files.append((f"{at}.png", rng.integers(0, 256, (H, W, 3), np.uint8)))
        boxes = [
            (2 + 7 * k, rng.integers(1, 9), 6, 12 + k, rng.integers(1, 11))
            for k in range(rng.integers(1, 4))
        ]
        numbers.append((f"{at}.png", boxes))
    return files, numbers


def house_number_archive(folder, files, numbers, kind="w:gz"):
    """The bytes of one of SVHN's archives; `folder` is its name within."""
    members = [(f"{folder}/{name}", png(pixels)) for name, pixels in files]
    return tar([*members, (f"{folder}/digitStruct.mat", digit_struct(numbers))], kind)


def write_house_numbers(folder, sizes=(("train", 24), ("test", 5), ("extra", 30))):
    """Write SVHN's archives of whole house numbers; returns their contents by part."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {}
    for seed, (part, n) in enumerate(sizes):
        told[part] = house_numbers(n, seed)
        archive = house_number_archive(part, *told[part])
        (folder / f"{part}.tar.gz").write_bytes(archive)
    return told


# ------------------------------------------------------------------ hostile


def outside():
    """Archives that try to leave their folder: name, and a member that does so."""
    link, hard, device = (tarfile.TarInfo(f"folder/{kind}") for kind in ("link", "hard", "device"))
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    hard.type, hard.linkname = tarfile.LNKTYPE, "../secret"
    device.type = tarfile.CHRTYPE
    names = ("../evil.bin", "/evil.bin", "folder/../../evil.bin", "C:/evil.bin", "..\\evil.bin")
    return {name: (name, b"evil") for name in names} | {
        "a link": (link, b""),
        "a hard link": (hard, b""),
        "a device": (device, b""),
    }


def png_claiming(W, H):
    """The bytes of a PNG file whose header claims W x H pixels, grey, and few bytes of them."""
    chunks = (
        (b"IHDR", struct.pack(">2I5B", W, H, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(100))),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )  # fmt: skip
