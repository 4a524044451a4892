"""What the README shows in Python does what it says."""

import re
from pathlib import Path

import numpy as np

README = Path(__file__).parents[2] / "README.md"


def test_python_blocks_run_and_learn(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("MINDRAW_OFFLINE", "1")
    monkeypatch.setenv("MINDRAW_CACHE", str(tmp_path))
    monkeypatch.delenv("MINDRAW_DATA", raising=False)
    (block,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    names = {}
    exec(compile(block, str(README), "exec"), names)
    losses = [float(line) for line in capsys.readouterr().out.split()]
    assert len(losses) == 10 and losses[-1] < losses[0] - 20
    assert names["pictures"].shape == (10, 784, 100)
    assert np.all((names["pictures"] >= 0) & (names["pictures"] <= 1))
