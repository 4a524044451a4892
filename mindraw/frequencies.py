"""Updates in coordinates in which a glimpse enters a layer by its frequencies.

Neighbouring numbers of a glimpse are much alike, and so are the gradients at the weights that they
meet: Adam, which scales each weight's step by that weight alone, takes long to tell them apart. The
cosine transform (Ahmed, Natarajan and Rao 1974, "Discrete cosine transform") of a glimpse r is
Q^T r, with an orthogonal Q; its numbers are nearly uncorrelated, whatever the pictures are of.
W r = (W Q)(Q^T r), so with V = W Q as the coordinates the gradient is

    dL/dV = g_W Q,

and an update of V by D is one of W by D Q^T. What is kept between two steps is W: only the step
itself is taken in V.
"""

from typing import NamedTuple

import numpy as np

from .coordinates import Coordinates
from .errors import MindrawError
from .parallel import split


class _Share(NamedTuple):
    """One process's rows of the weights that glimpses meet, and of their gradient."""

    W: object
    g_W: object
    Q: object
    kept: object
    work: object


class Frequencies(Coordinates):
    """Changes gradients before an update and weights after it; see above.

    Parameters
    ----------
    model : Draw or Classifier
        Of its `layers()` one reads glimpses.

    Attributes
    ----------
    glimpses : (int, int, int)
        P, N, C, as `cosines` takes them.

    Raises
    ------
    MindrawError
        If the model reads without attention.
    """

    turned = True

    def __init__(self, model):
        self.ops, self.workers = ops, workers = model.ops, model.workers
        reading = [layer for layer in model.layers() if layer.glimpses is not None]
        if not reading:
            raise MindrawError("this model reads no glimpses, and has no frequencies of theirs")
        (layer,) = reading
        self.glimpses = layer.glimpses
        Q = ops.asarray(cosines(*layer.glimpses))
        W, g_W = (
            params.stacked(*layer.weights)[:, : len(Q)]
            for params in (model.parameters, model.gradients)
        )
        self.shares = []
        for rows in split(len(W), workers.threads):
            own = W[rows]
            kept, work = ops.shared(own.shape), ops.empty(own.shape)
            self.shares.append(_Share(own, g_W[rows], Q, kept, work))

    def _before(self, part, meet):
        """Turn the gradients of the last minibatch into those at V, and the weights into 0."""
        xp = self.ops.xp
        xp.matmul(part.g_W, part.Q, out=part.work)
        xp.copyto(part.g_W, part.work)
        xp.copyto(part.kept, part.W)
        part.W.fill(0)

    def _after(self, part, meet):
        """Turn what the update made of 0 into an update of the weights."""
        xp = self.ops.xp
        xp.matmul(part.W, part.Q.T, out=part.work)
        xp.add(part.kept, part.work, out=part.W)


def cosines(P, N, C):
    """Return Q of P glimpses, (P*N*C*N, P*N*C*N) as numpy.ndarray.

    Parameters
    ----------
    P, N, C : int
        Glimpses, which lie one behind the other, the side of each, and its channels: the numbers of
        a glimpse are (N, C, N).
    """
    k = np.arange(N)
    waves = np.cos(np.pi * (k[:, None] + 0.5) * k / N)
    waves /= np.linalg.norm(waves, axis=0)
    return np.kron(np.eye(P), np.kron(waves, np.kron(np.eye(C), waves)))
