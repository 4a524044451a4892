import gzip

import numpy as np
import pytest
from data_files import BATCHES, cifar_files, cifar_rows, outside, tar, write_cifar10

from mindraw import data
from mindraw.data import archive
from mindraw.data.sets import cifar10
from mindraw.errors import MindrawError

FOLDER = "cifar-10-batches-bin"


@pytest.mark.parametrize("folder", [".", "cifar10", "cifar-10", "CIFAR10"])
def test_pixels_and_labels_come_in_the_right_order(tmp_path, folder):
    write_cifar10(tmp_path / folder)
    dataset = data.load("cifar10", tmp_path)
    assert (dataset.name, dataset.shape, dataset.valid) == ("cifar10", (3, 32, 32), None)
    assert dataset.source == f"cifar10: 20 to train on, 4 to test, pictures, from {tmp_path}"
    rows = np.concatenate([cifar_rows(4, seed) for seed in range(6)])
    for split, want in ((dataset.train, rows[:20]), (dataset.test, rows[20:])):
        x = split.images(range(split.size)).reshape(-1, 3, 32, 32)
        # the format: a label, then 1,024 bytes of red, of green, of blue, row by row
        for i, channel, row, column in ((0, 0, 0, 1), (1, 1, 5, 30), (3, 2, 31, 8)):
            byte = want[i, 1 + 1024 * channel + 32 * row + column]
            assert x[i, channel, row, column] == byte / np.float32(255)
        np.testing.assert_array_equal(x.reshape(-1, 3072), want[:, 1:] / np.float32(255))
        np.testing.assert_array_equal(split.labels, want[:, 0])


@pytest.mark.parametrize("kind", ["w", "w:gz"])
def test_batches_come_in_their_order_whatever_the_archives(tmp_path, kind):
    files = cifar_files()
    write_cifar10(tmp_path)
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(tar(files[::-1], kind))
    dataset = data.load("cifar10", tmp_path)
    want = np.concatenate([cifar_rows(4, seed)[:, 0] for seed in range(5)])
    np.testing.assert_array_equal(dataset.train.labels, want)


def replaced(name, content):
    return [(m, content if m.endswith(name) else c) for m, c in cifar_files()]


WRONG = cifar_rows(4, 1)
WRONG[2, 0] = 10


@pytest.mark.parametrize(
    "files, words",
    [
        ([], "expected a data_batch_1.bin in this archive, found none"),
        (cifar_files()[:-1], "expected a test_batch.bin in this archive, found none"),
        (replaced("batch_2.bin", b""), "batch_2.bin'?: at byte 0, expected rows of 3073 bytes"),
        (replaced("batch_2.bin", bytes(3074)), "at byte 3073, expected rows .* found 1 bytes"),
        (replaced("batch_2.bin", WRONG.tobytes()), "at byte 6146, expected a label .* found 10"),
        (replaced("batch_2.bin", bytes(10_001 * 3073)), "expected a size of 0 to 30730000 bytes"),
        (cifar_files() + cifar_files()[1:2], "expected one data_batch_1.bin, found a second one"),
    ],
)
def test_wrong_contents_are_refused(tmp_path, files, words):
    path = write_cifar10(tmp_path, files)
    with pytest.raises(MindrawError, match=words) as error:
        data.load("cifar10", tmp_path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", outside())
def test_archives_that_leave_their_folder_are_refused(tmp_path, name):
    write_cifar10(tmp_path / "data", [outside()[name], *cifar_files()])
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(MindrawError, match=r"at byte \d+.*, expected (a member inside|files and)"):
        data.load("cifar10", tmp_path / "data")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_pickled_batch_is_nothing_that_is_read(tmp_path):
    files = [
        (f"cifar-10-batches-py/{name.removesuffix('.bin')}", b"\x80\x02}.") for name in BATCHES
    ]
    write_cifar10(tmp_path, files)
    with pytest.raises(MindrawError, match=r"expected a data_batch_1\.bin in this archive"):
        data.load("cifar10", tmp_path)


@pytest.mark.parametrize(
    "damage, words",
    [
        (lambda content: content[: len(content) // 2], "the gzip data break off"),
        (lambda content: content[:-3], "the gzip data break off"),
        (lambda content: content[:-8] + bytes(8), "the gzip data are damaged"),
        (lambda content: b"", "at byte 0, expected the header of a tar member"),
        (lambda content: b"<html>" * 200, "at byte 0, expected the header of a tar member"),
        (
            lambda content: gzip.decompress(content)[:5000],
            "batch_1.bin' wants to end at byte 13828, after",
        ),
        (lambda content: gzip.decompress(content) + b"more", "expected nothing but zeros"),
    ],
)
def test_damaged_archives_are_refused(tmp_path, damage, words):
    path = write_cifar10(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(MindrawError, match=words) as error:
        data.load("cifar10", tmp_path)
    assert str(path) in str(error.value)


def test_a_member_that_claims_more_than_the_file_holds(tmp_path):
    content = bytearray(tar(cifar_files()[1:2], "w"))
    content[124:136] = b"%011o\0" % (10_000 * 3073)
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    path = tmp_path / "x.tar"
    path.write_bytes(content)
    with pytest.raises(MindrawError, match="wants to end at byte 30730512, after the file's end"):
        cifar10.read_archive(path)
    assert archive.MOST_MEMBERS >= 202_353 + 2


def test_the_stand_in_is_announced_and_marked(monkeypatch, capsys):
    for name in ("sklearn", "PIL"):
        pytest.importorskip(name)
    monkeypatch.setenv("MINDRAW_OFFLINE", "1")
    monkeypatch.setattr(cifar10, "STAND_IN", {"train": 300, "test": 100})
    dataset = data.load("cifar10")
    assert dataset.stand_in and "a STAND-IN, since CIFAR-10 was not found" in dataset.source
    assert capsys.readouterr().err == f"mindraw: {dataset.source}\n"
    assert (dataset.train.size, dataset.test.size) == (300, 100)
    # real patches, in the order channel, row, column
    from sklearn.datasets import load_sample_images

    photos = load_sample_images().images
    patch = dataset.test.pixels[3].reshape(3, 32, 32).transpose(1, 2, 0)
    found = [
        np.lib.stride_tricks.sliding_window_view(photo, (32, 32, 3))[:, int(0.8 * 640) :, 0]
        for photo in photos
    ]
    assert any((windows == patch).all((2, 3, 4)).any() for windows in found)


def test_it_comes_in_one_size(tmp_path):
    with pytest.raises(MindrawError, match="cifar10 comes in one size: leave size out"):
        data.load("cifar10", tmp_path, size=16)
