"""Shares, workers and the team that they are."""

import contextlib
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindraw import MindrawError, parallel
from mindraw.parallel import Workers, default_threads, split
from mindraw.team import can_fork, shared_zeros


@given(st.integers(0, 300), st.integers(1, 20))
def test_split_covers_everything_once_in_nearly_equal_parts(n, parts):
    slices = split(n, parts)
    assert len(slices) == parts
    assert [k for s in slices for k in range(n)[s]] == list(range(n))
    lengths = [s.stop - s.start for s in slices]
    assert max(lengths) - min(lengths) <= (1 if n < 16 * parts else 2 * parallel.ROWS)


class Sums:
    """Processes that add up what each has laid out, in rounds that wait for each other."""

    def __init__(self, threads, fail=None):
        self.workers, self.fail = Workers(threads), fail
        self.shares = list(range(threads))
        self.numbers, self.totals = (shared_zeros((threads,), "float64") for _ in range(2))

    def count(self, share, meet, rounds, delays=()):
        for k in range(rounds):
            if delays:
                time.sleep(delays[(share + k) % len(delays)])
            if (share, k) == self.fail:
                raise ValueError(f"share {share}, round {k}")
            self.numbers[share] = k + share
            meet()
            self.totals[share] += self.numbers.sum()
            meet()

    def run(self, rounds, delays=()):
        self.workers.together(self.count, self.shares, rounds, delays)
        return self.totals.tolist()


def expected(threads, rounds):
    return [sum(k + j for k in range(rounds) for j in range(threads))] * threads


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_all_shares_run_together_and_wait_for_each_other(threads):
    sums = Sums(threads)
    assert sums.run(200) == expected(threads, 200)
    # and however uneven they are: some sleep longer than the others try
    sums.totals[:] = 0
    assert sums.run(20, (0.0, 0.003, 0.0, 0.001)) == expected(threads, 20)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("last", [False, True])
def test_an_exception_in_a_share_arrives_and_the_next_call_works(threads, last):
    sums = Sums(threads, fail=((threads - 1) * last, 7))
    for _ in range(2):  # a new team fails alike
        with pytest.raises(ValueError, match=f"share {(threads - 1) * last}, round 7"):
            sums.run(10)
    sums.fail = None
    sums.workers.forget()
    sums.totals[:] = 0
    assert sums.run(10) == expected(threads, 10)


def test_an_exception_that_cannot_be_pickled_arrives_in_words():
    class Odd(Exception):
        def __init__(self, a, b):
            super().__init__("odd one")

    class Failing(Sums):
        def count(self, share, meet, rounds, delays):
            if share == 1:
                raise Odd(1, 2)
            meet()

    with pytest.raises(RuntimeError, match=r"odd one.*in another process"):
        Failing(2).run(1)


def test_several_methods_share_one_team_once_it_knows_them():
    class Two(Sums):
        def other(self, share, meet):
            self.totals[share] = os.getpid()

    two = Two(2)
    assert two.run(3) == expected(2, 3)
    two.workers.together(two.other, two.shares)  # a new team knows both
    team, pids = two.workers._team, two.totals.tolist()
    assert pids[0] == os.getpid() != pids[1]
    two.run(3)
    two.workers.together(two.other, two.shares)
    assert two.workers._team is team and two.totals.tolist() == pids


def test_a_process_that_has_died_is_told_in_a_sentence():
    sums = Sums(2)
    sums.run(1)
    os.kill(sums.workers._team._pids[0], signal.SIGKILL)
    with pytest.raises(MindrawError, match=r"has ended \(SIGKILL\): with fewer threads"):
        sums.run(1)
    sums.totals[:] = 0
    assert sums.run(2) == expected(2, 2)


ORPHAN = """
import os, signal, sys, time
sys.path.insert(0, {root!r})
from test_parallel import Sums
sums = Sums(2)
held = open({lock!r}, "w")
sums.run(5)
print(sums.workers._team._pids[0], flush=True)
{then}
"""


@contextlib.contextmanager
def begin(tmp_path, then):
    root, lock = str(Path(__file__).parent), str(tmp_path / "lock")
    code = ORPHAN.format(root=root, lock=lock, then=then)
    command = [sys.executable, "-c", code]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, **pipes) as process:
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


def ended(pid, seconds=10):
    for _ in range(100):
        if not Path(f"/proc/{pid}/stat").exists() or " Z " in Path(f"/proc/{pid}/stat").read_text():
            return True
        time.sleep(seconds / 100)
    return False


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_the_others_end_when_the_first_process_is_killed(tmp_path, end):
    with begin(tmp_path, "time.sleep(60)") as (process, other):
        assert not ended(other, 0.1)
        files = Path(f"/proc/{other}/fd").iterdir()
        # what the first one locks is its own
        assert str(tmp_path / "lock") not in [os.readlink(file) for file in files]
        process.send_signal(end)
        process.wait()
        assert ended(other)


def test_the_others_end_with_the_interpreter_and_leave_interrupts_to_the_first(tmp_path):
    with begin(tmp_path, "sys.stdin.readline()") as (process, other):
        os.kill(other, signal.SIGINT)
        os.kill(other, signal.SIGTERM)
        assert not ended(other, 0.3)
        process.communicate("end\n")
        assert process.returncode == 0 and ended(other, 0.5)


def test_a_team_ends_with_its_workers():
    sums = Sums(2)
    sums.run(1)
    pid = sums.workers._team._pids[0]
    del sums
    gc.collect()
    assert ended(pid)


def test_what_only_the_others_hold_is_counted():
    class Big(Sums):
        def count(self, share, meet, rounds, delays):
            self.held = np.ones(5_000_000 * share)

    big = Big(2)
    assert big.workers.memory_beside() == 0
    big.run(1)
    assert 40e6 < big.workers.memory_beside() < 100e6


def test_where_no_process_can_be_forked_one_works_and_two_say_why(monkeypatch):
    monkeypatch.setattr(parallel, "can_fork", lambda: False)
    assert default_threads(100) == 1
    with pytest.raises(MindrawError, match="2 threads need a system that can fork"):
        Workers(2)


def test_blas_is_held_to_one_thread_and_let_go():
    threadpoolctl = pytest.importorskip("threadpoolctl", reason="threadpoolctl is not installed")

    def counts():
        return [
            i["num_threads"] for i in threadpoolctl.threadpool_info() if i["user_api"] == "blas"
        ]

    np.ones((2, 2)) @ np.ones((2, 2))
    before = counts()
    with Workers(1).single_threaded_blas():
        assert set(counts()) == {1}
    assert counts() == before


def test_without_semaphores_no_team_is_formed(monkeypatch):
    def refuse(method):
        raise OSError("no /dev/shm")

    can_fork.cache_clear()
    monkeypatch.setattr(multiprocessing, "get_context", refuse)
    assert not can_fork()
    can_fork.cache_clear()


def test_without_threadpoolctl_one_thread_works_and_two_say_why(monkeypatch):
    monkeypatch.setattr(parallel, "_controller", lambda: None)
    assert default_threads(100) == 1
    with Workers(1).single_threaded_blas():
        pass
    with pytest.raises(MindrawError, match="2 threads need threadpoolctl: pip install"):
        Workers(2)


def test_small_minibatches_are_not_cut_up():
    assert default_threads(1) == 1
    assert default_threads(parallel.SMALLEST_SHARE) == 1
