"""The benches of mindraw alone: growth, the breakdown and single operations."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.growth import VALUES, exponent, vary

ROOT = Path(__file__).resolve().parents[2]


def test_exponents_are_those_of_power_laws():
    rows = [{"value": n, "time": 3 * n**1.5, "flat": 7.0} for n in (40, 10, 20, 5)]
    assert exponent(rows, "time") == pytest.approx(1.5)
    assert exponent(rows, "flat") == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("what", VALUES)
def test_one_number_is_varied(what):
    config, batch = vary("attn", what, 40)
    changed = {
        "T": (40, 28, 256, 100),
        "batch": (20, 28, 256, 40),
        "h": (20, 28, 40, 100),
        "side": (20, 40, 256, 100),
    }
    assert (config.T, config.W, config.h_dec, batch) == changed[what]


def run(script, *options):
    command = [sys.executable, ROOT / "bench" / script, *options]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_growth_leaves_a_table_and_a_plot(tmp_path):
    options = ("--configs", "attn", "--vary", "threads", "--threads", "2", "--steps", "1")
    table = run("growth.py", *options, "--out", tmp_path / "out")
    rows = json.loads((tmp_path / "out" / "rows.json").read_text())
    assert [row["threads"] for row in rows] == [1, 2] and rows[0]["median_ms"] > 0
    assert "| attn | threads | 1:" in table
    assert (tmp_path / "out" / "growth.png").stat().st_size > 5000


@pytest.mark.parametrize("threads", ["1", "2"])
def test_the_breakdown_adds_up(threads):
    options = ("--config", "cluttered", "--threads", threads, "--steps", "2", "--least", "0.3")
    lines = run("breakdown.py", *options).splitlines()
    total = float(lines[0].split()[3])
    rows = [line.split("|") for line in lines if line.startswith("| ")]
    parts = [float(row[3]) for row in rows[1:]]
    assert sum(parts) == pytest.approx(total, rel=0.05)
    assert ("waiting for the others" in "".join(lines)) == (threads == "2")


def test_every_operation_of_a_step_is_timed(tmp_path):
    file = tmp_path / "rows.json"
    run("kernels.py", "--configs", "attn", "cluttered", "--steps", "1", "--json", file)
    rows = json.loads(file.read_text())
    found = {row["operation"] for row in rows if row["config"] == "attn"}
    assert {"matmul", "lstm_forward", "lstm_backward", "attentive_read_backward", "adam"} <= found
    assert "softmax_forward" in {row["operation"] for row in rows if row["config"] == "cluttered"}
    assert all(row["us"] > 0 and row["calls"] >= 1 for row in rows)
    assert all(row["gflops"] > 0 for row in rows if row["operation"] == "matmul")
