"""Progress in a terminal and elsewhere."""

import io
import sys

import pytest

from mindraw.training import Plan
from mindraw.training import progress as module

ROW = {"step": 10, "epoch": 1.0, "train_total": 101.234, "train_latent": 3.0, "lr": 0.001}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_elsewhere_a_line_comes_first_last_and_now_and_then(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    lines = module.progress(100, 0, stream)
    for step in range(1, 101):
        now[0] += 1.0
        lines.advance()
        if step % 10 == 0:
            lines.report(ROW if step < 100 else {**ROW, "test_total": 99.5})
    lines.close()
    printed = stream.getvalue().splitlines()
    assert [line.split(":")[0] for line in printed] == [
        f"minibatch {step}/100" for step in (10, 30, 50, 70, 90, 100)
    ]
    assert "train 101.23 (1000 ms each, 1.5 minutes left)" in printed[0]
    assert "train 101.23, test 99.50" in printed[-1]


def test_a_terminal_gets_a_bar():
    pytest.importorskip("tqdm")
    stream = Terminal()
    bar = module.progress(4, 2, stream)
    bar.advance()
    bar.report({**ROW, "test_total": None})
    bar.advance()
    bar.close()
    assert "4/4" in stream.getvalue() and "train 101.23" in stream.getvalue()


def test_a_terminal_without_tqdm_gets_lines(monkeypatch):
    monkeypatch.setitem(module.sys.modules, "tqdm", None)
    assert isinstance(module.progress(4, 0, Terminal()), module.Lines)


class Gone(io.StringIO):
    """A stream that nobody reads any more: a closed pipe, a full disk."""

    def write(self, text):
        raise OSError("nobody is there")


class GoneTerminal(Gone, Terminal):
    pass


@pytest.mark.parametrize("stream", [Gone(), GoneTerminal()], ids=["elsewhere", "terminal"])
def test_training_goes_on_where_nobody_reads_it(toy, stream):
    if stream.isatty():
        pytest.importorskip("tqdm")
    toy.build()
    with toy.session(Plan(9, report=2, evaluate=4, checkpoint=9)) as session:
        assert session.train(stream).step == 9


def test_training_goes_on_without_a_stderr(toy, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    assert toy.train(9).step == 9
