import errno
import os
import time

import numpy as np
import pytest
from data_files import amat, write_binarized

from mindraw import data
from mindraw.data import cache
from mindraw.data.sets import binarized_mnist
from mindraw.errors import MindrawError


def parsed():
    return sorted((cache.folder() / "parsed").iterdir())


@pytest.fixture
def reads(monkeypatch):
    """The files that were parsed rather than taken from the cache."""
    seen = []
    read = binarized_mnist.read_amat

    def counted(path, *arguments):
        seen.append(path.name)
        return read(path, *arguments)

    monkeypatch.setattr(binarized_mnist, "read_amat", counted)
    return seen


def test_text_is_parsed_once(tmp_path, reads):
    arrays = write_binarized(tmp_path, gzipped=True)
    for _ in range(2):
        dataset = data.load("binarized-mnist", tmp_path)
        np.testing.assert_array_equal(dataset.train.images(range(5)), arrays[0])
    assert len(reads) == len(parsed()) == 3


def test_a_changed_source_is_read_again(tmp_path, reads):
    arrays = write_binarized(tmp_path)
    data.load("binarized-mnist", tmp_path)
    path = tmp_path / "binarized_mnist_train.amat"
    before = path.stat()
    path.write_bytes(amat(1 - arrays[0]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    dataset = data.load("binarized-mnist", tmp_path)
    np.testing.assert_array_equal(dataset.train.images(range(5)), 1 - arrays[0])
    assert reads[3:] == ["binarized_mnist_train.amat"]


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "extend", "other source"])
def test_a_damaged_cache_is_rebuilt(tmp_path, reads, damage):
    arrays = write_binarized(tmp_path)
    data.load("binarized-mnist", tmp_path)
    test, train, _ = parsed()
    content = bytearray(train.read_bytes())
    content[-50] ^= 4
    train.write_bytes(
        {
            "flip": content,
            "truncate": content[:1000],
            "empty": b"",
            "extend": train.read_bytes() + b"\0",
            "other source": test.read_bytes(),
        }[damage]
    )
    dataset = data.load("binarized-mnist", tmp_path)
    np.testing.assert_array_equal(dataset.train.images(range(5)), arrays[0])
    assert reads[3:] == ["binarized_mnist_train.amat"]
    data.load("binarized-mnist", tmp_path)
    assert len(reads) == 4


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch, step):
    arrays = write_binarized(tmp_path)

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    if step == "write":
        monkeypatch.setattr("h5py.Dataset.__setitem__", full)
    else:
        monkeypatch.setattr(os, step, full)
    dataset = data.load("binarized-mnist", tmp_path)
    np.testing.assert_array_equal(dataset.train.images(range(5)), arrays[0])
    assert parsed() == []


def test_a_cache_that_is_no_folder_does_no_harm(tmp_path, monkeypatch):
    arrays = write_binarized(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("MINDRAW_CACHE", str(tmp_path / "file"))
    dataset = data.load("binarized-mnist", tmp_path)
    np.testing.assert_array_equal(dataset.test.images(range(2)), arrays[2])


def test_leftovers_of_the_killed_are_swept_away(tmp_path):
    old, fresh = tmp_path / "part-old", tmp_path / "part-fresh"
    old.mkdir()
    fresh.mkdir()
    os.utime(old, (time.time() - 2 * cache.STALE,) * 2)
    with cache.workspace(tmp_path) as work:
        assert set(tmp_path.iterdir()) == {fresh, work}
    assert set(tmp_path.iterdir()) == {fresh}


def test_the_users_cache_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("MINDRAW_CACHE")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "mindraw"
    monkeypatch.setattr("sys.platform", "darwin")
    assert cache.folder().parts[-3:] == ("Library", "Caches", "mindraw")
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "Local"))
    assert cache.folder() == tmp_path / "Local" / "mindraw"


def test_no_home_is_said(monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("MINDRAW_CACHE")
    monkeypatch.setattr("pathlib.Path.home", homeless)
    with pytest.raises(MindrawError, match="set MINDRAW_CACHE"):
        cache.folder()
