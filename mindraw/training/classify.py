"""What the loop needs of a classifier: minibatches in, nats, errors and guesses out."""

from dataclasses import asdict
from typing import NamedTuple

import numpy as np

from .draw import rectangles
from .ledger import sum_into
from .minibatches import Minibatches


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


class ClassifyTask:
    """A classifier trained on a data set, as `Session` takes it.

    Parameters
    ----------
    model : Classifier
    dataset : mindraw.data.Dataset
        `train` and `test` splits of images in rows of D, with targets.
    seed : int
        Of the minibatches' order.

    Attributes
    ----------
    kind, config, training, parts : str, dict, dict, tuple of str
        As in `DrawTask`.
    measures : tuple of str
        What the history holds for each split: the loss in nats, the error in per cent.

    Raises
    ------
    MindrawError
        If there are fewer training examples than a minibatch takes.
    """

    kind = "classify"
    parts = ("loss", "wrong")
    measures = ("loss", "error")

    def __init__(self, model, dataset, seed):
        self.model, self.dataset, self.seed = model, dataset, seed
        self.ops, self.batch = model.ops, model.batch
        self.minibatches = Minibatches(len(dataset.train), model.batch, seed)
        self.config = asdict(model.config)
        self.training = {
            "dataset": dataset.name,
            "training images": len(dataset.train),
            "batch": model.batch,
            "seed": seed,
        }

    def step(self, k):
        """Set the gradients to those of minibatch k, counted from 0.

        Returns
        -------
        tuple of array (B,)
            One for each of `parts`; valid until the next call.
        """
        return self.model.loss_and_gradient(
            *self._columns(self.dataset.train, *self.minibatches.at(k))
        )

    def measure(self, sums, count):
        """Turn sums of the parts over `count` examples into means of the measures.

        Parameters
        ----------
        sums : numpy.ndarray (2,)
        count : int

        Returns
        -------
        dict of str to float
            The loss in nats per example, the error in per cent.
        """
        loss, wrong = (float(part) / count for part in sums)
        return {"loss": loss, "error": 100 * wrong}

    def evaluate(self):
        """Return the measures on all test pictures."""
        split = self.dataset.test
        starts = range(0, len(split), self.batch)
        sums = self.ops.zeros((len(starts), len(self.parts)))
        for row, start in enumerate(starts):
            indices = np.arange(start, min(start + self.batch, len(split)))
            sum_into(self.ops, sums[row], self.model.loss(*self._columns(split, indices, 0)))
        return self.measure(self.ops.to_numpy(sums).astype(np.float64).sum(0), len(split))

    def guesses(self):
        """Classify all test pictures.

        Returns
        -------
        Guesses
        """
        split, found = self.dataset.test, []
        for start in range(0, len(split), self.batch):
            indices = np.arange(start, min(start + self.batch, len(split)))
            self.model.loss(*self._columns(split, indices, 0))
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
        x, target = self._columns(self.dataset.test, indices, 0)
        self.model.loss(x, target)
        n = len(indices)
        attention = self.ops.to_numpy(self.model.windows(n))
        seen = self.ops.to_numpy(self.model.glimpses(n))  # (T, N, C, N, n)
        gamma = attention[:, 4, :, None, None, None]
        return Paths(
            self.ops.to_numpy(x).T.reshape(n, config.C, config.H, config.W),
            seen.transpose(0, 4, 2, 1, 3) / gamma,
            rectangles(attention, config.read_n),
        )

    def _columns(self, split, indices, epoch):
        """The pictures (D, b) and, for each, 1 at its class (K, b), on the backend."""
        classes = np.arange(self.model.config.classes)[:, None]
        target = (split.targets(indices, epoch) == classes).astype(np.float32)
        x = self.ops.asarray(split.images(indices, epoch).T, copy=False)
        return x, self.ops.asarray(target)
