"""`python bench/first_digits.py`, which makes the smaller MNIST of the results."""

import sys
from pathlib import Path

import numpy as np
import pytest
from data_files import write_mnist

from bench import first_digits
from mindraw import data


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["first_digits.py", *map(str, arguments)])
    return first_digits.main()


def test_the_first_digits_and_all_to_test(tmp_path, monkeypatch):
    whole = write_mnist(tmp_path / "whole")
    assert run(monkeypatch, 4, tmp_path / "new" / "few", "--data", tmp_path / "whole") == 0
    few = data.load("mnist", tmp_path / "new" / "few")
    assert (few.train.size, few.test.size) == (4, 4)
    expected = whole[0][:4].reshape(4, -1) / np.float32(255)
    np.testing.assert_array_equal(few.train.images(range(4)), expected)
    np.testing.assert_array_equal(few.train.labels, whole[1][:4])
    np.testing.assert_array_equal(few.test.labels, whole[3])


@pytest.mark.parametrize(
    ("n", "folder", "sentence"),
    [
        (7, "few", "holds 6 training digits, fewer than 7"),
        (2, "whole", "is there already: name another folder"),
        (2, "file", "cannot be written to"),
    ],
)
def test_what_cannot_be_written(tmp_path, monkeypatch, capsys, n, folder, sentence):
    write_mnist(tmp_path / "whole" / "mnist")
    (tmp_path / "file").write_text("")
    before = sorted(Path(tmp_path).rglob("*"))
    assert run(monkeypatch, n, tmp_path / folder, "--data", tmp_path / "whole") == 2
    assert sentence in capsys.readouterr().err
    assert sorted(Path(tmp_path).rglob("*")) == before


def test_the_digits_of_a_package_are_not_taken_for_the_whole(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MINDRAW_OFFLINE", "1")
    assert run(monkeypatch, 2, tmp_path / "few") == 2
    assert "give the folder of the whole MNIST with --data" in capsys.readouterr().err
