"""The classification loss: the cross-entropy of a softmax over the classes.

Training may follow the generalized cross-entropy (Zhang and Sabuncu 2018) instead,
L_q = (1 - exp(-q loss))/q, which is (1 - p^q)/q for the target's class and the cross-entropy as
q goes to 0. It is bounded: an example counts exp(-q loss) = p^q times in the gradient.
"""


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


def backward(ops, dlogits, counts, p, target, loss, scale, q=0.0):
    """dlogits = scale exp(-q loss) (p - target).

    Parameters
    ----------
    ops : Backend
    dlogits : array (K, B)
        Set.
    counts : array (B,)
        Overwritten.
    p, target : array (K, B)
    loss : array (B,)
        From `forward`.
    scale : float
        The gradient at L_q: 1/B for the mean over a minibatch.
    q : float
        0 for the cross-entropy.
    """
    ops.kernels.softmax_backward(dlogits, p, target, scale)
    if q:
        ops.xp.multiply(loss, -q, out=counts)
        ops.xp.exp(counts, out=counts)
        dlogits *= counts
