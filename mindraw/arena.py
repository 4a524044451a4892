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
    places : dict of str to slice
        Of the flat vector.
    """

    def __init__(self, shapes, ops):
        self.ops = ops
        self.shapes = dict(shapes)
        self.names = tuple(self.shapes)
        self.places, size = {}, 0
        for name, shape in self.shapes.items():
            self.places[name] = slice(size, size + math.prod(shape))
            size = self.places[name].stop
        self.flat = ops.shared((size,))
        self._views = self._views_of(self.flat)
        for name, view in self._views.items():
            group, _, leaf = name.rpartition(".")
            if group not in self.__dict__:
                setattr(self, group, SimpleNamespace())
            setattr(getattr(self, group), leaf, view)

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
        whole = slice(self.places[names[0]].start, self.places[names[-1]].stop)
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
        return self._views_of(self.ops.to_numpy(self.flat))

    def _views_of(self, flat):
        return {name: flat[place].reshape(self.shapes[name]) for name, place in self.places.items()}


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
