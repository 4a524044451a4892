"""``python -m mindraw gradcheck``: its table, its exit codes and its refusals."""

import subprocess
import sys

import pytest

from mindraw import backend
from mindraw.__main__ import main
from mindraw.gradcheck import OPERATIONS, command
from mindraw.nn import linear

QUICK = ["gradcheck", "--directions", "2"]
FEW = [operation for operation in OPERATIONS if operation.name in ("linear", "read")]


def test_the_table_names_every_operation_and_parameter(capsys):
    assert main(QUICK) == 0
    out = capsys.readouterr().out
    lines = [[cell.strip() for cell in line.split("  ") if cell] for line in out.splitlines()]
    assert lines[0] == ["operation", "parameter", "complex step", "central differences", "verdict"]
    rows = {(line[0], line[1]): line[2:] for line in lines[2:-1]}
    for operation in OPERATIONS:
        for name in set(operation.sample(0)) - set(operation.constants):
            exact, central, verdict = rows.pop((operation.name, name))
            assert float(exact) <= 1e-11 and float(central) <= 1e-7 and verdict == "ok"
        assert rows.pop((operation.name, "all inputs, 2 directions"))[2] == "ok"
    assert rows == {}
    assert f"{len(OPERATIONS)} operations on numpy" in out and "all passed" in out


def test_a_wrong_gradient_exits_with_1_and_says_where(monkeypatch, capsys):
    right = linear.weight_gradient

    def wrong(ops, dW, dy, x):
        right(ops, dW, dy, x)
        dW *= 1.0005

    monkeypatch.setattr(linear, "weight_gradient", wrong)
    monkeypatch.setattr(command, "OPERATIONS", FEW)
    assert main(QUICK) == 1
    out = capsys.readouterr().out
    rows = [line for line in out.splitlines() if line.startswith("linear  ")]
    assert [row.endswith("FAILED") for row in rows] == [False, True, False, True]
    assert out.splitlines()[-1].endswith("4 FAILED")
    assert "linear: FAILED: W by complex step: relative error 5.00e-04, allowed 1e-12" in out
    assert "all passed" not in out


def test_the_seed_moves_the_inputs(monkeypatch, capsys):
    monkeypatch.setattr(command, "OPERATIONS", FEW)
    tables = []
    for seed in "334":
        assert main([*QUICK, "--seed", seed]) == 0
        tables.append(capsys.readouterr().out.splitlines()[:-1])
    assert tables[0] == tables[1] != tables[2]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--directions", "0"], "--directions is 0: it must be 1 or more"),
        (["--seed", "-1"], "--seed is -1: it must be 0 or more"),
        (["--backend", "tpu"], "there is no backend 'tpu'"),
        (["--backend", "cupy"], "the backend cupy was asked for, but it is not here"),
    ],
)
def test_bad_usage_is_one_sentence_and_exits_with_2(options, sentence, monkeypatch, capsys):
    monkeypatch.setattr(backend, "why_no_cupy", lambda: "it is not here")
    assert main(["gradcheck", *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(sentence) and err.count("\n") == 1


@pytest.mark.parametrize("words", [[], ["fly"], ["gradcheck", "--seed", "x"], ["gradcheck", "-q"]])
def test_words_that_are_no_command_exit_with_2(words, capsys):
    assert main(words) == 2
    err = capsys.readouterr().err
    assert err.endswith(": see --help\n") and err.count("\n") == 1


def test_it_runs_as_a_module():
    command = [sys.executable, "-W", "error", "-m", "mindraw", *QUICK]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "all passed" in done.stdout and done.stderr == ""


def test_on_a_gpu_if_there_is_one(capsys):
    reason = backend.why_no_cupy()
    if reason is not None:
        pytest.skip(f"no GPU: {reason}")
    assert main([*QUICK, "--backend", "cupy"]) == 0
    assert "operations on cupy" in capsys.readouterr().out
