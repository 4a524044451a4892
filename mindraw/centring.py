"""Updates in coordinates in which the inputs of every layer have mean 0.

A layer y = W u + b is the same map as y = W (u - m) + b' with b' = b + W m, but not the same to an
optimizer: where the inputs have a mean m, the bias and what W makes of m move the same outputs,
pull at each other, and hold back what the inputs differ in (LeCun et al. 1998, "Efficient
BackProp", section 4.3; Schraudolph 1998, "Centering neural network gradient factors"). With W and
b' as the coordinates the gradients are

    dL/dW = g_W - g_b m^T,    dL/db' = g_b,

and an update of W by D, with b' going its own way, is one of b by -D m besides. m is the mean over
the minibatch that the update is for and all its steps, whose sums the model takes beside the
gradients, so that nothing is to be kept from one minibatch to the next. Any m gives coordinates of
the same model, so that where to look takes that of what lies at hand, which is nearly its own: a
classifier's includes the steps whose glimpse is learned apart, and DRAW's is of h_dec_1 to h_dec_T,
where it reads as h_dec_0 to h_dec_{T-1} say.
"""

from typing import NamedTuple

from .coordinates import Coordinates
from .nn import linear
from .parallel import split


class Layer(NamedTuple):
    """A layer y = W u + b of a model.

    Parameters
    ----------
    weights, biases : tuple of str
        Names of the parameters W and b; where they are several, one lies behind the other.
    inputs : array (n, columns)
        u, of all examples and of the steps that are held, as the last minibatch left it.
    glimpses : tuple of int or None
        (P, N, C) where u begins with P glimpses of side N and C channels.
    """

    weights: tuple
    biases: tuple
    inputs: object
    glimpses: tuple | None = None


class _Share(NamedTuple):
    """One process's part of a layer: the inputs' sums, and some rows of the weights."""

    sums: object
    count: int
    mean: object
    W: object
    b: object
    Wm: object
    new_b: object
    finite: object
    pieces: list


class Centring(Coordinates):
    """Changes gradients before an update and biases after it; see above.

    Parameters
    ----------
    model : Draw or Classifier
        Its `layers()` are centred, in its `parameters` and `gradients`. From now on it sums what
        enters them.
    """

    def __init__(self, model):
        self.ops, self.workers = ops, workers = model.ops, model.workers
        self.shares = [[] for _ in range(workers.threads)]
        layers = zip(model.layers(), model.sum_inputs(), strict=True)
        for layer, (sums, count) in layers:
            both = (model.parameters, model.gradients)
            W, g_W = (params.stacked(*layer.weights) for params in both)
            b, g_b = (params.stacked(*layer.biases) for params in both)
            for share, rows in zip(self.shares, split(len(b), workers.threads), strict=True):
                own = b[rows]
                part = _Share(
                    sums, count, ops.shared(sums.shape), W[rows], own, ops.shared(own.shape),
                    ops.empty(own.shape), ops.xp.empty(own.shape, bool),
                    self._pieces(g_W[rows], g_b[rows]),
                )  # fmt: skip
                share.append(part)  # what `after` takes of `before` is shared: see `together`

    def _pieces(self, g_W, g_b):
        """Cut rows of a gradient into pieces that stay in the cache, with room for a change."""
        rows, n = g_W.shape
        height = max(1, getattr(self.ops.kernels, "BLOCK", g_W.size) // n)
        work = self.ops.empty((min(rows, height), n))
        places = [slice(top, min(top + height, rows)) for top in range(0, rows, height)]
        return [(g_W[place], g_b[place], work[: place.stop - place.start]) for place in places]

    def _before(self, share, meet):
        """Turn the gradients of the last minibatch into those at W and b'."""
        ops = self.ops
        for part in share:
            ops.xp.multiply(part.sums, 1 / part.count, out=part.mean)
            linear.forward(ops, part.Wm, part.mean, part.W)
            for g_W, g_b, work in part.pieces:
                ops.xp.multiply(g_b, part.mean.T, out=work)
                g_W -= work

    def _after(self, share, meet):
        """Turn what the update made of b' into b: b += (W before - W) m."""
        ops = self.ops
        for part in share:
            new_b = part.new_b
            linear.forward(ops, new_b, part.mean, part.W)
            ops.xp.subtract(part.Wm, new_b, out=new_b)
            new_b += part.b
            # where the minibatch was not finite, W has not moved, and b must not either
            ops.xp.isfinite(new_b, out=part.finite)
            ops.xp.copyto(part.b, new_b, where=part.finite)
