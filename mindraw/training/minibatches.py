"""Which training examples make up minibatch number k: a pure function of (seed, k)."""

import numpy as np

from ..errors import MindrawError
from .streams import SHUFFLE


class Minibatches:
    """Minibatches of equal size, in a new order every epoch.

    What is left of an epoch after its last full minibatch is dropped.

    Parameters
    ----------
    size : int
        Training examples.
    batch : int
        B, examples per minibatch.
    seed : int

    Attributes
    ----------
    per_epoch : int

    Raises
    ------
    MindrawError
        If there are fewer examples than one minibatch takes.
    """

    def __init__(self, size, batch, seed):
        if batch > size:
            raise MindrawError(
                f"batch is {batch}, but there are only {size} training examples: "
                "choose a smaller --batch"
            )
        self.size, self.batch, self.seed = size, batch, seed
        self.per_epoch = size // batch
        self._epoch, self._order = None, None

    def at(self, k):
        """Return the indices of minibatch k, counted from 0, and its epoch.

        Returns
        -------
        indices : numpy.ndarray (B,)
        epoch : int
        """
        epoch, place = divmod(k, self.per_epoch)
        if epoch != self._epoch:
            rng = np.random.Generator(
                np.random.Philox(np.random.SeedSequence((self.seed, SHUFFLE, epoch)))
            )
            self._epoch, self._order = epoch, rng.permutation(self.size)
        return self._order[place * self.batch : (place + 1) * self.batch], epoch
