"""The losses since the last row of the history, kept on the device until somebody looks."""

import numpy as np


class Ledger:
    """Sums over each minibatch of each part of the loss.

    One small row per step is kept, rather than a running sum, so that a loss that is not
    finite can be traced to its step.

    Parameters
    ----------
    ops : Backend
    parts : int
        k, the parts of the loss.
    capacity : int
        Steps between two rows, at most.
    pending : numpy.ndarray (n, k) or None
        What a checkpoint holds of it.

    Attributes
    ----------
    count : int
        n, the steps since the last row.
    """

    def __init__(self, ops, parts, capacity, pending=None):
        self.ops = ops
        self.count = 0 if pending is None else len(pending)
        self._sums = ops.zeros((capacity + self.count, parts))
        if self.count:
            self._sums[: self.count] = ops.asarray(pending)

    def add(self, losses):
        """Note the losses of one step, without a host read.

        Parameters
        ----------
        losses : sequence of k arrays (B,)
        """
        sum_into(self.ops, self._sums[self.count], losses)
        self.count += 1

    def read(self):
        """Copy what was noted to the host: numpy.ndarray (n, k)."""
        return self.ops.to_numpy(self._sums[: self.count])

    def clear(self):
        """Begin anew, after a row."""
        self.count = 0


def first_not_finite(sums):
    """Return the first row of an array (n, k) that is not finite, or None."""
    bad = ~np.isfinite(sums).all(axis=1)
    return int(bad.argmax()) if bad.any() else None


def sum_into(ops, sums, losses):
    """sums[k] = the sum of losses[k] over the examples, without a host read.

    Parameters
    ----------
    ops : Backend
    sums : array (k,)
        Set.
    losses : sequence of k arrays (b,)
    """
    for k, loss in enumerate(losses):
        ops.xp.sum(loss, axis=0, keepdims=True, out=sums[k : k + 1])
