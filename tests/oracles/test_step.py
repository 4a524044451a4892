"""The bench itself: what it counts, and that it refuses to time engines that disagree."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bench import engines
from bench.configs import BATCH, CONFIGS, build, bytes_needed, flops_needed, make_problem
from bench.engines import Mindraw, Setting
from bench.step import agreement
from mindraw.backend import get_backend, why_no_cupy
from mindraw.models.config import ClassifierConfig, DrawConfig

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "name, gflop",
    [
        ("noattn", 21.7),
        ("attn", 10.5),
        ("paper", 37.1),
        ("svhn", 137),
        ("cifar", 105),
        ("cluttered", 2.4),
    ],
)
def test_products_needed(name, gflop):
    assert flops_needed(CONFIGS[name]) / 1e9 == pytest.approx(gflop, rel=0.015)


def test_products_needed_are_those_counted_by_hand():
    # W_x (4, 1) twice; T = 1 of W_u (4, 3), W_v (4, 2), latent (2, 1), write (1, 1) three times,
    # but for the gradient of W_u's input
    config = DrawConfig(H=1, W=1, T=1, h_enc=1, h_dec=1, z=1)
    assert flops_needed(config, batch=1) == 2 * (2 * 4 + 3 * (12 + 8 + 2 + 1) - 12)
    # W_u (4, 4), the attentions (5, 1) and (5, 1) three times, but for the gradients of W_u's
    # initial states; 12 products with filters of one read glimpse less one, 6 of the written one
    config = DrawConfig(H=1, W=1, T=1, h_enc=1, h_dec=1, z=1, read_n=1, write_n=1)
    weights = 3 * (16 + 8 + 2 + 1 + 5 + 5) - 8
    assert flops_needed(config, batch=1) == 2 * (weights + 11 + 6)
    # two glimpses: W_u (4, 2) and the attention (5, 1) three times, but for the gradient of W_u's
    # initial state; 5 products with filters each; once the softmax (3, 1)
    config = ClassifierConfig(H=1, W=1, T=2, h=1, read_n=1, classes=3)
    assert flops_needed(config, batch=1) == 2 * (3 * 2 * (8 + 5) - 4 + 2 * 5 + 3 * 3)


def by_the_page(c, B):
    """Numbers that one more step holds, as the table in docs/step.md has them."""
    attention = c.read_n is not None
    R = 2 * c.C * c.read_n**2 if attention else c.D
    each = R + 10 * c.h_enc + 10 * c.h_dec + 6 * c.z
    if not attention:
        return B * (each + c.D)
    S, filters = c.C * c.write_n**2, 2 * (c.read_n + c.write_n) * (c.H + c.W)
    return B * (each + c.D + filters + c.C * c.W * (2 * c.read_n + c.write_n) + 2 * S + 20)


@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "cluttered"])
def test_bytes_needed(name):
    config = CONFIGS[name]
    model = build(config, get_backend("numpy"), 1, 1)
    held = config.T * by_the_page(config, BATCH)
    assert bytes_needed(config) == 4 * (2 * held + 8 * model.parameters.flat.size)


def test_engines_that_disagree_are_not_timed():
    def results(nats=1.0, slope=1.0):
        return np.full(3, nats), np.ones(3), {"write.W": np.array([[2.0, slope]])}

    assert agreement({"a": results(), "b": results(slope=1.0001)})[1] == pytest.approx(5e-5)
    with pytest.raises(SystemExit, match=r"b and a disagree on dwrite\.W"):
        agreement({"a": results(), "b": results(slope=1.001)})
    with pytest.raises(SystemExit, match="b and a disagree on the reconstruction loss"):
        agreement({"a": results(), "b": results(nats=1.0001)})
    with pytest.raises(SystemExit, match="disagree"):
        agreement({"a": results(), "b": results(slope=np.nan)})


@pytest.mark.parametrize("name", ["noattn", "attn", "cluttered"])
def test_a_short_bench_leaves_rows(tmp_path, name):
    file = tmp_path / "rows.json"
    command = [sys.executable, ROOT / "bench" / "step.py", "--configs", name]
    command += ["--engines", "mindraw", "--rounds", "1", "--steps", "1", "--threads", "1"]
    command += ["--json", file]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    [row] = json.loads(file.read_text())
    assert (row["config"], row["engine"]) == (name, "mindraw")
    assert row["median_ms"] > 0 and row["peak_mib"] > row["held_mib"] > 0
    assert row["floor_ms"] > 0 and row["bytes_floor_ms"] > 0 and row["launches"] is None
    assert f"| {name} | mindraw |" in done.stdout


@pytest.mark.parametrize("name", CONFIGS)
def test_what_a_step_holds_is_all_that_it_lays_out(name):
    sizes = {"h": 9} if name == "cluttered" else {"h_enc": 9, "h_dec": 8}
    config = replace(CONFIGS[name], T=2, **sizes)
    engine = Mindraw(config, *make_problem(config, batch=3), Setting(threads=1))
    laid_out = {}
    for part in (engine.model.tape, *engine.model.shards):
        for array in vars(part).values():
            if isinstance(array, np.ndarray):
                owner = array if array.base is None else array.base
                if not np.may_share_memory(owner, engine.model.parameters.flat):
                    laid_out[id(owner)] = owner.nbytes
    assert engine.held == sum(laid_out.values())


def test_no_engine_is_held_to_another_processors_kernels(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    for name in engines.KERNEL_CHOICES[1:]:
        monkeypatch.delenv(name, raising=False)
    assert engines.choose_own_kernels() == ["OPENBLAS_CORETYPE"]
    assert "OPENBLAS_CORETYPE" not in os.environ and engines.choose_own_kernels() == []


@pytest.mark.skipif(why_no_cupy() is None, reason="there is a GPU")
@pytest.mark.parametrize("command", ["step.py --configs attn", "growth.py --vary T --out grown"])
def test_without_a_gpu_the_bench_says_so(tmp_path, command):
    script, *options = command.split()
    command = [sys.executable, ROOT / "bench" / script, *options, "--device", "gpu"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "mindraw failed: MindrawError: the backend cupy was asked for, but " in done.stderr


@pytest.mark.skipif(why_no_cupy() is None, reason="there is a GPU")
def test_launches_that_cannot_be_counted_are_left_out(capsys):
    runner = SimpleNamespace(step=lambda k: None, wait=lambda: None)
    assert engines.count_launches(runner, [0], Setting(threads=1)) is None
    assert not capsys.readouterr().out
    assert engines.count_launches(runner, [0], Setting(threads=1, device="gpu")) is None
    assert "launches are not counted: " in capsys.readouterr().out


def test_tf32_is_refused_on_the_cpu():
    command = [sys.executable, ROOT / "bench" / "step.py", "--tf32"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "--tf32 is for the GPU: add --device gpu" in done.stderr
