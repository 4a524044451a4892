"""What the models share: a minibatch's way, weights to start from, and gradients in shares."""

import numpy as np

from ..errors import MindrawError
from ..nn import linear
from ..parallel import Workers, default_threads, split


class Model:
    """A model for minibatches of one size, which one process or several work on.

    A subclass lays out `parameters` and `gradients`, both `Params`, and `shards`, one for each
    process, and names in `aiming` the parameters that say where to look. It has the methods
    `_take`, which copies a minibatch in and returns its size b, `_forward` and
    `_forward_backward`, what a process does on its shard, and `_losses` of b examples. Its
    `layers()` are all maps W u + b, as `mindraw.centring.Layer`; `_lay_out_weight_gradients` lists
    what a process sums over steps and examples, `_input_sums` among it.

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
        if not ops.shares:
            threads = 1
        elif threads is None:
            threads = default_threads(batch)
        self.config, self.ops, self.batch = config, ops, batch
        self.workers = Workers(threads)
        self._recordings, self._sums = {}, []

    @property
    def gating(self):
        """Names of the weights of the LSTMs."""
        return tuple(
            name for name in self.parameters.names if name.startswith(("encoder.W", "decoder.W"))
        )

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

    def loss(self, x, *others):
        """Run forward and return the losses.

        Parameters
        ----------
        x : array (D, b)
            Pixels in [0, 1]; b at most the batch size.
        *others : array (..., b)
            What else the model takes: noise or targets, as its class says.

        Returns
        -------
        NamedTuple of array (b,)
            The model's `Losses`: views into the tape, valid until the next call.

        Raises
        ------
        MindrawError
            If a shape does not fit the model.
        """
        b = self._take(x, *others)
        self._together(self._forward)
        return self._losses(b)

    def loss_and_gradient(self, x, *others):
        """Run forward and backward; set `gradients` to those of the mean loss in nats.

        Parameters
        ----------
        x : array (D, B)
        *others : array (..., B)

        Returns
        -------
        NamedTuple of array (B,)
            As `loss` does.

        Raises
        ------
        MindrawError
            If a shape does not fit the model, or the minibatch is not a full one.
        """
        b = self._take(x, *others)
        if b != self.batch:
            raise MindrawError(f"a gradient takes a full minibatch of {self.batch}, not {b}")
        self._together(self._forward_backward)
        return self._losses(b)

    def _together(self, method, *arguments):
        """Have every process work on its shard: the same at every call, with other numbers."""

        def launch():
            with self.workers.single_threaded_blas():
                self.workers.together(method, self.shards, *arguments)

        self.ops.run(launch, self._recordings, (method.__name__, *arguments))

    def sum_inputs(self):
        """Sum what enters every layer, too, whenever gradients are computed.

        Returns
        -------
        list of (sums, count)
            For each of `layers()`: array (n, 1), and how many columns it is the sum of: those of
            all examples and steps.
        """
        layers = self.layers()
        if not self._sums:
            self._sums = [self.ops.shared((len(layer.inputs), 1)) for layer in layers]
            self._lay_out_weight_gradients()
            self.workers.forget()
            self._recordings.clear()
        counts = [
            sum(layer.inputs[:, columns].shape[1] for columns in self._held_columns())
            for layer in layers
        ]
        return list(zip(self._sums, counts, strict=True))

    def _held_columns(self):
        """Return the columns of what is held, for each time that weight gradients are summed."""
        return [slice(None)]

    def _input_sums(self, columns=slice(None)):
        """List the sums of these columns of what enters every layer, if they are asked for."""
        return [
            (linear.bias_gradient, sums, layer.inputs[:, columns])
            for sums, layer in zip(self._sums, self.layers() if self._sums else (), strict=True)
        ]

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
