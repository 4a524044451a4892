"""The reconstruction loss: x under a Bernoulli with means sigmoid(canvas) (equation 9)."""


def forward(ops, loss, work, canvas, x):
    """loss = -log p(x | canvas), from the logits, summed over the pixels.

    Parameters
    ----------
    ops : Backend
    loss : array (B,)
        Set, in nats per example.
    work : array (D, B)
        Overwritten.
    canvas : array (D, B)
        Logits: c_T.
    x : array (D, B)
        Pixels in [0, 1]; grey values count as means.
    """
    ops.kernels.bernoulli_forward(loss, work, canvas, x)


def backward(ops, dcanvas, canvas, x, scale):
    """dcanvas = scale (sigmoid(canvas) - x).

    Parameters
    ----------
    ops : Backend
    dcanvas : array (D, B)
        Set.
    canvas, x : array (D, B)
    scale : float
        The gradient at `loss`: 1/B for the mean over a minibatch.
    """
    ops.kernels.bernoulli_backward(dcanvas, canvas, x, scale)
