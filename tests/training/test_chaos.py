"""bench/chaos.py: how fast two trainings part."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from bench import chaos


def linear_training(factors):
    """Parameters that each minibatch multiplies, one by one."""
    size = len(factors)
    params = SimpleNamespace(flat=np.ones(size))
    optimizer = SimpleNamespace(params=params, m=np.zeros(size), v=np.zeros(size))

    def advance(k):
        params.flat *= factors
        optimizer.m += params.flat
        return float(k)

    return chaos.Training(optimizer, advance)


def test_the_growth_is_that_of_the_fastest_direction():
    factors = np.array([1.1, 0.7, 0.9])
    rows = list(chaos.part(linear_training(factors), linear_training(factors), 60, 10))
    assert [k for k, _, _ in rows] == [10, 20, 30, 40, 50, 60]
    assert [loss for _, loss, _ in rows] == [4.5, 14.5, 24.5, 34.5, 44.5, 54.5]
    assert rows[0][2] < 1.1**10 and rows[-1][2] == pytest.approx(1.1**10, rel=1e-4)


def test_a_difference_is_made_small_again_with_the_moments():
    one, other = linear_training(np.ones(2)), linear_training(np.ones(2))
    other.optimizer.params.flat += [3e-3, 4e-3]
    other.optimizer.m += 1e-2
    assert chaos.bring_back(one, other, 1e-3) == pytest.approx(5)
    assert other.optimizer.params.flat == pytest.approx([1.0006, 1.0008])
    assert other.optimizer.m == pytest.approx([2e-3, 2e-3])


@pytest.fixture
def measured(attentive_run, monkeypatch, capsys):
    """What the script prints of a tiny run, as a function of its arguments."""
    attentive_run(minibatches=1)

    def call(*argv):
        monkeypatch.setattr(sys, "argv", ["chaos.py", *map(str, argv)])
        capsys.readouterr()
        return chaos.main(), capsys.readouterr()

    return call


def test_a_run_is_measured(measured):
    code, told = measured("run", "--minibatches", 20, "--every", 5)
    rows = [line.strip("| ").split(" | ") for line in told.out.splitlines()[2:]]
    assert code in (0, None) and [int(row[0]) for row in rows] == [5, 10, 15, 20]
    growths = np.array([float(row[2]) for row in rows])
    assert (abs(growths) < 3).all() and growths.any()
    assert float(rows[-1][3]) == pytest.approx(growths.sum(), abs=0.03)


def test_what_is_no_run_is_refused(measured):
    code, told = measured("nothing")
    assert code == 2 and "nothing" in told.err
