"""Adam (Kingma and Ba 2015) on one flat vector, with clipping by the global norm.

Adam's steps are as long for noise as for signal, so that in a long training weights walk off, and
the gates of an LSTM are open or shut whatever comes. Weight decay that does not go through the
gradient (Loshchilov and Hutter 2019, "Decoupled weight decay regularization") holds them where they
are of use: each step leaves 1 - lr * weight_decay of them.
"""

import math

from .errors import MindrawError
from .parallel import Workers, split


class Adam:
    """Adam, applied to a whole `Params` at once.

    Parameters
    ----------
    params : Params
        What is trained; updated in place.
    ops : Backend
    lr : float
        Learning rate where `step` is not given one.
    beta1, beta2, eps : float
    clip : float
        The gradient counts clip / max(norm, clip) times, with its global Euclidean norm.
    workers : Workers or None
        Processes to share the vector out to.
    rates : dict of str to float, or None
        What the learning rate is multiplied by for the parameters named; 1 for the others.
    apart : sequence of str
        Parameters whose gradient is clipped by a norm of its own, not by that of all.
    coordinates : sequence of mindraw.coordinates.Coordinates
        Those that the steps are taken in, each within the one before (`centring.py`,
        `frequencies.py`). The gradients are changed on the way.
    weight_decay : float
        After a step the parameters named in `decayed` are 1 - rate * lr * weight_decay of what
        they would be, with the rate in `rates`; those are in the coordinates of the step, of which
        no others change.
    decayed : sequence of str

    Attributes
    ----------
    m, v : array (P,)
    count : int
        Updates so far.

    Raises
    ------
    MindrawError
        If a number is outside its range.
    """

    def __init__(
        self, params, ops, lr=1e-3, beta1=0.5, beta2=0.999, eps=1e-8, clip=5.0, workers=None,
        rates=None, apart=(), coordinates=(), weight_decay=0.0, decayed=(),
    ):  # fmt: skip
        if not (math.isfinite(lr) and lr > 0):
            raise MindrawError(f"lr is {lr}: the learning rate must be positive")
        if not (0 <= beta1 < 1 and 0 <= beta2 < 1):
            raise MindrawError(f"beta1 is {beta1} and beta2 {beta2}: both must lie in [0, 1)")
        if not (eps > 0 and clip > 0):
            raise MindrawError(f"eps is {eps} and clip {clip}: both must be positive")
        if not (math.isfinite(weight_decay) and weight_decay >= 0):
            raise MindrawError(f"weight_decay is {weight_decay}: it must be a number of at least 0")
        self.rates, self.apart = dict(rates or {}), frozenset(apart)
        self.weight_decay, self.decayed = weight_decay, frozenset(decayed)
        for name in (*self.rates, *self.apart, *self.decayed):
            if name not in params.names:
                raise MindrawError(
                    f"there is no parameter {name!r} to treat otherwise than the rest: there are "
                    + ", ".join(params.names)
                )
        for name, rate in self.rates.items():
            if not (math.isfinite(rate) and rate > 0):
                raise MindrawError(f"the rate of {name} is {rate}: it must be positive")
        self.params, self.ops = params, ops
        self.lr, self.beta1, self.beta2, self.eps, self.clip = lr, beta1, beta2, eps, clip
        self.workers, self.coordinates = workers or Workers(1), tuple(coordinates)
        size = params.flat.shape[0]
        self.m, self.v = ops.shared((size,)), ops.shared((size,))
        self.count = 0
        self._gradients = None
        self._spans = self._neighbours(lambda name: name in self.apart)
        self._groups = sorted({apart for _, _, apart in self._spans})
        # the norm of each group, and the first update at which one was not finite
        self._state = ops.shared((len(self._groups), 2))
        one = len(self._spans) == 1
        self._norms = self._state if one else ops.shared((len(self._spans), 2))
        self._measured = [
            (start, stop, self._norms[k], self._state[self._groups.index(apart)])
            for k, (start, stop, apart) in enumerate(self._spans)
        ]
        self._shares = self._share(size, getattr(ops.kernels, "BLOCK", 0))

    def _neighbours(self, how):
        """List (start, stop, how) of neighbours in the flat vector that are treated alike."""
        runs = []
        for name, place in self.params.places.items():
            alike = runs and runs[-1][2] == how(name)
            start = runs.pop()[0] if alike else place.start
            runs.append((start, place.stop, how(name)))
        return runs

    def _share(self, size, block):
        """List for each process its ranges of the flat vector, how they are treated; its work.

        A range comes with its rate, its norm, and whether it decays.
        """
        runs = self._neighbours(
            lambda name: (self.rates.get(name, 1.0), name in self.apart, name in self.decayed)
        )
        shares = []
        for part in split(size, self.workers.threads):
            parts = []
            for start, stop, (rate, apart, decays) in runs:
                lo, hi = max(start, part.start), min(stop, part.stop)
                if lo < hi:
                    state = self._state[self._groups.index(apart)]
                    parts.append((slice(lo, hi), rate, state, decays))
            shares.append((parts, self.ops.empty((min(size, block),))))
        return shares

    def step(self, gradients, lr=None):
        """Clip and update, without reading anything to the host.

        Where the gradient's norm is not finite, this update and all later ones leave the
        parameters and the moments as they are; `failed_step` tells.

        Parameters
        ----------
        gradients : Params
        lr : float or None
        """
        self.count += 1
        if gradients is not self._gradients:
            self._gradients = gradients
            self.workers.forget()
        for change in self.coordinates:
            change.before()
        self._measure(gradients)
        lr = self.lr if lr is None else lr
        self.workers.together(self._update, self._shares, lr, self.count)
        outer = list(self.coordinates)
        while outer and outer[-1].turned:  # a weight decays as much in these as out of them
            outer.pop().after()
        if self.weight_decay:
            self.workers.together(self._decay, self._shares, lr * self.weight_decay)
        for change in reversed(outer):
            change.after()

    def _measure(self, gradients):
        """Set each group's norm; where one is not finite, no group is updated any more."""
        ops, norms, state = self.ops, self._norms, self._state
        for start, stop, norm, _ in self._measured:
            ops.kernels.gradient_norm(norm, gradients.flat[start:stop], self.count)
        if norms is state:
            return
        state.fill(0)
        for _, _, norm, of_group in self._measured:
            ops.xp.hypot(of_group[:1], norm[:1], out=of_group[:1])
            ops.xp.maximum(state[:, 1], norm[1:], out=state[:, 1])
        ops.xp.copyto(self._norms[:, 1], state[0, 1:])  # the first failure of any is that of all

    def _update(self, share, meet, lr, count):
        parts, work = share
        for part, rate, state, _ in parts:
            self.ops.kernels.adam(
                self.params.flat[part], self.m[part], self.v[part], work,
                self._gradients.flat[part], state, self.clip, rate * lr,
                self.beta1, self.beta2, self.eps, count,
            )  # fmt: skip

    def _decay(self, share, meet, decay):
        parts, _ = share
        for part, rate, state, decays in parts:
            if decays:
                self.ops.kernels.decay(self.params.flat[part], state, rate * decay)

    def failed_step(self):
        """Return the number of the first update that was not finite, or None; reads the device."""
        number = int(self.ops.to_numpy(self._state)[0, 1])
        return number or None

    def norm(self):
        """Return the last gradient's norm before clipping; reads the device."""
        return math.hypot(*self.ops.to_numpy(self._state)[:, 0].tolist())

    def load(self, m, v, count):
        """Continue from saved moments.

        Parameters
        ----------
        m, v : numpy.ndarray (P,)
        count : int
        """
        self.m[...] = self.ops.asarray(m)
        self.v[...] = self.ops.asarray(v)
        self.count = int(count)
        self._state.fill(0)
        self._norms.fill(0)


def constant(lr):
    """Return the schedule that is `lr` at every step."""
    return lambda step: lr


def cosine(lr, steps, floor=0.0):
    """Return a half cosine from `lr` at step 0 down to `floor` at `steps` and after."""

    def schedule(step):
        part = min(step / steps, 1.0)
        return floor + (lr - floor) * 0.5 * (1 + math.cos(math.pi * part))

    return schedule


def decay(lr, factor, every, floor=0.0):
    """Return `lr` multiplied by `factor` after each `every` steps, never below `floor`."""
    return lambda step: max(floor, lr * factor ** (step // every))


def warmed(schedule, steps):
    """Return `schedule` with its first `steps` rates scaled up in equal steps to the full one."""
    return lambda step: schedule(step) * min((step + 1) / (steps + 1), 1.0)
