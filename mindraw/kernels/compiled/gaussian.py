"""The sample of the latent Gaussian and its divergence from the prior, one pass each way."""

import numpy as np
from numba import njit

from .elementary import COMPILED, exp, refuse_apart, row, tanh


def gaussian_forward(z, latent, q, bias, eps):
    """The same as `reference.gaussian_forward`."""
    q, bias = q.reshape(2, *z.shape), bias.reshape(2, len(z))
    refuse_apart(z, q, eps)
    _forward(z, latent, q, bias, eps)


def gaussian_backward(dq, dz, q, z, scale):
    """The same as `reference.gaussian_backward`, but that dz and q stay as they are."""
    dq, q = (each.reshape(2, *z.shape) for each in (dq, q))
    refuse_apart(dq, dz, q, z)
    _backward(dq, dz, q, z, z.dtype.type(scale))


@njit(**COMPILED)
def _forward(z, latent, q, bias, eps):
    n, B = z.shape
    half, one, two = z.dtype.type(0.5), z.dtype.type(1), z.dtype.type(2)
    loss = np.zeros(B, z.dtype)
    for j in range(n):
        mu, log_s, sample, noise = row(q[0], j), row(q[1], j), row(z, j), row(eps, j)
        mu += bias[0, j]
        log_s += bias[1, j]
        for b in range(B):
            s = exp(log_s[b])
            loss[b] += mu[b] * mu[b] + s * s - two * log_s[b] - one
            sample[b] = mu[b] + s * noise[b]
    for b in range(B):
        latent[b] += half * loss[b]


@njit(**COMPILED)
def _backward(dq, dz, q, z, scale):
    n, B = z.shape
    one, two = z.dtype.type(1), z.dtype.type(2)
    for j in range(n):
        mu, log_s, sample, flow = row(q[0], j), row(q[1], j), row(z, j), row(dz, j)
        dmu, dlog_s = row(dq[0], j), row(dq[1], j)
        for b in range(B):
            dmu[b] = flow[b] + scale * mu[b]
        for b in range(B):
            # s^2 - 1 = tanh(log s) (s^2 + 1): near the prior, s = 1, nothing cancels
            y = tanh(log_s[b]) * (exp(two * log_s[b]) + one)
            dlog_s[b] = flow[b] * (sample[b] - mu[b]) + scale * y
