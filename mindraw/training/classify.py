"""What the loop needs of a classifier: minibatches in, nats, errors and guesses out."""

from dataclasses import asdict
from typing import NamedTuple

import numpy as np

from .draw import rectangles
from .ledger import sum_into
from .minibatches import Minibatches
from .streams import DISPLACE

#: What the displacement of a glimpse is multiplied by from one to the next.
STEADIER = 0.6


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
        Of the minibatches' order, and of the displacements.
    jitter : float
        In training the second glimpse looks beside where it wanted to: off by this much along each
        axis, in parts of the picture, one standard deviation. Each later glimpse is off by
        `STEADIER` times as much. So it learns to find its way back.
    gce : float
        q of the generalized cross-entropy that is trained on.
    plain_start : int
        Minibatches before `jitter` and `gce` begin.

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

    def __init__(self, model, dataset, seed, jitter=0.0, gce=0.0, plain_start=0):
        self.model, self.dataset, self.seed = model, dataset, seed
        self.ops, self.batch = model.ops, model.batch
        self.minibatches = Minibatches(len(dataset.train), model.batch, seed)
        # gx~ and gy~ go from -1 to 1 over the picture; the first glimpse stays where it is
        self.off = [0.0, *(2 * jitter * STEADIER**t for t in range(model.config.T - 1))]
        self.gce, self.plain_start = gce, plain_start
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
        minibatch = self._columns(self.dataset.train, *self.minibatches.at(k))
        self.model.q = self.gce if k >= self.plain_start else 0.0
        return self.model.loss_and_gradient(*minibatch, self._displacements(k))

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

    def _displacements(self, k):
        """What is added to gx~ and gy~ in minibatch k, (T, 2, B) on the backend; None for none."""
        if k < self.plain_start or not any(self.off):
            return None
        away = self.ops.standard_normal((len(self.off), 2, self.batch), (self.seed, DISPLACE, k))
        for t, off in enumerate(self.off):
            away[t] *= off
        return away

    def _columns(self, split, indices, epoch):
        """The pictures (D, b) and, for each, 1 at its class (K, b), on the backend."""
        classes = np.arange(self.model.config.classes)[:, None]
        target = (split.targets(indices, epoch) == classes).astype(np.float32)
        return self.ops.asarray(split.images(indices, epoch).T), self.ops.asarray(target)
