"""The classification loss: the cross-entropy of a softmax over the classes."""


def forward(ops, loss, wrong, p, logits, target):
    """p = softmax(logits); loss = -sum_k target_k log p_k.

    Parameters
    ----------
    ops : Backend
    loss : array (B,)
        Set, in nats per example.
    wrong : array (B,)
        Set to 1 where the most probable class is not the target's, else to 0.
    p : array (K, B)
        Set to the probabilities of the K classes; kept for `backward`.
    logits : array (K, B)
    target : array (K, B)
        The target's probabilities: 1 for its class, 0 for the others.
    """
    ops.kernels.softmax_forward(loss, wrong, p, logits, target)


def backward(ops, dlogits, p, target, scale):
    """dlogits = scale (p - target).

    Parameters
    ----------
    ops : Backend
    dlogits : array (K, B)
        Set.
    p, target : array (K, B)
    scale : float
        The gradient at `loss`: 1/B for the mean over a minibatch.
    """
    ops.kernels.softmax_backward(dlogits, p, target, scale)
