"""The probabilities of classes and their cross-entropy."""

import numpy as np


def softmax_forward(loss, wrong, p, logits, target):
    """The probabilities of the classes from logits, and their cross-entropy with the target.

    p = exp(logits) / sum exp(logits); loss = -sum_k target_k log p_k: no overflow, no epsilon.

    Parameters
    ----------
    loss : array (B,)
        Set, in nats per example.
    wrong : array (B,)
        Set to 0 where the largest p is that of the largest target, to 1 elsewhere.
    p : array (K, B)
        Set.
    logits : array (K, B)
    target : array (K, B)
        Not negative, with sums of 1 over the classes: usually 1 for one class.
    """
    # moved by a number that moves nothing; the real part, for the complex step
    np.subtract(logits, logits.real.max(axis=0), out=p)
    np.einsum("kb,kb->b", target, p, out=loss)
    np.exp(p, out=p)
    total = p.sum(axis=0)
    p /= total
    np.subtract(np.log(total), loss, out=loss)
    np.not_equal(logits.real.argmax(axis=0), target.real.argmax(axis=0), out=wrong)


def softmax_backward(dlogits, p, target, scale):
    """Undo `softmax_forward`: dlogits = scale (p - target).

    Parameters
    ----------
    dlogits : array (K, B)
        Set.
    p, target : array (K, B)
    scale : float
        The gradient at `loss`, the same for the whole minibatch.
    """
    np.subtract(p, target, out=dlogits)
    dlogits *= scale
