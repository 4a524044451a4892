"""What the loop needs of a model and a data set: minibatches in, losses out."""

from dataclasses import asdict

import numpy as np

from ..data.dataset import likeness
from ..parallel import Workers, default_threads
from ..parallel import split as shares
from ..team import shared_zeros
from .checkpoint import LIKENESS
from .ledger import sum_into
from .minibatches import Minibatches
from .streams import TEST, TRAIN, VALID

#: Which noise a split is measured with.
EVALUATION = {"valid": VALID, "test": TEST}
#: Pictures that a process makes at least where a GPU computes.
FEWEST = 8


class Task:
    """A model trained on a data set, as `Session` takes it.

    Parameters
    ----------
    model : Draw or Classifier
    dataset : mindraw.data.Dataset
        `train`, `test` and, where there is one, `valid` splits of images in rows of D.
    seed : int
        Of the minibatches' order and of all noise.

    Attributes
    ----------
    kind : str
        Which kind of model a checkpoint holds.
    config, training : dict
        The model's configuration, and what else must stay the same for a run to go on.
    parts : tuple of str
        What `step` returns, in this order.
    measures : tuple of str
        What the history holds for each split.
    measured : dict of str to mindraw.data.Split
        The splits that `evaluate` takes: "valid" where there is one, and "test".
    teams : set of mindraw.parallel.Workers
        Those of the model, and those that make its pictures, which on a CPU are the same.
    first : int
        Which minibatch of the seed's endless row of them a training begins with: a second training
        goes on where the first ended, with an order, pictures and noise of its own.

    Raises
    ------
    MindrawError
        If there are fewer training examples than a minibatch takes.
    """

    def __init__(self, model, dataset, seed):
        self.model, self.dataset, self.seed = model, dataset, seed
        self.ops, self.batch = model.ops, model.batch
        self.minibatches = Minibatches(len(dataset.train), model.batch, seed)
        held_out = {"valid": dataset.valid, "test": dataset.test}
        self.measured = {name: split for name, split in held_out.items() if split is not None}
        self._splits = (dataset.train, *self.measured.values())
        self._indices = shared_zeros((model.batch,), np.int64)
        self._images = shared_zeros((model.batch, model.config.D), np.float32)
        self._makers = model.workers
        if not self.ops.shares and dataset.train.slow:
            # a GPU goes on with what is queued meanwhile, and one core would keep it waiting
            self._makers = Workers(default_threads(model.batch, FEWEST))
        self.teams = {model.workers, self._makers}
        self._shares = shares(model.batch, self._makers.threads, multiple=1)
        self.first = 0
        self.config = asdict(model.config)
        self.training = {
            "dataset": dataset.name,
            "training images": len(dataset.train),
            "batch": model.batch,
            "seed": seed,
            LIKENESS: likeness(dataset.train),
        }

    def step(self, k):
        """Set the gradients to those of minibatch k of this training, counted from 0.

        Returns
        -------
        tuple of array (B,)
            One for each of `parts`; valid until the next call.
        """
        k += self.first
        indices, epoch = self.minibatches.at(k)
        return self.model.loss_and_gradient(
            *self.minibatch(self.dataset.train, indices, epoch, TRAIN, k)
        )

    def measured_in(self, columns):
        """Return those of `measured` that a history has columns of: one begun before has fewer."""
        first, all_there_are = self.measures[0], self.measured.items()
        return {name: split for name, split in all_there_are if f"{name}_{first}" in columns}

    def evaluate(self, name="test"):
        """Return the measures on all images of a split, with the same noise at every call.

        Parameters
        ----------
        name : str
            One of `measured`.

        Returns
        -------
        dict of str to float
        """
        split, stream = self.measured[name], EVALUATION[name]
        starts = range(0, len(split), self.batch)
        sums = self.ops.zeros((len(starts), len(self.parts)))
        for number, start in enumerate(starts):
            indices = np.arange(start, min(start + self.batch, len(split)))
            losses = self.model.loss(*self.minibatch(split, indices, 0, stream, number))
            sum_into(self.ops, sums[number], losses)
        return self.measure(self.ops.to_numpy(sums).astype(np.float64).sum(0), len(split))

    def columns(self, split, indices, epoch):
        """Return images as columns, array (D, b) on the backend; valid until the next call.

        Several processes make them together, each a share: fresh ones, such as bent digits among
        distractors, take a fifth as long as the step that follows on a CPU, and on a GPU longer
        than that.
        """
        b, number = len(indices), self._splits.index(split)
        self._indices[:b] = indices
        self._makers.together(self._make, self._shares, number, epoch, b)
        return self.ops.asarray(self._images[:b].T, copy=False)

    def _make(self, share, meet, number, epoch, b):
        """Make one process's share of b images."""
        rows = slice(share.start, min(share.stop, b))
        if rows.start < rows.stop:
            images = self._splits[number].images(self._indices[rows], epoch)
            np.copyto(self._images[rows], images)

    # ---------------------------------------------------------------- what a kind of model is

    def minibatch(self, split, indices, epoch, stream, number):
        """Return what the model takes for some images of a split.

        Parameters
        ----------
        split : mindraw.data.Split
        indices : int array (b,)
        epoch : int
        stream, number : int
            Which noise, if any: see `streams.py`.

        Returns
        -------
        tuple of array
        """
        raise NotImplementedError

    def measure(self, sums, count):
        """Turn sums of the parts over `count` examples into the measures.

        Parameters
        ----------
        sums : numpy.ndarray (k,)
        count : int

        Returns
        -------
        dict of str to float
        """
        raise NotImplementedError
