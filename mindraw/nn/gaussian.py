"""The latent Gaussian of one step: parameters from h_enc, a sample, and its loss.

Equations 1 and 2 (mu = W h, s = exp(W h)), the reparameterised sample z = mu + s eps,
and the latent loss of equation 11. The constant of equation 11 is T*z/2: it moves no
gradient, but it moves the nats.
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


def backward(ops, dh, dq, dz, q, z, scale, W):
    """Undo `forward`.

    Parameters
    ----------
    ops : Backend
    dh : array (h, B)
        Set.
    dq : array (2z, B)
        Set to the gradient at [mu; log s]. Over T steps it gives those at W and b.
    dz : array (z, B)
        The gradient at the sample, from the decoder. Overwritten.
    q : array (2z, B)
        Overwritten.
    z : array (z, B)
    scale : float
        The gradient at `latent`: 1/B for the mean over a minibatch.
    W : array (2z, h)
    """
    ops.kernels.gaussian_backward(dq, dz, q, z, scale)
    ops.xp.matmul(W.T, dq, out=dh)
