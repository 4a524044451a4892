"""Processes that work on shared memory as a team.

Not threads: of a process's threads only one at a time runs Python, and handing that right over
costs more than many of the small calls of a training step take. A team is forked, so it finds all
that its first process has laid out; what crosses between processes lies in memory from
`shared_zeros`.
"""

import contextlib
import functools
import gc
import math
import mmap
import multiprocessing
import os
import pickle
import signal
import sys
import traceback
import warnings
import weakref

import numpy as np

from . import memory
from .errors import MindrawError

#: Tries before a process that waits goes to sleep: about a fifth of a millisecond. Waking takes
#: a quarter of that, and on a busy machine the one it waits for may need this core.
TRIES = 1000
#: Seconds of sleep after which it looks whether the others are alive.
PATIENCE = 1.0
#: Bytes that are given out without a look at what is left.
SMALL = 1 << 24
#: Bytes for an order and its arguments, and for what went wrong in a process.
MESSAGE = 65536

#: Bytes of what `shared_zeros` gave out and is still held.
_given_out = {}


def shared_zeros(shape, dtype):
    """Return zeros, as numpy.ndarray, that processes forked later share.

    Raises
    ------
    MemoryError
        If there is less memory left than these and those before them will take when they are used.
    """
    dtype, count = np.dtype(dtype), math.prod(shape)
    size = max(count * dtype.itemsize, 1)
    _refuse_what_does_not_fit(size)
    try:
        piece = mmap.mmap(-1, size)
    except (OSError, OverflowError, ValueError) as error:
        raise MemoryError(f"{size / 2**30:,.1f} GiB in one piece") from error
    _given_out[id(piece)] = size
    weakref.finalize(piece, _given_out.pop, id(piece), None)
    return np.frombuffer(piece, dtype, count).reshape(shape)


def _refuse_what_does_not_fit(size):
    if size < SMALL:
        return
    left = memory.left()
    unused = max(sum(_given_out.values()) - memory.shared_in_use(), 0)
    if left is not None and size + unused > left:
        raise MemoryError(
            f"{(size + unused) / 2**30:,.1f} GiB are needed and {left / 2**30:,.1f} GiB are left"
        )


@functools.cache
def can_fork():
    """Tell whether this system has what a team needs: processes to fork, and semaphores."""
    if not hasattr(os, "fork") or sys.platform == "darwin":  # Accelerate does not survive a fork
        return False
    try:
        multiprocessing.get_context("fork").Semaphore(0)
    except (ImportError, OSError):  # no /dev/shm
        return False
    return True


class Abandoned(Exception):
    """Another process of the team failed and comes to no meeting any more."""


class Team:
    """Processes that run the same function at the same time, the calling one among them.

    Parameters
    ----------
    size : int
        At least 2.
    function : callable
        ``function(k, meet, *arguments)`` runs in process k, which is 0 in the calling one.
        Each calls ``meet()`` equally often; it returns when all have.
    prepare : callable
        Called once in each new process.
    """

    def __init__(self, size, function, prepare):
        context = multiprocessing.get_context("fork")
        others = [[j for j in range(size) if j != k] for k in range(size)]
        self._function = function
        # one semaphore for each pair: a fast process's next message cannot pass for a slow one's
        self._coming = [{j: context.Semaphore(0) for j in others[k]} for k in range(size)]
        self._start = [context.Semaphore(0) for _ in range(size)]
        self._order = mmap.mmap(-1, MESSAGE)
        self._left = mmap.mmap(-1, size)
        self._errors = [mmap.mmap(-1, MESSAGE) for _ in range(size)]
        self._first = os.getpid()
        self._pids = []
        self._end = weakref.finalize(self, _end, self._first, self._pids)
        sys.stdout.flush()
        sys.stderr.flush()
        for k in range(1, size):
            with warnings.catch_warnings():
                # the new process uses no lock that another thread of this one may hold
                warnings.simplefilter("ignore")
                pid = os.fork()
            if pid == 0:
                self._serve(k, prepare)
            self._pids.append(pid)

    def run(self, *arguments):
        """Have every process call the function, and return when all have.

        Raises
        ------
        Exception
            What was raised in one of them. The team is of no use any more then.
        MindrawError
            If a process has died.
        """
        message = pickle.dumps(arguments)
        self._order[: len(message)] = message
        for start in self._start[1:]:
            start.release()
        try:
            self._work(0, arguments)
        except Abandoned:
            self.close()
            raise self._error() from None
        except BaseException:
            self.close()
            raise

    def close(self):
        """End the other processes."""
        self._end()

    def memory_beside(self):
        """Count the bytes that only the other processes hold, not the first."""
        total = 0
        for pid in self._pids:
            with contextlib.suppress(OSError):
                sizes = memory.kilobytes(memory.PROC / str(pid) / "smaps_rollup")
                total += sum(size for name, size in sizes.items() if name.startswith("Private"))
        return total

    def _work(self, k, arguments):
        """Do process k's part, and wait for the others'; say so if it fails."""
        try:
            self._function(k, functools.partial(self._meet, k), *arguments)
            self._meet(k)
        except BaseException as error:
            if not isinstance(error, Abandoned):
                self._errors[k][:] = _pickled(error).ljust(MESSAGE, b"\0")
                self._left[k] = 1
            for j, semaphores in enumerate(self._coming):
                if j != k:
                    semaphores[k].release()
            raise

    def _meet(self, k):
        for j, semaphores in enumerate(self._coming):
            if j != k:
                semaphores[k].release()
        for semaphore in self._coming[k].values():
            self._wait(semaphore)
        if self._left.find(b"\1") >= 0:
            raise Abandoned

    def _wait(self, semaphore):
        take = semaphore.acquire
        for _ in range(TRIES):
            if take(False):
                return
        while not take(True, PATIENCE):
            self._look_around()

    def _look_around(self):
        """End a process that has lost the first; refuse to wait for one that has died."""
        if os.getpid() != self._first:
            if os.getppid() != self._first:
                os._exit(1)
            return
        for pid in self._pids:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._pids.remove(pid)
                raise MindrawError(
                    f"one of the processes that share a minibatch has ended ({_reason(status)}): "
                    "with fewer threads less memory is needed"
                )

    def _error(self):
        return pickle.loads(self._errors[self._left.find(b"\1")])

    def _serve(self, k, prepare):
        """Be process k until the first one ends it."""
        try:
            # the first process decides when all end, and saves before
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
            gc.disable()
            _close_files()
            prepare()
            while True:
                self._wait(self._start[k])
                with contextlib.suppress(Exception):  # the first process is told
                    self._work(k, pickle.loads(self._order))
        finally:
            os._exit(1)


def _end(creator, pids):
    """Kill the processes of a team, if it is this process that created them."""
    if os.getpid() != creator:
        return
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
    pids.clear()


def _close_files():
    """Close what the first process has open: its locks and connections are its own."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            with contextlib.suppress(OSError):
                os.close(int(name))


def _pickled(error):
    """An exception with where it came from, in at most MESSAGE bytes."""
    where = "".join(traceback.format_tb(error.__traceback__))[-MESSAGE // 4 :]
    try:
        error.__cause__ = RuntimeError(f"in another process:\n{where}")
        message = pickle.dumps(error)
        pickle.loads(message)
    except Exception:
        message = pickle.dumps(RuntimeError(f"{error!r} in another process:\n{where}"))
    return message if len(message) <= MESSAGE else pickle.dumps(RuntimeError(repr(error)[:1000]))


def _reason(status):
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return f"exit code {os.waitstatus_to_exitcode(status)}"
