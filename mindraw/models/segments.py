"""The T steps in segments, of which one at a time is held in memory (Chen et al. 2016).

A backward pass takes the steps in reverse and needs what the forward pass found at each. Holding
all of it costs memory in proportion to T. Instead the forward pass may keep only the state at which
each segment of K steps begins, and the backward pass computes a segment's steps again from there:
T/K states and K steps are held, and the forward pass is computed nearly twice.
"""

from typing import NamedTuple

from ..errors import MindrawError


class Segment(NamedTuple):
    """Some neighbouring steps.

    Parameters
    ----------
    number : int
        From 0, in the order of time.
    start : int
        The first step.
    length : int
        How many steps.
    """

    number: int
    start: int
    length: int


class Segments(tuple):
    """All segments, in the order of time; all but the last have `held` steps.

    Parameters
    ----------
    T : int
        Steps.
    recompute : int or None
        Steps to hold at a time; None for all.

    Attributes
    ----------
    held : int

    Raises
    ------
    MindrawError
        If `recompute` is not a whole number from 1 to T.
    """

    def __new__(cls, T, recompute=None):
        held = T if recompute is None else recompute
        if not isinstance(held, int) or isinstance(held, bool) or not 1 <= held <= T:
            raise MindrawError(
                f"recompute is {recompute!r}: it must be a whole number from 1 to T = {T}, the "
                "steps to hold at a time, or None to hold all"
            )
        starts = range(0, T, held)
        parts = (Segment(j, t, min(held, T - t)) for j, t in enumerate(starts))
        self = super().__new__(cls, parts)
        self.held = held
        return self

    @property
    def last(self):
        """The segment that the backward pass begins with."""
        return self[-1]
