"""The gates and the state of an LSTM, one pass over memory each way."""

import numpy as np
from numba import njit

from .elementary import COMPILED, refuse_apart, row, tanh


def lstm_forward(h, cell, gates, constant, cell_prev):
    """The same as `reference.lstm_forward`."""
    gates, constant = (each.reshape(4, len(h), each.shape[-1]) for each in (gates, constant))
    refuse_apart(h, cell, gates, constant, cell_prev)
    _forward(h, cell, gates, constant, cell_prev)


def lstm_backward(dgates, dcell, gates, dh, dh_u, dh_v, cell, cell_prev):
    """The same as `reference.lstm_backward`, but that gates, dh and cell stay as they are."""
    dgates, gates = (each.reshape(4, *cell.shape) for each in (dgates, gates))
    u, v = (dh if more is None else more for more in (dh_u, dh_v))  # a place for what is not
    refuse_apart(dgates, dcell, gates, dh, u, v, cell, cell_prev)
    there = (dh_u is not None, dh_v is not None)
    _backward(dgates, dcell, gates, dh, u, v, *there, cell, cell_prev)


@njit(**COMPILED)
def _forward(h, cell, gates, constant, cell_prev):
    n, B = cell.shape
    half, one_for_all = gates.dtype.type(0.5), constant.shape[2] == 1
    for j in range(n):
        i, f, o, g = row(gates[0], j), row(gates[1], j), row(gates[2], j), row(gates[3], j)
        before, now, out = row(cell_prev, j), row(cell, j), row(h, j)
        for k, gate in enumerate((i, f, o, g)):
            if one_for_all:
                gate += constant[k, j, 0]
            else:
                gate += row(constant[k], j)
        for gate in (i, f, o):
            for b in range(B):
                gate[b] = tanh(gate[b] * half) * half + half
        for b in range(B):
            g[b] = tanh(g[b])
            c = f[b] * before[b] + i[b] * g[b]
            now[b] = c
            out[b] = o[b] * tanh(c)


@njit(**COMPILED)
def _backward(dgates, dcell, gates, dh, dh_u, dh_v, has_u, has_v, cell, cell_prev):
    n, B = cell.shape
    one = gates.dtype.type(1)
    # short, and so in the cache: what is written far apart is copied there in the end
    flow, da = np.empty(B, gates.dtype), np.empty((4, B), gates.dtype)
    di, df, do, dg = da[0], da[1], da[2], da[3]
    for j in range(n):
        i, f, o, g = row(gates[0], j), row(gates[1], j), row(gates[2], j), row(gates[3], j)
        before, now, dc = row(cell_prev, j), row(cell, j), row(dcell, j)
        flow[:] = row(dh, j)
        if has_u:
            flow += row(dh_u, j)
        if has_v:
            flow += row(dh_v, j)
        # h = o t, t = tanh(cell)
        for b in range(B):
            t = tanh(now[b])
            do[b] = flow[b] * t * o[b] * (one - o[b])
            flow[b] = flow[b] * o[b] * (one - t * t)
        # cell = f cell_prev + i g
        for b in range(B):
            d = flow[b] + dc[b]
            di[b] = d * g[b] * i[b] * (one - i[b])
            df[b] = d * before[b] * f[b] * (one - f[b])
            dg[b] = d * i[b] * (one - g[b] * g[b])
            dc[b] = d * f[b]
        for k in range(4):
            row(dgates[k], j)[:] = da[k]
