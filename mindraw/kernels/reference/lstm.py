"""The gates and the state of an LSTM."""

import numpy as np


def lstm_forward(h, cell, gates, constant, cell_prev):
    """The gates and the state of an LSTM, from the products W u.

    i, f, o = sigmoid(.), g = tanh(.), cell = f cell_prev + i g, h = o tanh(cell).

    Parameters
    ----------
    h, cell : array (h, B)
        Set.
    gates : array (4h, B) or (4, h, B)
        On entry W u; on return i, f, o, g, one below the other.
    constant : array like gates, or with one column
        What is added to W u at every step: a bias, or a bias and a constant input.
    cell_prev : array (h, B)
    """
    gates += constant
    gates = gates.reshape(4, *cell.shape)
    (i, f, o, g), ifo = gates, gates[:3]
    ifo *= 0.5
    np.tanh(gates, out=gates)
    ifo *= 0.5
    ifo += 0.5
    work = i * g
    np.multiply(f, cell_prev, out=cell)
    cell += work
    np.tanh(cell, out=work)
    np.multiply(o, work, out=h)


def lstm_backward(dgates, dcell, gates, dh, dh_u, dh_v, cell, cell_prev):
    """Undo `lstm_forward`.

    Parameters
    ----------
    dgates : array (4h, B) or (4, h, B)
        Set to the gradient at W u (and at `constant`).
    dcell : array (h, B)
        On entry the gradient at `cell` from the next step; on return at `cell_prev`.
    gates : array (4h, B) or (4, h, B)
        i, f, o, g. Overwritten.
    dh, cell : array (h, B)
        Overwritten.
    dh_u, dh_v : array (h, B) or None
        What else flows into h, and counts with dh.
    cell_prev : array (h, B)
    """
    for more in (dh_u, dh_v):
        if more is not None:
            dh += more
    gates = gates.reshape(4, *cell.shape)
    i, f, o, g = gates
    # In place, and copied once at the end: the rows of dgates may lie far apart.
    # h = o t, t = tanh(cell):  do = dh t;  dcell += dh o (1 - t^2), in two parts
    t = np.tanh(cell, out=cell)
    dh *= o
    dcell += dh
    dh *= t
    t *= dh
    dcell -= t
    # sigmoid' = s (1 - s), of which s is in there already
    np.subtract(1, o, out=o)
    o *= dh
    # cell = f cell_prev + i g:  di = dcell g;  dg = dcell i (1 - g^2), in two parts
    di, dg = dh, t
    np.multiply(dcell, i, out=dg)
    np.multiply(dg, g, out=di)
    g *= di
    np.subtract(dg, g, out=g)
    np.subtract(1, i, out=i)
    i *= di
    # df = dcell cell_prev
    dcell *= f
    np.subtract(1, f, out=f)
    f *= dcell
    f *= cell_prev
    np.copyto(dgates.reshape(gates.shape), gates)
