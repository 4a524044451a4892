"""What the loop needs of a classifier: minibatches in, nats, errors and guesses out."""

from typing import NamedTuple

import numpy as np

from .draw import rectangles
from .task import Task


class Guesses(NamedTuple):
    """What a model says of pictures, in NumPy.

    Parameters
    ----------
    truth, guess : int array (n,)
        Classes: the right one, and the most probable one.
    probability : float array (n,)
        What the model gives its guess.
    """

    truth: np.ndarray
    guess: np.ndarray
    probability: np.ndarray


class Paths(NamedTuple):
    """How a model looked at pictures, in NumPy.

    Parameters
    ----------
    x : array (n, C, H, W)
        The pictures, in [0, 1].
    glimpses : array (T, n, C, N, N)
        What was read of them, without the intensity: in [0, 1].
    windows : array (T, n, 4)
        Where: x and y of the centre, side, and the filters' standard deviation, in pixels.
    """

    x: np.ndarray
    glimpses: np.ndarray
    windows: np.ndarray


class ClassifyTask(Task):
    """A classifier trained on a data set whose splits have targets. See `Task`.

    Its parts are the loss in nats and whether it was wrong; its measures are the loss and the error
    in per cent.
    """

    kind = "classify"
    parts = ("loss", "wrong")
    measures = ("loss", "error")

    def minibatch(self, split, indices, epoch, stream=None, number=None):
        """Return the pictures (D, b) and, for each, 1 at its class (K, b); see `Task.minibatch`.

        For a model with an aim loss the places to look at, (2, b), too.
        """
        classes = np.arange(self.model.config.classes)[:, None]
        target = (split.targets(indices, epoch) == classes).astype(np.float32)
        places = () if self.model.aim_loss is None else (split.places(indices, epoch),)
        return self.columns(split, indices, epoch), *map(self.ops.asarray, (target, *places))

    def measure(self, sums, count):
        """Return the loss per example in nats, and the error in per cent; see `Task.measure`."""
        loss, wrong = (float(part) / count for part in sums)
        return {"loss": loss, "error": 100 * wrong}

    def guesses(self):
        """Classify all test pictures.

        Returns
        -------
        Guesses
        """
        split, found = self.dataset.test, []
        for start in range(0, len(split), self.batch):
            indices = np.arange(start, min(start + self.batch, len(split)))
            self.model.loss(*self.minibatch(split, indices, 0))
            p = self.ops.to_numpy(self.model.probabilities(len(indices)))
            found.append((split.targets(indices, 0), p.argmax(axis=0), p.max(axis=0)))
        return Guesses(*map(np.concatenate, zip(*found, strict=True)))

    def paths(self, indices):
        """Look at test pictures.

        Parameters
        ----------
        indices : sequence of int (n,)
            Which ones; at most a minibatch is looked at.

        Returns
        -------
        Paths
        """
        config, indices = self.model.config, np.asarray(indices)[: self.batch]
        x, *others = self.minibatch(self.dataset.test, indices, 0)
        self.model.loss(x, *others)
        n = len(indices)
        attention = self.ops.to_numpy(self.model.windows(n))
        seen = self.ops.to_numpy(self.model.glimpses(n))  # (T, N, C, N, n)
        gamma = attention[:, 4, :, None, None, None]
        return Paths(
            self.ops.to_numpy(x).T.reshape(n, config.C, config.H, config.W),
            seen.transpose(0, 4, 2, 1, 3) / gamma,
            rectangles(attention, config.read_n),
        )
