"""The latent Gaussian of one step: parameters from h_enc, a sample, and its loss.

Equations 1 and 2 (mu = W h, s = exp(W h)), the reparameterised sample z = mu + s eps,
and the latent loss of equation 11. The constant of equation 11 is T*z/2: it moves no
gradient, but it moves the nats.

mu and log s are stacked, (2z, B); their gradients, where a process owns z of the units only, are
(2, z, B).
"""


def forward(ops, z, latent, q, h, eps, W, b):
    """[mu; log s] = W h + b; z = mu + s eps; latent += KL(N(mu, s^2) || N(0, 1)).

    Parameters
    ----------
    ops : Backend
    z : array (z, B)
        Set.
    latent : array (B,)
        The step's latent loss is added, in nats per example.
    q : array (2z, B)
        Set to mu above log s; kept for `backward`.
    h : array (h, B)
    eps : array (z, B)
        Noise from N(0, 1), fresh at every step and never rescaled.
    W : array (2z, h)
    b : array (2z, 1)
    """
    ops.xp.matmul(W, h, out=q)
    ops.kernels.gaussian_forward(z, latent, q, b, eps)


def backward(ops, dq, dz, q, z, scale):
    """From dz to the gradient at q = [mu; log s].

    What flows on is `linear.backward` of it, to h; over T steps, `linear.weight_gradient` gives the
    gradient at W, and its sum that at b.

    Parameters
    ----------
    ops : Backend
    dq : array (2z, B)
        Set.
    dz : array (z, B)
        The gradient at the sample, from the decoder. Overwritten.
    q : array (2z, B)
        Overwritten.
    z : array (z, B)
    scale : float
        The gradient at `latent`: 1/B for the mean over a minibatch.
    """
    ops.kernels.gaussian_backward(dq, dz, q, z, scale)


def log_ratio(ops, q, z, eps):
    """log p(z) - log q(z | x) of samples: what they add to the weight of an importance sample.

    sum over t and j of log N(z; 0, 1) - log N(z; mu, s^2) = (eps^2 - z^2) / 2 + log s. Its mean
    over eps is less the latent loss.

    Parameters
    ----------
    ops : Backend
    q : array (T, 2z, B)
        mu above log s.
    z : array (z, T, B)
    eps : array (T, z, B)
        The noise that made z of q.

    Returns
    -------
    array (B,)
        In nats per example.
    """
    log_s = q[:, q.shape[1] // 2 :]
    return ops.xp.sum(log_s + (eps * eps - (z * z).transpose(1, 0, 2)) / 2, axis=(0, 1))
