"""Numerical checks of gradients written by hand: of mindraw's own, and of any other pair.

``python -m mindraw gradcheck`` checks every operation of the engine. For another pair::

    import numpy as np
    from mindraw.gradcheck import check, describe

    rng = np.random.default_rng(0)
    results = check(
        forward=lambda x, W: W @ x,
        backward=lambda dy, x, W: {"x": W.T @ dy, "W": dy @ x.T},
        inputs={"x": rng.standard_normal((3, 2)), "W": rng.standard_normal((4, 3))},
    )
    assert all(results), describe(results)

A derivative is taken in two ways that share nothing. Central differences know only the
values of the forward pass, and lose some of their digits in subtracting them. The complex step
(Squire and Trapp 1998) evaluates it at x + ih and reads the derivative off the imaginary
part: nothing is subtracted, so it is right to the last bits, but the forward pass must be
analytic and carry complex numbers.
"""

from .checker import CENTRAL, COMPLEX, TOLERANCES, Result, check, describe
from .differences import central_difference, complex_step, direction
from .operations import OPERATIONS, Operation, WholeModel
from .suite import check_operation, compare_with

__all__ = [
    "CENTRAL",
    "COMPLEX",
    "OPERATIONS",
    "TOLERANCES",
    "Operation",
    "Result",
    "WholeModel",
    "central_difference",
    "check",
    "check_operation",
    "compare_with",
    "complex_step",
    "describe",
    "direction",
]
