"""The minibatch in shards, one per thread, each calling a single-threaded BLAS.

The time loop is a chain of small products: splitting each of them over threads
synchronises twice per product. Splitting the batch instead synchronises twice per
minibatch, and shares out the element-wise work as well.
"""

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

from .errors import MindrawError

#: Fewer columns than this in a shard and its products run far below their peak rate.
SMALLEST_SHARD = 25


def split(n, parts):
    """Split range(n) into at most `parts` slices of nearly equal, non-zero length."""
    parts = max(1, min(n, parts))
    edges = [n * k // parts for k in range(parts + 1)]
    return [slice(lo, hi) for lo, hi in itertools.pairwise(edges)]


def default_threads(batch):
    """Return how many threads suit a minibatch of `batch` on this machine."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        cores = os.cpu_count() or 1
    if _controller() is None:
        return 1
    return max(1, min(cores, batch // SMALLEST_SHARD))


def _controller():
    try:
        import threadpoolctl
    except ImportError:
        return None
    return threadpoolctl.ThreadpoolController()


class Workers:
    """Run tasks side by side, with BLAS held to one thread in each.

    Parameters
    ----------
    threads : int
        1 runs the tasks in turn in the calling thread.

    Raises
    ------
    MindrawError
        If more than one thread is asked for and threadpoolctl is not installed:
        without it the threads of BLAS and ours would fight over the cores.
    """

    def __init__(self, threads):
        if threads < 1:
            raise MindrawError(f"threads is {threads}: it must be 1 or more")
        self.threads = threads
        self._blas = _controller()
        if threads > 1 and self._blas is None:
            raise MindrawError(
                f"{threads} threads need threadpoolctl: pip install threadpoolctl, or use threads=1"
            )
        self._pool = ThreadPoolExecutor(threads - 1) if threads > 1 else None

    def single_threaded_blas(self):
        """Return a context manager in which every BLAS call uses one thread."""
        if self._blas is None:
            return nullcontext()
        return self._blas.limit(limits=1, user_api="blas")

    def run(self, function, items):
        """Call ``function(item)`` for every item, at most `threads` at a time.

        The first item runs in the calling thread. Returns when all are done and
        raises the first exception, if any.
        """
        first, *rest = items
        futures = [self._pool.submit(function, item) for item in rest] if self._pool else []
        try:
            function(first)
            if not futures:
                for item in rest:
                    function(item)
        finally:
            errors = [future.exception() for future in futures]
        for error in errors:
            if error is not None:
                raise error
