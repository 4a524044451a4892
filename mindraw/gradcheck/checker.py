"""The checker: any forward/backward pair against its numerical derivative."""

from dataclasses import dataclass

import numpy as np

from ..errors import MindrawError
from .differences import H_CENTRAL, central_difference, complex_step, direction

COMPLEX, CENTRAL = "complex step", "central differences"
#: The largest relative error that passes.
TOLERANCES = {COMPLEX: 1e-12, CENTRAL: 1e-7}
#: Numbers below this part of the gradient's largest are measured against the largest.
FLOOR = 1e-3
ALL = "all inputs"


@dataclass(frozen=True)
class Result:
    """How far one gradient lies from its numerical derivative, where that is farthest.

    A `Result` is true where it passed.

    Parameters
    ----------
    input : str
        The name of the input, or "all inputs" for the random directions through all of them.
    method : str
        "complex step" or "central differences" (or what else the gradient was compared with).
    error : float
        The largest relative error; NaN where a number was not finite, which fails.
    tolerance : float
        The largest error that passes.
    count : int
        How many derivatives were compared.
    index : tuple of int or None
        The element of `input` that is farthest off.
    direction : tuple of int or None
        The seed of the direction that is farthest off, for `mindraw.gradcheck.direction`.
    analytic, numeric : float
        What `backward` gave there, and the numerical derivative.
    shapes : dict of str to tuple of int
        The names and shapes of all inputs.
    fault : str
        Why there was nothing to compare: a gradient that is missing or of a wrong shape.
    """

    input: str
    method: str
    error: float
    tolerance: float
    count: int = 0
    index: tuple | None = None
    direction: tuple | None = None
    analytic: float = np.nan
    numeric: float = np.nan
    shapes: dict | None = None
    fault: str = ""

    @property
    def passed(self):
        """Whether the error is a number no larger than the tolerance."""
        return bool(self.error <= self.tolerance)

    def __bool__(self):
        return self.passed

    def __str__(self):
        verdict = "ok" if self.passed else "FAILED"
        line = f"{verdict}: {self.input} by {self.method}: "
        if self.fault:
            return line + self.fault
        line += f"relative error {self.error:.2e}, allowed {self.tolerance:.0e}"
        if self.direction is not None:
            line += f", along direction {self.direction}"
        elif self.index is not None:
            line += f", at {self.input}{list(self.index)}"
        if self.passed:
            return line
        shapes = ", ".join(f"{name} {shape}" for name, shape in (self.shapes or {}).items())
        return (
            f"{line}: backward gives {self.analytic!r}, the derivative is {self.numeric!r} "
            f"(inputs: {shapes})"
        )


def describe(results):
    """Return a line for each failed result, or for each result where none failed."""
    failed = [result for result in results if not result]
    return "\n".join(str(result) for result in failed or results)


def relative_error(analytic, numeric, scale):
    """Return ``|a - n| / max(|a|, |n|, FLOOR * scale)``, 0 where both are 0.

    The plain quotient would measure the rounding of a nearly cancelled sum against the
    little that is left of it. So a number below `FLOOR` times the gradient's scale is
    measured against that: an error of 0.05 % stays one of 0.05 % for every number above
    the floor, and a number below it that should be zero still shows as |a - n| does beside
    a thousandth of the gradient.

    Parameters
    ----------
    analytic, numeric : numpy.ndarray
    scale : float or numpy.ndarray
        How large a number of this gradient is: the largest of an input's elements, or the
        root of the sum of squares of the terms that a directional derivative adds up.

    Returns
    -------
    numpy.ndarray
        NaN where a number is not finite.
    """
    with np.errstate(all="ignore"):
        size = np.maximum(np.abs(analytic), np.abs(numeric))
        distance = np.abs(analytic - numeric)
        error = distance / np.maximum(size, FLOOR * np.asarray(scale))
    error = np.where(distance == 0, 0.0, error)
    return np.where(np.isfinite(size), error, np.nan)


def check(
    forward,
    backward,
    inputs,
    *,
    constants=(),
    methods=(COMPLEX, CENTRAL),
    tolerances=None,
    elements=None,
    directions=20,
    step=H_CENTRAL,
    seed=0,
):
    """Compare the gradients of `backward` with numerical derivatives of `forward`.

    The function that is differentiated is sum_k <w_k, y_k>, with y_k the outputs of
    `forward` and w_k random weights from N(0, 1), which `backward` is given as ``douts``.
    It is differentiated in every element of every input, and along random directions
    through all inputs together.

    Parameters
    ----------
    forward : callable
        ``forward(**inputs)`` returns an array, or a tuple or dict of arrays. It is given
        float64 arrays, and complex128 ones for the complex step, and may overwrite them.
    backward : callable
        ``backward(douts, **inputs)`` returns a dict with the gradient at every input that is
        not a constant. ``douts`` is shaped as what `forward` returns. Constants are free to
        be left out.
    inputs : dict of str to array_like
        Where to check. Floating-point numbers are taken as float64.
    constants : sequence of str
        Inputs that are not differentiated. Arrays of integers or booleans never are.
    methods : sequence of {"complex step", "central differences"}
        Leave the complex step out where `forward` is not analytic.
    tolerances : dict of str to float, optional
        The largest relative error that passes (see `relative_error`), by method, in place of
        1e-12 for the complex step and 1e-7 for central differences.
    elements : int, optional
        How many elements of each input to check, chosen at random; all of them by default.
    directions : int
        How many random directions to check along.
    step : float
        The widest spacing of the central differences, in parts of an element's size where
        that is above 1.
    seed : int
        Of the weights, directions and choice of elements.

    Returns
    -------
    list of Result
        One for each differentiated input and method, and one for all directions and each
        method. A result is true where it passed.

    Raises
    ------
    MindrawError
        If a method or constant is unknown or there is nothing to differentiate.
    """
    return Pair(forward, backward, inputs, constants, seed).check(
        methods, tolerances, elements, directions, step
    )


class Pair:
    """A forward/backward pair at one point, with its gradient taken once."""

    def __init__(self, forward, backward, inputs, constants=(), seed=0):
        self.forward, self.seed = forward, seed
        given = {name: np.asarray(x) for name, x in inputs.items()}
        unknown = set(constants) - set(given)
        if unknown:
            raise MindrawError(
                f"there is no input {min(unknown)!r} to hold constant: "
                f"the inputs are {', '.join(given)}"
            )
        moving = [
            name
            for name, x in given.items()
            if name not in constants and np.issubdtype(x.dtype, np.floating)
        ]
        if not moving:
            raise MindrawError("there is nothing to differentiate: every input is a constant")
        self.point = {name: given[name].astype(np.float64) for name in moving}
        self.fixed = {
            name: x.astype(np.float64) if np.issubdtype(x.dtype, np.floating) else x
            for name, x in given.items()
            if name not in self.point
        }
        self.shapes = {name: x.shape for name, x in given.items()}

        outputs = forward(**self._copies(self.point))
        rng = np.random.default_rng((seed, 0))
        weights = [rng.standard_normal(np.shape(y)) for y in parts(outputs)]
        self.weights = flat(weights)
        self.gradients = backward(alike(outputs, weights), **self._copies(self.point))

    def _copies(self, point):
        return {name: np.array(x) for name, x in (point | self.fixed).items()}

    def check(self, methods, tolerances, elements, directions, step):
        """Return the results of `mindraw.gradcheck.check`."""
        tolerances = TOLERANCES | (tolerances or {})
        unknown = [name for name in (*methods, *tolerances) if name not in TOLERANCES]
        if unknown:
            raise MindrawError(
                f"there is no method {unknown[0]!r}: use {COMPLEX!r} and {CENTRAL!r}"
            )
        faults = {name: fault for name in self.point if (fault := self._fault(name))}
        results = []
        for method in methods:
            for name in self.point:
                if name in faults:
                    results.append(self._result(name, method, tolerances, fault=faults[name]))
                else:
                    results.append(self._elements(name, method, tolerances, elements, step))
            if directions and not faults:
                results.append(self._directions(method, tolerances, directions, step))
        return results

    def _fault(self, name):
        if name not in self.gradients:
            return "backward returns no gradient here"
        shape = np.shape(self.gradients[name])
        if shape != self.shapes[name]:
            return f"the gradient has shape {shape}, the input {self.shapes[name]}"
        return ""

    def _result(self, name, method, tolerances, error=np.nan, **rest):
        return Result(name, method, error, tolerances[method], shapes=self.shapes, **rest)

    def _slope(self, move, method, step):
        """Differentiate the weighted outputs along ``move(t)``, which moves a copy of the point."""
        dtype = np.complex128 if method == COMPLEX else np.float64

        def line(t):
            point = {name: x.astype(dtype) for name, x in self.point.items()}
            move(point, t)
            return flat(parts(self.forward(**(point | self._copies({})))))

        slopes = complex_step(line) if method == COMPLEX else central_difference(line, step)
        return float(np.dot(self.weights, slopes))

    def _elements(self, name, method, tolerances, elements, step):
        x, gradient = self.point[name], np.asarray(self.gradients[name])
        chosen = range(x.size)
        if elements is not None and elements < x.size:
            rng = np.random.default_rng((self.seed, 2))
            chosen = np.sort(rng.choice(x.size, size=elements, replace=False))
        indices = [tuple(map(int, np.unravel_index(k, x.shape))) for k in chosen]
        if not indices:
            return self._result(name, method, tolerances, error=0.0)
        numeric = np.empty(len(indices))
        for k, index in enumerate(indices):
            unit = max(1.0, abs(x[index]))

            def move(point, t, index=index, unit=unit):
                point[name][index] += t * unit

            numeric[k] = self._slope(move, method, step) / unit
        analytic = np.array([gradient[index] for index in indices])
        errors = relative_error(analytic, numeric, largest(gradient))
        worst = farthest(errors)
        return self._result(
            name, method, tolerances, error=float(errors[worst]), count=len(indices),
            index=indices[worst], analytic=float(analytic[worst]), numeric=float(numeric[worst]),
        )  # fmt: skip

    def _directions(self, method, tolerances, directions, step):
        seeds = [(self.seed, 1, k) for k in range(directions)]
        analytic, numeric, scale = (np.empty(directions) for _ in range(3))
        for k, seed in enumerate(seeds):
            d = direction(self.point, seed)

            def move(point, t, d=d):
                for name, x in point.items():
                    x += t * d[name]

            terms = flat([np.asarray(self.gradients[name]) * d[name] for name in d])
            analytic[k], scale[k] = np.sum(terms), np.sqrt(np.sum(np.square(terms)))
            numeric[k] = self._slope(move, method, step)
        errors = relative_error(analytic, numeric, scale)
        worst = farthest(errors)
        return self._result(
            ALL, method, tolerances, error=float(errors[worst]), count=directions,
            direction=seeds[worst], analytic=float(analytic[worst]), numeric=float(numeric[worst]),
        )  # fmt: skip


def parts(outputs):
    """Return the arrays of what a forward pass returned, in order."""
    if isinstance(outputs, dict):
        return list(outputs.values())
    return list(outputs) if isinstance(outputs, tuple | list) else [outputs]


def alike(outputs, arrays):
    """Return `arrays` arranged as `outputs` are: alone, in a tuple or by name."""
    if isinstance(outputs, dict):
        return dict(zip(outputs, arrays, strict=True))
    return tuple(arrays) if isinstance(outputs, tuple | list) else arrays[0]


def flat(arrays):
    """Return all numbers of `arrays` in one vector."""
    return np.concatenate([np.ravel(array) for array in arrays])


def largest(x):
    """Return the largest modulus among the finite numbers of `x`."""
    x = np.abs(x[np.isfinite(x)])
    return float(x.max()) if x.size else 0.0


def farthest(errors):
    """Return where `errors` is largest; NaN counts as the largest."""
    return int(np.argmax(np.where(np.isnan(errors), np.inf, errors)))
