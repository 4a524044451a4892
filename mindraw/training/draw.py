"""What the loop needs of DRAW: minibatches in, nats and pictures out."""

import numpy as np

from ..data.dataset import spread
from ..errors import MindrawError
from ..models.config import DrawConfig
from ..models.draw import Draw
from .checkpoint import load
from .streams import GENERATE, RECONSTRUCT
from .task import Task


class DrawTask(Task):
    """DRAW trained on a data set; its parts and measures are in nats. See `Task`."""

    kind = "draw"
    parts = ("reconstruction", "latent")
    measures = ("total", "reconstruction", "latent")

    def minibatch(self, split, indices, epoch, stream, number):
        """Return the images (D, b) and their noise (T, z, b); see `Task.minibatch`."""
        return self.columns(split, indices, epoch), self._noise(len(indices), stream, number)

    def measure(self, sums, count):
        """Return the means over `count` examples, in nats per example; see `Task.measure`."""
        reconstruction, latent = (float(part) / count for part in sums)
        return {
            "total": reconstruction + latent,
            "reconstruction": reconstruction,
            "latent": latent,
        }

    def generations(self, n=10):
        """Draw from the prior, with the same noise at every call.

        Parameters
        ----------
        n : int
            How many; at most a minibatch is drawn.

        Returns
        -------
        canvases : numpy.ndarray (T, n, C, H, W)
            sigmoid(c_t), in [0, 1].
        """
        n = min(n, self.batch)
        return pictures(self.model, self.model.generate(self._noise(n, GENERATE, 0)))

    def reconstructions(self, n=10):
        """Encode and draw again test images from all over the set, with the same noise each time.

        Parameters
        ----------
        n : int
            How many; at most a minibatch is drawn.

        Returns
        -------
        x : numpy.ndarray (n, C, H, W)
        canvases : numpy.ndarray (T, n, C, H, W)
        """
        indices = spread(self.dataset.test, min(n, self.batch))
        n, x = len(indices), self.dataset.test.images(indices, 0)
        canvases = self.model.reconstruct(self.ops.asarray(x.T), self._noise(n, RECONSTRUCT, 0))
        return x.reshape(n, *shape(self.model)), pictures(self.model, canvases)

    def _noise(self, b, stream, number):
        return self.ops.standard_normal(self.model.noise_shape(b), (self.seed, stream, number))


def shape(model):
    """Return (C, H, W) of a model's images."""
    return model.config.C, model.config.H, model.config.W


def pictures(model, canvases):
    """Return what a model drew, (T, D, n) on the backend, as numpy.ndarray (T, n, C, H, W)."""
    canvases = model.ops.to_numpy(canvases)
    T, _, n = canvases.shape
    return canvases.transpose(0, 2, 1).reshape(T, n, *shape(model))


def windows(model, n, parts=("read", "write")):
    """Return where a model attended when it drew last, as rectangles for the figures.

    Parameters
    ----------
    model : Draw
    n : int
        How many pictures it drew.
    parts : sequence of str
        "read" and "write" after `reconstruct`; only "write" after `generate`.

    Returns
    -------
    dict of str to numpy.ndarray (T, n, 4)
        For each of the parts the x and y of the centre, the side, which is (N-1) d, and the
        filters' standard deviation, in pixels. Empty for a model without attention.
    """
    if not model.config.attention:
        return {}
    boxes = {}
    for part in parts:
        N = getattr(model.config, f"{part}_n")
        boxes[part] = rectangles(model.ops.to_numpy(model.windows(part, n)), N)
    return boxes


def rectangles(attention, N):
    """Turn attention, (T, 5, n) with gx, gy, s2, d, gamma, into rectangles (T, n, 4)."""
    gx, gy, s2, d, _ = np.moveaxis(attention, 1, 0)
    return np.stack([gx, gy, (N - 1) * d, np.sqrt(s2)], axis=-1)


def load_model(path, ops, batch):
    """Build the model that a checkpoint holds; no data set is needed.

    Parameters
    ----------
    path : str or pathlib.Path
        A checkpoint, whichever backend wrote it, or the folder of a run.
    ops : Backend
    batch : int
        Pictures that it draws at once.

    Returns
    -------
    model : Draw
    checkpoint : Checkpoint

    Raises
    ------
    MindrawError
        If it is no good checkpoint of a model that draws.
    """
    checkpoint = load(path)
    if checkpoint.kind != DrawTask.kind:
        raise MindrawError(f"{path} holds a model of the kind {checkpoint.kind!r}: it cannot draw")
    try:
        config = DrawConfig(**checkpoint.config)
    except TypeError as error:
        raise MindrawError(f"{path} holds a model that this version does not know") from error
    model = Draw(config, ops, batch)
    checkpoint.restore(path, model.parameters)
    return model, checkpoint
