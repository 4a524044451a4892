"""log p(x), estimated with importance samples: apart from the bound, which they tighten.

For K samples z_k ~ q(z | x) the logarithm of the mean of the weights p(x, z_k) / q(z_k | x) lies,
in expectation, between the bound and log p(x), and comes nearer to log p(x) the larger K is (Burda,
Grosse and Salakhutdinov 2016, "Importance weighted autoencoders", section 3).
"""

from typing import NamedTuple

import numpy as np

from ..errors import MindrawError
from ..files import lock, read_json, write_json
from .history import History, parse, whole_lines
from .streams import IMPORTANCE


class Estimate(NamedTuple):
    """What K importance samples say of each of b pictures; arrays numpy.ndarray (b,).

    Parameters
    ----------
    bound : nats
        The mean of -log w over the samples: what is trained, and compared with the paper.
    estimate : nats
        -log of the mean of w: never more than the bound.
    effective : samples
        (sum of w)^2 / sum of w^2, from 1 to K: how many of the samples count. Where it is near 1,
        more samples would lower the estimate.
    """

    bound: np.ndarray
    estimate: np.ndarray
    effective: np.ndarray


def weigh(log_w):
    """Turn the logarithms of importance weights, numpy.ndarray (K, b), into an `Estimate`."""
    highest = log_w.max(axis=0)
    w = np.exp(log_w - highest)
    effective = w.sum(axis=0) ** 2 / (w * w).sum(axis=0)
    return Estimate(-log_w.mean(axis=0), -highest - np.log(w.mean(axis=0)), effective)


def estimate(model, split, start, stop, samples, seed):
    """Estimate log p(x) of some pictures.

    What comes out for a picture does not depend on which others are asked for.

    Parameters
    ----------
    model : Draw
    split : mindraw.data.Split
    start, stop : int
        The pictures, at most to the next multiple of the model's batch.
    samples : int
        K, for each picture; the first of many are the same as those of few.
    seed : int
        Of the noise.

    Returns
    -------
    Estimate
    """
    ops, (block, first) = model.ops, divmod(start, model.batch)
    x = ops.asarray(split.images(np.arange(start, stop)).T)
    log_w = np.empty((samples, stop - start))
    for k in range(samples):
        eps = ops.standard_normal(model.noise_shape(), (seed, IMPORTANCE, block, k))
        weights = model.log_weights(x, eps[:, :, first : first + stop - start])
        log_w[k] = ops.to_numpy(weights)
    return weigh(log_w)


def _refuse_damage(text, columns):
    """Raise a `MindrawError` unless these are whole rows of the first pictures, in order."""
    for number, row in enumerate(parse(text)):
        if tuple(row) != columns or None in row.values() or row["image"] != number:
            raise MindrawError(f"row {number + 1} is not that of picture {number}")


class Survey:
    """The estimates of a split's first pictures, in a table that can be continued.

    Parameters
    ----------
    path : pathlib.Path
        The table, CSV; what it is of is kept beside it, as .json.
    what : dict
        What the estimates are made of: model, split, samples, seed. All of it is in the way of
        going on if it differs.

    Raises
    ------
    MindrawError
        If there is a table already that is of something else, or is damaged, or if another process
        is writing to it.
    """

    def __init__(self, path, what):
        if not path.name:
            raise MindrawError(f"{str(path)!r} is no file's name: choose another --out")
        self.path, self.beside = path, path.with_suffix(".json")
        if path == self.beside:
            raise MindrawError(f"{path} would lie where what it is of is kept: call it .csv")
        if path.exists() and (path.is_dir() or not self.beside.exists()):
            raise MindrawError(
                f"{path} is there already, and is no table of estimates: choose another --out"
            )
        if not path.parent.is_dir():
            raise MindrawError(f"there is no folder {path.parent}: make it, or use another --out")
        own = path.with_name(f".{path.stem}.lock")
        self._lock = lock(own, f"{path} is in use: another process is estimating there")
        try:
            self._table = self._open(what)
        except BaseException:
            self._unlock()
            raise

    def _open(self, what):
        """Return the table, read as far as it is there."""
        path = self.path
        if self.beside.exists():
            self._refuse_another(read_json(self.beside), what)
        columns = ("image", *Estimate._fields)
        try:
            text = whole_lines(path) if path.exists() else ""
            _refuse_damage(text, columns)
        except MindrawError as error:
            raise MindrawError(f"{path}: {error}: remove it, or choose another --out") from error
        self.what = what
        write_json(self.beside, what)
        return History(path, columns, text)

    def _refuse_another(self, there, what):
        """Refuse a file beside the table that is of something else."""
        for name, value in what.items():
            if there.get(name) != value:
                found = f"{name} = {there.get(name)!r}, not {value!r}"
                if isinstance(value, list):  # what pictures look like: too long to read
                    found = f"other {name}"
                raise MindrawError(
                    f"{self.beside} tells of estimates with {found}: remove it and its table, or "
                    "choose another --out"
                )

    @property
    def done(self):
        """How many pictures are estimated."""
        return len(self._table.rows)

    def add(self, estimates):
        """Append those of the next pictures."""
        for row in zip(*estimates, strict=True):
            image = {"image": self.done}
            self._table.append(image | dict(zip(Estimate._fields, row, strict=True)))

    def summary(self):
        """Return the means over the pictures, in nats, with their standard errors; keep them too.

        Returns
        -------
        dict of str to float
        """
        columns = {
            name: np.array([row[name] for row in self._table.rows]) for name in Estimate._fields
        }
        told = {}
        for name in ("bound", "estimate"):
            told[name] = float(columns[name].mean())
            told[f"{name}, standard error"] = float(columns[name].std() / np.sqrt(self.done))
        told["effective samples, median"] = float(np.median(columns["effective"]))
        write_json(self.beside, self.what | told)
        return told

    def close(self):
        """Close the table, and let other processes write to it."""
        self._table.close()
        self._unlock()

    def _unlock(self):
        if self._lock is not None:
            self._lock.close()
