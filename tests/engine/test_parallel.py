"""Shards and workers."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindraw import MindrawError, parallel
from mindraw.parallel import Workers, default_threads, split


@given(st.integers(0, 300), st.integers(1, 20))
def test_split_covers_everything_once_in_nearly_equal_parts(n, parts):
    slices = split(n, parts)
    assert [k for s in slices for k in range(n)[s]] == list(range(n))
    lengths = [s.stop - s.start for s in slices]
    assert max(lengths) - min(lengths) <= 1 and len(slices) <= parts
    assert n == 0 or min(lengths) >= 1


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_every_item_runs_once(threads):
    done, lock = [], threading.Lock()

    def task(k):
        with lock:
            done.append(k)

    workers = Workers(threads)
    workers.run(task, range(7))
    assert sorted(done) == list(range(7))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("bad", [0, 1, 3])
def test_an_exception_in_a_shard_arrives(threads, bad):
    def task(k):
        if k == bad:
            raise ValueError(f"shard {k}")

    with pytest.raises(ValueError, match=f"shard {bad}"):
        Workers(threads).run(task, range(4))


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


def test_without_threadpoolctl_one_thread_works_and_two_say_why(monkeypatch):
    monkeypatch.setattr(parallel, "_controller", lambda: None)
    assert default_threads(100) == 1
    with Workers(1).single_threaded_blas():
        pass
    with pytest.raises(MindrawError, match="2 threads need threadpoolctl: pip install"):
        Workers(2)


def test_small_minibatches_are_not_cut_up():
    assert default_threads(1) == 1
    assert default_threads(parallel.SMALLEST_SHARD) == 1
