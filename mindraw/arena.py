"""One flat buffer carved into named views."""

import math
from types import SimpleNamespace

import numpy as np

from .errors import MindrawError


class Params:
    """Named arrays that lie one behind the other in one flat vector.

    Adam, clipping, checkpoints and gradient checks touch `flat`; the model reads the
    views. The gradient of a `Params` is a `Params` of the same layout.

    Parameters
    ----------
    shapes : dict of str to tuple of int
        Dotted names, in the order of the flat vector: ``{"encoder.b": (1024, 1)}``
        becomes ``params.encoder.b`` and ``params["encoder.b"]``.
    ops : Backend

    Attributes
    ----------
    flat : array (P,)
    names : tuple of str
    shapes : dict of str to tuple of int
    """

    def __init__(self, shapes, ops):
        self.ops = ops
        self.shapes = dict(shapes)
        self.names = tuple(self.shapes)
        sizes = [math.prod(shape) for shape in self.shapes.values()]
        self.flat = ops.shared((sum(sizes),))
        self._views, self._places = {}, {}
        offset = 0
        for (name, shape), size in zip(self.shapes.items(), sizes, strict=True):
            self._places[name] = slice(offset, offset + size)
            self._views[name] = self.flat[self._places[name]].reshape(shape)
            group, _, leaf = name.rpartition(".")
            if group not in self.__dict__:
                setattr(self, group, SimpleNamespace())
            setattr(getattr(self, group), leaf, self._views[name])
            offset += size

    def __getitem__(self, name):
        return self._views[name]

    def __len__(self):
        return len(self.names)

    def stacked(self, *names):
        """View matrices that lie one behind the other as one.

        Parameters
        ----------
        *names : str
            In the order of the flat vector, and with equally many columns.

        Returns
        -------
        array (rows of all, columns)
        """
        whole = slice(self._places[names[0]].start, self._places[names[-1]].stop)
        return self.flat[whole].reshape(-1, self.shapes[names[0]][1])

    def like(self):
        """Return zeros in the same layout."""
        return Params(self.shapes, self.ops)

    def load(self, flat):
        """Set every parameter from a flat NumPy vector.

        Parameters
        ----------
        flat : numpy.ndarray (P,)

        Raises
        ------
        MindrawError
            If the vector is of another length.
        """
        flat = np.asarray(flat)
        if flat.shape != self.flat.shape:
            raise MindrawError(
                f"the parameters are a vector of {self.flat.shape[0]} numbers, "
                f"not an array of shape {flat.shape}"
            )
        self.flat[...] = self.ops.asarray(flat)

    def to_dict(self):
        """Copy every parameter to the host, as a dict of name to NumPy array."""
        flat = self.ops.to_numpy(self.flat)
        host, offset = {}, 0
        for name, shape in self.shapes.items():
            size = math.prod(shape)
            host[name] = flat[offset : offset + size].reshape(shape)
            offset += size
        return host


def carve(ops, shapes):
    """Lay arrays out behind each other in one zeroed buffer.

    Parameters
    ----------
    ops : Backend
    shapes : dict of str to tuple of int

    Returns
    -------
    types.SimpleNamespace
        One view for each name, each starting on a 64-byte boundary of the buffer, which is there
        as `buffer`.
    """
    align = max(1, 64 // ops.dtype.itemsize)
    padded = {name: -(-math.prod(shape) // align) * align for name, shape in shapes.items()}
    flat = ops.shared((sum(padded.values()),))
    views, offset = SimpleNamespace(buffer=flat), 0
    for name, shape in shapes.items():
        setattr(views, name, flat[offset : offset + math.prod(shape)].reshape(shape))
        offset += padded[name]
    return views
