"""bench/curve.py: the same run in mindraw and in PyTorch, one beside the other or after it."""

import csv
import runpy
import sys
from pathlib import Path

import pytest

from mindraw.experiment import main
from mindraw.training import load

SCRIPT = Path(__file__).parents[2] / "examples" / "cluttered_mnist.py"


@pytest.fixture
def dtype():
    return "float32"


@pytest.fixture
def updates():
    return "centred"


@pytest.fixture
def run(attentive_run, dtype, updates):
    """The folder of a run of 6 minibatches with attention, which tests may ask for otherwise."""
    return attentive_run(
        dtype=dtype, updates=updates, minibatches=6, report=2, evaluate=4, checkpoint=2
    )


@pytest.fixture
def curve(monkeypatch):
    """bench/curve.py, as a function of its arguments."""
    pytest.importorskip("torch", exc_type=ImportError)
    pytest.importorskip("matplotlib")
    from bench import curve

    def call(*argv):
        monkeypatch.setattr(sys, "argv", ["curve.py", "--threads", "1", *map(str, argv)])
        return curve.main()

    return call


def gaps(folder):
    """The largest difference of any measure, in nats, and the steps that were compared."""
    rows = list(csv.DictReader((folder / "curve.csv").read_text().splitlines()))
    names = [name.removeprefix("torch_") for name in rows[0] if name.startswith("torch_")]
    differences = [
        abs(float(row[f"mindraw_{name}"]) - float(row[f"torch_{name}"]))
        for row in rows
        for name in names
        if row[f"torch_{name}"]
    ]
    return max(differences), [int(row["step"]) for row in rows]


@pytest.mark.parametrize("updates", ["plain", "centred", "frequencies"])
@pytest.mark.parametrize("dtype, apart", [("float32", 1e-3), ("float64", 1e-9)])
def test_the_reference_goes_the_same_way(run, apart, curve, capsys):
    assert curve(run) == 0
    largest, steps = gaps(run.with_name("run-torch"))
    assert largest < apart and steps == [2, 4, 6]
    assert "test: mindraw" in capsys.readouterr().out


def test_no_other_run_is_trained_over(run, curve, capsys):
    before = (run / "checkpoint.h5").read_bytes()
    assert curve(run, "--out", run) == 2
    assert "choose another --out" in capsys.readouterr().err
    assert (run / "checkpoint.h5").read_bytes() == before
    there = run.with_name("there")
    assert curve(run, "--follow", "3", "--out", there) == 0
    assert curve(run, "--out", there) == 2
    told = capsys.readouterr().err
    assert "there holds another run than torch's" in told and "with --follow None" in told
    assert curve(run, "--follow", "3", "--out", there) == 0


@pytest.fixture
def classifying(idx_folder, tmp_path, monkeypatch, dtype, updates):
    """The folder of a run of 6 minibatches of the classifier."""
    monkeypatch.chdir(tmp_path)
    presets = runpy.run_path(str(SCRIPT))["PRESETS"]
    options = {
        "data": idx_folder, "size": 40, "glimpses": 3, "first-every": 2, "h": 6, "read-n": 3,
        "batch": 10, "pictures": 0, "threads": 1, "out": "run", "backend": "numpy", "dtype": dtype,
        "updates": updates, "minibatches": 6, "report": 2, "evaluate": 4, "checkpoint": 2,
    }  # fmt: skip
    assert main(presets, [str(w) for k, v in options.items() for w in (f"--{k}", v)]) == 0
    return tmp_path / "run"


@pytest.mark.parametrize("updates", ["plain", "centred", "frequencies"])
@pytest.mark.parametrize("dtype, apart", [("float32", 1e-3), ("float64", 1e-9)])
def test_the_classifiers_reference_does_too(classifying, apart, curve, capsys):
    assert curve(classifying) == 0
    largest, steps = gaps(classifying.with_name("run-torch"))
    assert largest < apart and steps == [2, 4, 6]
    told = capsys.readouterr().out
    assert "test loss: mindraw" in told and "% at minibatch 6" in told


def test_the_classifiers_reference_follows(classifying, curve):
    assert curve(classifying, "--follow", 2) == 0
    folder = classifying.with_name("run-torch-follows")
    assert gaps(folder)[0] < 1e-3 and load(folder / "mindraw").history == load(classifying).history


def test_the_reference_follows_and_goes_on(run, curve):
    folder = run.with_name("run-torch-follows")
    assert curve(run, "--follow", 3, "--minibatches", 4) == 0
    assert curve(run, "--follow", 3) == 0
    largest, steps = gaps(folder)
    assert largest < 1e-3 and steps == [2, 4, 6]
    # mindraw beside it is the run itself, and the two parted after minibatch 3
    leader, follower = load(folder / "mindraw"), load(folder)
    assert leader.history == load(run).history
    assert leader.step == follower.step == 6
    assert any((leader.parameters[k] != follower.parameters[k]).any() for k in leader.parameters)


def test_a_leader_that_was_killed_catches_up_and_one_ahead_is_refused(run, curve, capsys):
    folder = run.with_name("run-torch-follows")
    assert curve(run, "--follow", 1, "--minibatches", 4) == 0
    behind = (folder / "mindraw" / "checkpoint.h5").read_bytes()
    reference = (folder / "checkpoint.h5").read_bytes()
    assert curve(run, "--follow", 1) == 0
    end = load(folder / "mindraw")
    (folder / "checkpoint.h5").write_bytes(reference)
    capsys.readouterr()
    assert curve(run, "--follow", 1) == 2
    assert "is at minibatch 6 and the reference at 4" in capsys.readouterr().err
    (folder / "mindraw" / "checkpoint.h5").write_bytes(behind)
    (folder / "checkpoint.h5").write_bytes(reference)
    assert curve(run, "--follow", 1) == 0
    again = load(folder / "mindraw")
    assert again.step == 6 and again.history == end.history


def test_a_run_that_started_from_another_is_refused(attentive_run, tmp_path, curve, capsys):
    attentive_run(minibatches=2)
    more = attentive_run(minibatches=2, **{"start-from": "run", "out": "more"}).with_name("more")
    assert curve(more) == 2
    assert "more started from the parameters of another run" in capsys.readouterr().err


def test_a_senseless_distance_is_refused(run, curve, capsys):
    assert curve(run, "--follow", 0) == 2
    assert "--follow is 0: it must be at least 1" in capsys.readouterr().err
