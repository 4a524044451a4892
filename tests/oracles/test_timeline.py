"""bench/timeline.py: what it makes of launches, and what it says where there is no GPU."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.timeline import Launch, busy, draw, short, summary
from mindraw.backend import why_no_cupy

ROOT = Path(__file__).parents[2]
LAUNCHES = [Launch("a", 0.0, 2.0), Launch("b", 1.0, 4.0), Launch("a", 6.0, 7.5)]


def test_launches_are_added_up_by_name():
    assert summary(LAUNCHES) == [("a", 2, 3.5), ("b", 1, 3.0)]


def test_what_runs_at_the_same_time_counts_once():
    assert busy(LAUNCHES) == 5.5
    assert busy([Launch("a", 0.0, 9.0), Launch("b", 2.0, 3.0)]) == 9.0


def test_names_are_shortened():
    assert short("void adam(float*, int)") == "adam"
    assert short("void k<" + 80 * "x" + ">(int)", 20) == "k<xxxxxxxxxxxxxxx..."


def test_it_draws_both_ways(tmp_path):
    pytest.importorskip("matplotlib")
    draw({"one by one": LAUNCHES, "as a graph": LAUNCHES[:2]}, tmp_path / "x.png", 1)
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(why_no_cupy() is None, reason="there is a GPU")
def test_without_a_gpu_it_says_so():
    command = [sys.executable, ROOT / "bench" / "timeline.py"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "the backend cupy was asked for, but " in done.stderr
