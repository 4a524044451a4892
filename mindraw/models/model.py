"""What the models share: workers, weights to start from, and weight gradients in shares."""

import numpy as np

from ..errors import MindrawError
from ..nn import linear
from ..parallel import Workers, default_threads, split


class Model:
    """A model for minibatches of one size, which one process or several work on.

    A subclass lays out `parameters` and `gradients`, both `Params`, and `shards`, one for each
    process, and names in `aiming` the parameters that say where to look.

    Parameters
    ----------
    config : object
    ops : Backend
    batch : int
        B, the size of a minibatch.
    threads : int or None
        Processes that share a minibatch; None for what suits the machine. On a GPU there is one.

    Raises
    ------
    MindrawError
        If `batch` or `threads` is not positive.
    """

    def __init__(self, config, ops, batch, threads):
        if batch < 1:
            raise MindrawError(f"batch is {batch}: it must be 1 or more")
        if ops.name != "numpy":
            threads = 1
        elif threads is None:
            threads = default_threads(batch)
        self.config, self.ops, self.batch = config, ops, batch
        self.workers = Workers(threads)
        self._recordings = {}

    @property
    def threads(self):
        """How many processes share a minibatch."""
        return self.workers.threads

    def initialise(self, seed, scale=0.05):
        """Draw the weights from scale * N(0, 1); biases and initial states are 0.

        Parameters
        ----------
        seed : int
        scale : float
        """
        rng = np.random.default_rng(seed)
        parts = []
        for name, shape in self.parameters.shapes.items():
            if name.rpartition(".")[2].startswith("W"):
                parts.append(scale * rng.standard_normal(shape))
            else:
                parts.append(np.zeros(shape))
        self.parameters.load(np.concatenate([part.ravel() for part in parts]))

    def _together(self, method, *arguments):
        """Have every process work on its shard: the same at every call, with other numbers."""

        def launch():
            with self.workers.single_threaded_blas():
                self.workers.together(method, self.shards, *arguments)

        self.ops.run(launch, self._recordings, (method.__name__, *arguments))

    def _share_gradients(self, parts):
        """Split every weight gradient between the processes: its rows, or the more columns.

        Parameters
        ----------
        parts : list of (function, gradient, dy, *arguments)
            From `nn/linear.py`: `weight_gradient`, `bias_gradient` or `constant_gradient` of dy,
            to be called when dy is there for all steps.

        Returns
        -------
        list of list of (function, gradient, arguments)
            For each process its share.
        """
        shares = [[] for _ in range(self.threads)]
        for k, share in enumerate(shares):
            for function, gradient, dy, *more in parts:
                n, columns = gradient.shape
                if function is linear.weight_gradient and n < columns:  # few rows are slow
                    own = split(columns, self.threads)[k]
                    share.append((function, gradient[:, own], (dy, *(x[own] for x in more))))
                else:
                    own = split(n, self.threads)[k]
                    share.append((function, gradient[own], (dy[own], *more)))
        return shares
