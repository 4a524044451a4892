"""A minibatch's work in shares, one per core, each calling a single-threaded BLAS.

The time loop is a chain of products that share their matrices between all examples. Each process
of a team owns some units of every layer, and so some rows of every matrix: it reads a matrix's rows
once for the whole minibatch, in large products, and works element by element on contiguous memory
that no other touches. Where it needs what the others computed, they meet.
"""

import itertools
import os
import weakref
from contextlib import nullcontext

from .errors import MindrawError
from .team import Team, can_fork

#: With fewer examples than this for each process, waiting costs more than sharing gains.
SMALLEST_SHARE = 25
#: More than this only wait for each other, unless the machine has more cores.
MOST_PROCESSES = 64
#: Products run fastest on rows in multiples of this.
ROWS = 4


def split(n, parts, multiple=ROWS):
    """Split range(n) into `parts` slices of nearly equal length.

    Where n is large enough they begin at multiples of a number; with n < parts some are empty.
    """
    step = multiple if n >= 4 * multiple * parts else 1
    edges = [min(n, round(n * k / (parts * step)) * step) for k in range(parts)] + [n]
    return [slice(lo, hi) for lo, hi in itertools.pairwise(edges)]


def default_threads(batch, smallest=SMALLEST_SHARE):
    """Return how many processes suit a minibatch of `batch` on this machine.

    Parameters
    ----------
    batch : int
    smallest : int
        Examples that each process is to have at least.
    """
    if not can_fork() or _controller() is None:
        return 1
    return max(1, min(len(os.sched_getaffinity(0)), batch // smallest))


def _controller():
    try:
        import threadpoolctl
    except ImportError:
        return None
    return threadpoolctl.ThreadpoolController()


class Workers:
    """Run the shares of a task side by side, with BLAS held to one thread in each.

    Parameters
    ----------
    threads : int
        How many processes; 1 works in the calling one alone.

    Raises
    ------
    MindrawError
        If more are asked for than `MOST_PROCESSES` and than cores; or more than one where
        processes cannot be forked, or without threadpoolctl: the threads of BLAS and our processes
        would fight over the cores.
    """

    def __init__(self, threads):
        if threads < 1:
            raise MindrawError(f"threads is {threads}: it must be 1 or more")
        if threads > max(MOST_PROCESSES, os.cpu_count() or 1):
            raise MindrawError(f"threads is {threads}: that many processes would only wait")
        self.threads = threads
        self._blas = _controller()
        if threads > 1 and not can_fork():
            raise MindrawError(
                f"{threads} threads need a system that can fork processes and has semaphores, such "
                "as Linux with /dev/shm: use threads=1"
            )
        if threads > 1 and self._blas is None:
            raise MindrawError(
                f"{threads} threads need threadpoolctl: pip install threadpoolctl, or use threads=1"
            )
        self._team, self._tasks = None, []

    def single_threaded_blas(self):
        """Return a context manager in which every BLAS call uses one thread.

        Where no team can be forked, BLAS keeps its own threads: they are all there are.
        """
        if self._blas is None or not can_fork():
            return nullcontext()
        return self._blas.limit(limits=1, user_api="blas")

    def together(self, method, shares, *arguments):
        """Call ``method(share, meet, *arguments)`` for every share, all at the same time.

        Each calls ``meet()`` equally often; it returns when all have. The processes know what was
        laid out before their first call: what they are to share must lie in arrays from
        `Backend.shared`, and `forget` makes them see what was laid out since.

        Parameters
        ----------
        method : bound method
        shares : list
            One for each process; the same list at every call.
        *arguments : object
            Small, such as numbers; pickled.

        Raises
        ------
        Exception
            What was raised in a share.
        """
        if self.threads == 1:
            method(shares[0], _nobody, *arguments)
            return
        task = self._number(method, shares)
        if self._team is None:
            self._team = Team(self.threads, self._run, self._prepare)
        try:
            self._team.run(task, *arguments)
        except BaseException:
            self._team = None
            raise

    def memory_beside(self):
        """Count the bytes that only the other processes hold at present."""
        return 0 if self._team is None else self._team.memory_beside()

    def forget(self):
        """End the team; the next call forks a new one."""
        if self._team is not None:
            self._team.close()
            self._team = None

    def _number(self, method, shares):
        """Find a task among those that the team knows; a new one needs a new team."""
        for number, (known, of) in enumerate(self._tasks):
            if of is shares and known() == method:
                return number
        self.forget()
        alive = [task for task in self._tasks if task[0]() is not None]
        self._tasks = [*alive, (weakref.WeakMethod(method), shares)]
        return len(alive)

    def _run(self, k, meet, task, *arguments):
        method, shares = self._tasks[task]
        method()(shares[k], meet, *arguments)

    def _prepare(self):
        self._blas.limit(limits=1, user_api="blas")


def _nobody():
    """There is nobody to wait for."""
