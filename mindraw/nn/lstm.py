"""One step of an LSTM (Hochreiter and Schmidhuber 1997, with forget gates).

a = W u + constant, where u stacks everything that changes from step to step, the
previous h among it, and `constant` holds what does not: the bias and, where there is
one, the product with a constant input, computed once per minibatch.

The gates i, f, o and g are stacked, (4h, B); their gradients, where a process owns h of the units
only, are (4, h, B).
"""

from . import linear


def forward(ops, h, cell, gates, u, constant, cell_prev, W):
    """i, f, o = sigmoid(a), g = tanh(a); cell = f cell_prev + i g; h = o tanh(cell).

    Parameters
    ----------
    ops : Backend
    h, cell : array (h, B)
        Set; `cell` is kept for `backward`.
    gates : array (4h, B)
        Set to i, f, o, g, one below the other; kept for `backward`.
    u : array (n, B)
    constant : array (4h, B) or (4h, 1)
    cell_prev : array (h, B)
    W : array (4h, n)
    """
    if ops.short and ops.short.lstm_forward(h, cell, gates, constant, cell_prev, W, u):
        return
    ops.xp.matmul(W, u, out=gates)
    ops.kernels.lstm_forward(h, cell, gates, constant, cell_prev)


def backward(ops, dgates, dcell, gates, dh, dh_u, dh_v, cell, cell_prev, dy, W):
    """From dcell, and the gradient at h, to that at a = W u + constant.

    What flows on is `linear.backward` of it, to u; over T steps, `linear.weight_gradient` gives the
    gradient at W, and its sum that at `constant`.

    Parameters
    ----------
    ops : Backend
    dgates : array (4h, B)
        Set.
    dcell : array (h, B)
        On entry the gradient at `cell` from the next step, on return at `cell_prev`.
    gates : array (4h, B)
        Overwritten.
    dh : array (h, B)
        Room for W^T dy.
    dh_u, dh_v : array (h, B) or None
        What else flows into h, from the inputs of which it is a part; it counts with dh.
    cell : array (h, B)
        Overwritten.
    cell_prev : array (h, B)
    dy : array (m, B) or None
        The gradient at y = W h, which the step gives; None where it gives none.
    W : array (m, h) or None
        Of y, not of the LSTM.
    """
    flows = dh_u, dh_v, cell, cell_prev
    if dy is None:
        dh.fill(0)
    elif ops.short and ops.short.lstm_backward(dgates, dcell, gates, *flows, W, dy):
        return
    else:
        linear.backward(ops, dh, dy, W)
    ops.kernels.lstm_backward(dgates, dcell, gates, dh, *flows)
