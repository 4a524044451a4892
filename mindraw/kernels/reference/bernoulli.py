"""The reconstruction loss, from logits."""

import numpy as np

from .canvas import sigmoid


def bernoulli_forward(loss, work, logits, x):
    """The reconstruction loss -log p(x | canvas) from logits (eq. 9).

    sum over pixels of max(c, 0) - x c + log(1 + exp(-|c|)): no overflow, no epsilon.

    Parameters
    ----------
    loss : array (B,)
        Set, in nats per example.
    work : array (D, B)
        Overwritten.
    logits, x : array (D, B)
    """
    np.negative(logits, out=work)
    np.minimum(work, logits, out=work)  # -|c|, and analytic: complex numbers order by real part
    np.exp(work, out=work)
    np.log1p(work, out=work)
    work.sum(axis=0, out=loss)
    np.maximum(logits, 0, out=work)
    loss += work.sum(axis=0)
    np.multiply(x, logits, out=work)
    loss -= work.sum(axis=0)


def bernoulli_backward(dlogits, logits, x, scale):
    """Undo `bernoulli_forward`: dlogits = scale (sigmoid(c) - x).

    Parameters
    ----------
    dlogits : array (D, B)
        Set.
    logits, x : array (D, B)
    scale : float
        The gradient at `loss`, the same for the whole minibatch.
    """
    sigmoid(dlogits, logits)
    dlogits -= x
    dlogits *= scale
