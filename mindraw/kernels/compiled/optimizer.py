"""Adam, one pass over the flat vector."""

import math

from numba import njit

from .elementary import COMPILED


def adam(theta, m, v, work, gradient, state, clip, lr, beta1, beta2, eps, count):
    """The same as `reference.adam`, but that it needs no `work`."""
    if state[1] != 0:
        return
    scale = clip / max(float(state[0]), clip)
    rate = lr / (1 - beta1**count)
    root = (1 - beta2**count) ** -0.5
    numbers = (scale, rate, root, beta1, 1 - beta1, beta2, 1 - beta2, eps)
    _adam(theta, m, v, gradient, *map(theta.dtype.type, numbers))


@njit(**COMPILED)
def _adam(theta, m, v, gradient, scale, rate, root, beta1, rest1, beta2, rest2, eps):
    for k in range(theta.size):
        g = scale * gradient[k]
        m[k] = beta1 * m[k] + rest1 * g
        v[k] = beta2 * v[k] + rest2 * (g * g)
        theta[k] -= rate * m[k] / (root * math.sqrt(v[k]) + eps)
