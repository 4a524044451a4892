"""SIGKILL and full disks, from outside: the result is that of an unbroken run, to the last bit."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mindraw.experiment import Experiment, main
from mindraw.training import load
from mindraw.training.history import parse

ROOT = Path(__file__).parents[2]
KILLS = 25

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")

#: A script like those in examples/, and one that does something in its own process first.
SCRIPT = """
import sys
from mindraw.experiment import Experiment, main
{before}
sys.exit(main({{"tiny": {preset!r}}}))
"""


@pytest.fixture
def threads():
    return 1


@pytest.fixture
def preset(idx_folder, threads):
    return Experiment(
        dataset="mnist", data=str(idx_folder), binarise="stochastic", T=2, h_enc=6, h_dec=5, z=2,
        batch=10, minibatches=800, report=7, evaluate=50, checkpoint=3, pictures=0,
        threads=threads,
        backend="numpy",
    )  # fmt: skip


@pytest.fixture
def start(preset, tmp_path):
    """Start a process that begins the run, or goes on with it if there is one."""
    processes = []

    def start(before="", more=()):
        begun = (tmp_path / "run" / "config.json").exists()
        options = ["--resume", "run"] if begun else ["--out", "run"]
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT.format(before=before, preset=preset), *options, *more],
            cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.communicate()


def outcome(folder):
    """All that must be equal, as bytes."""
    saved = load(folder / "checkpoint.h5")
    return {
        "step": saved.step,
        "history in the checkpoint": saved.history,
        "history.csv": (folder / "history.csv").read_bytes(),
        "m": saved.m.tobytes(),
        "v": saved.v.tobytes(),
        "pending": saved.pending.tobytes(),
        **{name: array.tobytes() for name, array in saved.parameters.items()},
    }


def unbroken(preset, folder, minibatches=800):
    options = ["--minibatches", str(minibatches), "--checkpoint", "1000"]
    assert main({"tiny": preset}, ["--out", str(folder), *options]) == 0
    return outcome(folder)


def finish(start, more=()):
    process = start(more=more)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err


#: Forks a process for each line of options, so that 25 lives need one start of Python.
TEMPLATE = """
import json, os, sys
import threadpoolctl, tyro
from mindraw import data
from mindraw.experiment import Experiment, main
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        os.dup2(2, 1)
        os._exit(main({{"tiny": {preset!r}}}, json.loads(line)))
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture
def template(preset, tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", TEMPLATE.format(preset=preset)], cwd=tmp_path, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    ) as process:  # fmt: skip
        yield process
        process.stdin.close()


@pytest.mark.parametrize("threads", [1, 2])
def test_killed_at_random_moments(preset, template, start, tmp_path):
    moments = random.Random(20)
    run = tmp_path / "run"
    checkpoint = run / "checkpoint.h5"
    steps = []
    for kill in range(KILLS):
        before = stamp(checkpoint)
        options = ["--resume", "run"] if (run / "config.json").exists() else ["--out", "run"]
        template.stdin.write(json.dumps(options) + "\n")
        template.stdin.flush()
        child = int(template.stdout.readline())
        if kill % 5:
            # somewhere in training, a checkpoint's writing included
            end = time.monotonic() + 60
            while stamp(checkpoint) == before and time.monotonic() < end:
                time.sleep(0.001)
            time.sleep(moments.uniform(0, 0.025))
        else:
            # anywhere from the first line on
            time.sleep(moments.uniform(0, 0.1))
        os.kill(child, signal.SIGKILL)
        assert int(template.stdout.readline()) == -signal.SIGKILL
        steps.append(load(checkpoint).step if checkpoint.exists() else 0)
    assert steps == sorted(steps) and len(set(steps)) > KILLS // 2
    finish(start, ("--checkpoint", "1000"))
    assert outcome(run) == unbroken(preset, tmp_path / "whole")


def stamp(path):
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return None


#: Where the process kills itself: at the nth call, before or after the call is done.
DIE = """
import os, signal
from mindraw.training import history
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
def wrap(owner, name, nth, act):
    call, count = getattr(owner, name), iter(range(1, 10**6))
    def wrapped(*args):
        return act(call, *args) if next(count) == nth else call(*args)
    setattr(owner, name, wrapped)
def half(call, path, content):
    with open(str(path) + ".new", "wb") as file:
        file.write(content[: len(content) // 2])
    die()
def half_row(call, self, row):
    self._file.write(str(row["step"]) + ",0.")
    self._file.flush()
    die()
"""
MOMENTS = {
    "half of a checkpoint written": "from mindraw.training import checkpoint\n"
    "wrap(checkpoint, 'write_whole', 4, half)",
    "before it is fsynced": "wrap(os, 'fsync', 13, die)",
    "before it is renamed": "wrap(os, 'replace', 7, die)",
    "after it is renamed": "wrap(os, 'replace', 7, lambda call, *a: (call(*a), die()))",
    "half of a row written": "wrap(history.History, 'append', 4, half_row)",
    "after a row is written": "wrap(history.History, 'append', 4, "
    "lambda call, *a: (call(*a), die()))",
    "before its options are written": "wrap(os, 'replace', 1, die)",
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_the_worst_moments(preset, start, tmp_path, moment):
    length = ("--minibatches", "40")
    process = start(DIE + MOMENTS[moment], length)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    finish(start, length)
    assert outcome(tmp_path / "run") == unbroken(preset, tmp_path / "whole", 40)
    assert not list((tmp_path / "run").glob("*.new"))


LIMIT = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
"""


def test_a_disk_that_takes_no_more_keeps_the_last_checkpoint(preset, start, tmp_path):
    pytest.importorskip("resource")
    finish(start, ("--minibatches", "20"))
    path = tmp_path / "run" / "checkpoint.h5"
    assert path.stat().st_size > 20_000
    process = start(LIMIT, ("--minibatches", "40"))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    last = err.strip().splitlines()[-1]
    assert "checkpoint.h5 cannot be written: File too large" in last
    assert f"the last good checkpoint is {Path('run') / 'checkpoint.h5'} of step 20" in last
    assert "Traceback" not in err and load(path).step == 20
    assert not list((tmp_path / "run").glob("*.new"))
    finish(start, ("--minibatches", "40"))
    saved = load(path)
    assert saved.step == 40 and all(np.isfinite(a).all() for a in saved.parameters.values())
    assert parse(saved.history)[-1]["step"] == 40
