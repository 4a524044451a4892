"""Run the checker on operations of the engine, on any backend."""

from dataclasses import replace

import numpy as np

from ..backend import get_backend
from ..errors import MindrawError
from .checker import CENTRAL, COMPLEX, Result, check, farthest, largest, relative_error

NUMPY = "numpy"
#: The largest relative error between the float64 gradients of two backends.
BACKENDS_AGREE = 1e-10


def check_operation(operation, ops=None, *, inputs=None, seed=0, directions=20):
    """Check one operation on a backend.

    With NumPy, by the complex step and by central differences. On any other backend by
    central differences, and every gradient against NumPy's.

    Parameters
    ----------
    operation : Operation or WholeModel
    ops : Backend, optional
        In float64; NumPy by default.
    inputs : dict of str to numpy.ndarray, optional
        Where to check, in place of the operation's own sample.
    seed : int
    directions : int

    Returns
    -------
    list of Result

    Raises
    ------
    MindrawError
        If the backend is not in float64.
    """
    ops = ops or get_backend("numpy", "float64")
    if ops.dtype != np.float64:
        raise MindrawError(f"gradients are checked in float64, not in {ops.dtype}")
    inputs = operation.sample(seed) if inputs is None else inputs
    forward, backward = operation.on(ops)
    how = dict(
        constants=operation.constants, tolerances=dict(operation.tolerances),
        elements=operation.elements, directions=directions, seed=seed,
    )  # fmt: skip
    if ops.name != NUMPY:
        results = check(forward, backward, inputs, methods=(CENTRAL,), **how)
        return results + compare_with(
            operation, get_backend("numpy", "float64"), ops, inputs=inputs, seed=seed
        )
    complex_forward, _ = operation.on(get_backend("numpy", "complex128"))

    def either(**given):
        is_complex = any(np.iscomplexobj(x) for x in given.values())
        return (complex_forward if is_complex else forward)(**given)

    return check(either, backward, inputs, methods=(COMPLEX, CENTRAL), **how)


def compare_with(operation, reference, ops, *, inputs=None, seed=0):
    """Compare an operation's gradients on a backend with those on another.

    Parameters
    ----------
    operation : Operation or WholeModel
    reference, ops : Backend
        Both in float64.
    inputs : dict of str to numpy.ndarray, optional
    seed : int

    Returns
    -------
    list of Result
        One for each gradient; its `method` is the name of the reference, and its `numeric`
        what the reference gave.
    """
    inputs = operation.sample(seed) if inputs is None else inputs
    shapes = {name: x.shape for name, x in inputs.items()}
    rng = np.random.default_rng((seed, 0))
    outputs = operation.on(reference)[0](**inputs)
    douts = {name: rng.standard_normal(np.shape(y)) for name, y in outputs.items()}
    wanted, found = (operation.on(each)[1](douts, **inputs) for each in (reference, ops))
    results = []
    for name, want in wanted.items():
        result = Result(name, reference.name, 0.0, BACKENDS_AGREE, count=want.size, shapes=shapes)
        if want.size:
            errors = relative_error(found[name], want, largest(want))
            worst = np.unravel_index(farthest(errors.ravel()), want.shape)
            result = replace(
                result, error=float(errors[worst]), index=tuple(map(int, worst)),
                analytic=float(found[name][worst]), numeric=float(want[worst]),
            )  # fmt: skip
        results.append(result)
    return results
