"""What other coordinates have in common that an optimizer may take its steps in."""


class Coordinates:
    """Coordinates of a model's parameters, as `mindraw.optim.Adam` takes them.

    A subclass has the methods `_before` and `_after`, what a process does with its share, and sets
    the attributes.

    Attributes
    ----------
    turned : bool
        Whether they are the parameters times an orthogonal matrix.
    workers : mindraw.parallel.Workers
        The model's.
    shares : list
        For each process what it works on; what `_after` takes of `_before` is shared memory.
    """

    turned = False

    def before(self):
        """Turn the model's parameters and gradients into those that the optimizer is to see."""
        self._together(self._before)

    def after(self):
        """Turn what the optimizer made of them into the model's parameters."""
        self._together(self._after)

    def _together(self, method):
        with self.workers.single_threaded_blas():
            self.workers.together(method, self.shares)

    def _before(self, share, meet):
        raise NotImplementedError

    def _after(self, share, meet):
        raise NotImplementedError
