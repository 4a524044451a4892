"""Thousands of mutated files: each is read or refused in one sentence, in bounded memory."""

import gzip
import io
import tracemalloc

import h5py
import numpy as np
import pytest
from data_files import (
    amat,
    cifar_files,
    digit_struct,
    digits,
    house_number_archive,
    house_numbers,
    idx,
    png,
    tar,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mindraw.data import cache, decode
from mindraw.data import house_numbers as archive_of_numbers
from mindraw.data.amat import read_amat
from mindraw.data.arrays import read_array
from mindraw.data.digit_struct import read_digit_struct
from mindraw.data.idx import read_idx
from mindraw.data.sets import cifar10, svhn
from mindraw.errors import MindrawError

EXAMPLES = 700  # of each of the first six kinds of files
DISTINCT = 340  # of them at least, so over 2,000 different files in all
FEWER = 300  # of each of the kinds that are slower to read
MOST_MEMORY = 8 << 20

IMAGES = idx(digits(3)[0])
LABELS = idx(digits(40)[1])
BITS = np.random.default_rng(1).integers(0, 2, (40, 20), dtype=np.uint8)
TEXT = amat(BITS)

MANY = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)

place = st.one_of(st.integers(0, 40), st.integers(0, 1 << 14))
piece = st.one_of(st.binary(max_size=8), st.sampled_from([b"\0" * 4, b"\xff" * 4, b"\x1f\x8b"]))
mutation = st.one_of(
    st.tuples(st.sampled_from(["overwrite", "insert"]), place, piece),
    st.tuples(st.sampled_from(["delete", "repeat"]), place, st.integers(1, 3000)),
    st.tuples(st.just("truncate"), place, st.none()),
)


def mutate(content, mutations):
    for kind, at, what in mutations:
        at %= len(content) + 1
        if kind == "overwrite":
            content = content[:at] + what + content[at + len(what) :]
        elif kind == "insert":
            content = content[:at] + what + content[at:]
        elif kind == "delete":
            content = content[:at] + content[at + what :]
        elif kind == "repeat":
            content = content[: at + what] + content[at:]
        else:
            content = content[:at]
    return content


def read_or_refuse(read, path, told="at byte "):
    """Return what `read` gives, or None for a proper refusal; watch its memory."""
    tracemalloc.start()
    try:
        return read(path)
    except MindrawError as error:
        assert str(path) in str(error)
        assert told in str(error)
        assert "\n" not in str(error)
        return None
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < MOST_MEMORY


def read_images(path):
    images = read_idx(path, (28, 28))
    assert images.shape[1:] == (28, 28) and images.dtype == np.uint8
    return images


def read_labels(path):
    labels = read_idx(path, largest=9)
    assert labels.ndim == 1 and labels.max() <= 9
    return labels


def read_bits(path):
    bits = read_amat(path, 20, most_rows=60)
    assert bits.shape[1] == 3 and 1 <= len(bits) <= 60
    return bits


def pack(content):
    return gzip.compress(content, mtime=0)


@pytest.mark.parametrize(
    ("read", "content", "gzipped"),
    [
        (read_images, IMAGES, False),
        (read_images, IMAGES, True),
        (read_labels, LABELS, True),
        (read_bits, TEXT, False),
        (read_bits, TEXT, True),
    ],
    ids=["pictures", "pictures.gz", "labels.gz", "amat", "amat.gz"],
)
def test_readers(read, content, gzipped, tmp_path):
    path = tmp_path / "mutated"
    seen = set()

    @MANY
    @given(st.lists(mutation, min_size=1, max_size=3), st.booleans())
    def fuzz(mutations, inside):
        if gzipped and inside:
            mutated = pack(mutate(content, mutations))
        else:
            mutated = mutate(pack(content) if gzipped else content, mutations)
        path.write_bytes(mutated)
        read_or_refuse(read, path)
        seen.add(mutated)

    fuzz()
    assert len(seen) > DISTINCT


# ------------------------------------------------------------------ colour, own pictures

PIXELS = np.random.default_rng(2).integers(0, 256, (6, 9, 8), np.uint8)
FILES, NUMBERS = house_numbers(3)


def svhn_mat(compressed):
    savemat = pytest.importorskip("scipy.io").savemat
    file = io.BytesIO()
    variables = {"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.ones((2, 1), np.uint8)}
    savemat(file, variables, do_compression=compressed)
    return file.getvalue()


def npy():
    file = io.BytesIO()
    np.save(file, PIXELS)
    return file.getvalue()


def npz():
    file = io.BytesIO()
    np.savez_compressed(file, pictures=PIXELS)
    return file.getvalue()


def hdf5():
    file = io.BytesIO()
    with h5py.File(file, "w") as h5:
        h5.create_dataset("pictures", data=PIXELS, compression="gzip", chunks=(2, 9, 8))
    return file.getvalue()


def read_svhn(path):
    pixels, labels = svhn.read_mat(path)
    assert pixels.shape == (len(labels), 3072) and labels.max() <= 9


def read_cifar10(path):
    for pixels, labels in cifar10.read_archive(path).values():
        assert pixels.shape == (len(labels), 3072) and labels.max() <= 9


def read_numbers(path):
    numbers = archive_of_numbers.read_numbers(path)
    for part in archive_of_numbers.cut_out(path, numbers):
        assert part.shape == (1, 3 * 64 * 64) and part.dtype == np.uint8


def read_struct(path):
    for number in read_digit_struct(path, str(path)):
        assert number.digits >= 1 and all(np.isfinite(number.box))


def read_png(path):
    pytest.importorskip("PIL")
    with decode.opened(path, str(path)) as image:
        decode.upright(image, decode.colourful(image))


def read_pictures(path):
    pictures = read_array(path)
    assert pictures.ndim == 4 and pictures.dtype == np.uint8


@pytest.mark.parametrize(
    "read, make, name",
    [
        (read_svhn, lambda: svhn_mat(False), "x.mat"),
        (read_svhn, lambda: svhn_mat(True), "x.mat"),
        (read_cifar10, lambda: tar(cifar_files(2), "w"), "x.tar"),
        (read_cifar10, lambda: tar(cifar_files(1)), "x.tar.gz"),
        (read_numbers, lambda: house_number_archive("test", FILES, NUMBERS, "w"), "x.tar"),
        (read_numbers, lambda: house_number_archive("test", FILES, NUMBERS), "x.tar.gz"),
        (read_struct, lambda: digit_struct(NUMBERS), "x.mat"),
        (read_png, lambda: png(PIXELS[0]), "x.png"),
        (read_pictures, npy, "x.npy"),
        (read_pictures, npz, "x.npz"),
        (read_pictures, hdf5, "x.h5"),
    ],
    ids=[
        "mat", "mat, compressed", "cifar10.tar", "cifar10.tar.gz", "numbers.tar",
        "numbers.tar.gz", "digitStruct", "png", "npy", "npz", "hdf5",
    ],
)  # fmt: skip
def test_colour_and_own_pictures(read, make, name, tmp_path):
    path, content = tmp_path / name, make()
    path.write_bytes(content)
    read(path)
    # anywhere, not only near the start: these formats keep their tables in many places
    anywhere = st.one_of(place, st.integers(0, len(content)))
    changes = st.one_of(
        mutation,
        st.tuples(st.sampled_from(["overwrite", "insert"]), anywhere, piece),
        st.tuples(st.just("overwrite"), anywhere, st.binary(min_size=1, max_size=1)),
    )
    seen, refused = set(), 0

    @settings(MANY, max_examples=FEWER)
    @given(st.lists(changes, min_size=1, max_size=3))
    def fuzz(mutations):
        nonlocal refused
        mutated = mutate(content, mutations)
        path.write_bytes(mutated)
        seen.add(mutated)
        refused += read_or_refuse(lambda path: read(path) or True, path, told="") is None

    fuzz()
    assert len(seen) > FEWER / 2 and refused > FEWER / 5


def test_kept_pixels(tmp_path):
    """A mutated file in the cache gives the very pixels or nothing."""
    path = tmp_path / "kept.h5"
    bits = np.packbits(BITS, axis=1)
    cache.write(path, "of this source", bits.shape, [bits])
    content = path.read_bytes()
    refused = 0

    @MANY
    @given(st.lists(mutation, min_size=1, max_size=3))
    def fuzz(mutations):
        nonlocal refused
        path.write_bytes(mutate(content, mutations))
        found = read_or_refuse(lambda path: cache.read(path, "of this source"), path)
        if found is None:
            refused += 1
        else:
            np.testing.assert_array_equal(found, bits)

    fuzz()
    assert refused > DISTINCT


def test_a_gzip_bomb_costs_no_memory(tmp_path):
    path = tmp_path / "bomb"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(IMAGES)
        for _ in range(256):
            file.write(bytes(1 << 20))
    assert read_or_refuse(read_images, path) is None
    assert read_or_refuse(read_bits, path) is None


def test_a_bomb_of_good_rows_is_stopped_at_the_last_row_wanted(tmp_path):
    path = tmp_path / "bomb"
    path.write_bytes(pack(TEXT * 20_000))
    assert read_or_refuse(read_bits, path) is None
