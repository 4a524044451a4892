"""The norm of the flat gradient, Adam, and weight decay."""

import numpy as np

#: Elements per block of the optimizer: few calls, and a block stays in the caches.
BLOCK = 65536


def gradient_norm(state, gradient, count):
    """Measure the flat gradient and note the first update at which it is not finite.

    Parameters
    ----------
    state : array (2,)
        state[0] is set to the Euclidean norm; state[1] is 0 until the first update with
        a norm that is not finite, then the number of that update.
    gradient : array (P,)
    count : int
        1 at the first update.
    """
    total = 0.0
    with np.errstate(over="ignore"):
        for start in range(0, gradient.size, BLOCK):
            block = gradient[start : start + BLOCK]
            total += float(np.dot(block, block))
    if not np.isfinite(total):  # the square of a large float32 may be too large for one
        flat = gradient.astype(np.float64)
        total = float(np.dot(flat, flat))
    state[0] = np.sqrt(total)
    if state[1] == 0 and not np.isfinite(state[0]):
        state[1] = count


def adam(theta, m, v, work, gradient, state, clip, lr, beta1, beta2, eps, count):
    """One step of Adam on a range of the flat vector, after clipping by the global norm.

    Once `state` notes an update that was not finite, nothing changes any more.

    Parameters
    ----------
    theta, m, v : array (P,)
        Parameters, first and second moment; updated.
    work : array (min(P, BLOCK),)
        Overwritten.
    gradient : array (P,)
        Counts clip / max(norm, clip) times; itself not changed.
    state : array (2,)
        From `gradient_norm`, over all parameters that are clipped together with these.
    clip, lr, beta1, beta2, eps : float
    count : int
        1 at the first update.
    """
    if state[1] != 0:
        return
    scale = clip / max(float(state[0]), clip)
    rate = lr / (1 - beta1**count)
    root = (1 - beta2**count) ** -0.5
    for start in range(0, theta.size, BLOCK):
        block = slice(start, start + BLOCK)
        g, m_, v_ = gradient[block], m[block], v[block]
        t = work[: g.size]
        # m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
        np.multiply(g, scale * (1 - beta1), out=t)
        m_ *= beta1
        m_ += t
        np.multiply(g, scale, out=t)
        t *= t
        t *= 1 - beta2
        v_ *= beta2
        v_ += t
        # theta -= lr m^ / (sqrt(v^) + eps)
        np.sqrt(v_, out=t)
        t *= root
        t += eps
        np.divide(m_, t, out=t)
        t *= rate
        theta[block] -= t


def decay(theta, state, part):
    """Let a range of the flat vector shrink.

    Parameters
    ----------
    theta : array (P,)
        1 - part of it is left, unless `state` notes an update that was not finite.
    state : array (2,)
        From `gradient_norm`.
    part : float
    """
    if state[1] == 0:
        theta *= 1 - part
