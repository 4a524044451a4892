"""The sample of the latent Gaussian and its divergence from the prior."""

import numpy as np


def gaussian_forward(z, latent, q, bias, eps):
    """A sample of the latent Gaussian, and its divergence from the prior (eqs. 1, 2, 11).

    mu, log s = q + bias; z = mu + s eps; latent += KL(N(mu, s^2) || N(0, 1)).

    Parameters
    ----------
    z : array (z, B)
        Set.
    latent : array (B,)
        The latent loss in nats is added.
    q : array (2z, B) or (2, z, B)
        On entry W h; on return mu above log s.
    bias : array (2z, 1) or (2, z, 1)
    eps : array (z, B)
        Noise from N(0, 1).
    """
    q += bias
    mu, log_s = q.reshape(2, *z.shape)
    np.exp(log_s, out=z)
    # 1/2 sum_j (mu^2 + s^2 - 2 log s - 1)
    kl = np.einsum("jb,jb->b", mu, mu)
    kl += np.einsum("jb,jb->b", z, z)
    kl -= 2 * log_s.sum(axis=0)
    kl -= len(z)
    kl *= 0.5
    latent += kl
    z *= eps
    z += mu


def gaussian_backward(dq, dz, q, z, scale):
    """Undo `gaussian_forward`.

    Parameters
    ----------
    dq : array (2z, B) or (2, z, B)
        Set to the gradient at mu and log s (and so at W h and the bias).
    dz : array (z, B)
        The gradient at the sample. Overwritten.
    q : array (2z, B) or (2, z, B)
        mu above log s. Overwritten.
    z : array (z, B)
    scale : float
        The gradient at `latent`, the same for the whole minibatch.
    """
    (mu, log_s), (dmu, dlog_s) = (array.reshape(2, *z.shape) for array in (q, dq))
    # the divergence: dmu = mu, dlog s = s^2 - 1
    np.multiply(mu, scale, out=dmu)
    np.multiply(log_s, 2, out=dlog_s)
    np.expm1(dlog_s, out=dlog_s)
    dlog_s *= scale
    # the sample z = mu + s eps: dlog s += dz (z - mu)
    dmu += dz
    np.subtract(z, mu, out=mu)
    dz *= mu
    dlog_s += dz
