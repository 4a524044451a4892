"""DRAW in JAX, with and without attention: gradients by `jax.grad`, the whole step one jit.

Written from the paper and sharing no code with mindraw. Images are (B, C, H, W). The parameters are
a dictionary under mindraw's names and shapes, with biases as vectors (n,) inside. Double precision
needs `jax.config.update("jax_enable_x64", True)` before the first array.
"""

from __future__ import annotations

import math
from functools import partial

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp


def from_mindraw(
    params: dict[str, np.ndarray], dtype=jnp.float32, project_once: bool = True
) -> dict[str, jax.Array]:
    """mindraw's parameters as JAX arrays, columns (n, 1) as vectors (n,).

    Without `project_once`, the encoder's weights for x join the others: it then reads
    [x, x_hat, h_enc, h_dec] at every step, as the paper writes it.
    """
    if "encoder.W_x" in params and not project_once:
        params = dict(params)
        both = params.pop("encoder.W_x"), params["encoder.W_u"]
        params["encoder.W_u"] = np.hstack(both)
    return {k: jnp.asarray(v if ".W" in k else v[:, 0], dtype) for k, v in params.items()}


def to_mindraw(params: dict[str, jax.Array]) -> dict[str, np.ndarray]:
    """The inverse of `from_mindraw`."""
    found = {k: np.array(v if ".W" in k else v[:, None]) for k, v in params.items()}
    if "read.W" not in found and "encoder.W_x" not in found:
        both, D = found["encoder.W_u"], len(found["write.W"])
        found["encoder.W_x"], found["encoder.W_u"] = both[:, :D], both[:, D:]
    return found


def lstm(a, cell):
    """One LSTM step from a (B, 4h), gates in the order i, f, o, g; returns h and cell (B, h)."""
    h = cell.shape[1]
    i, f, o = jnp.split(jax.nn.sigmoid(a[:, : 3 * h]), 3, axis=1)
    cell = f * cell + i * jnp.tanh(a[:, 3 * h :])
    return o * jnp.tanh(cell), cell


def filterbank(p, N: int, H: int, W: int):
    """F_Y (B, N, H), F_X (B, N, W) and gamma (B, 1), from p (B, 5), pixels counted from 0.

    p holds gx~, gy~, log s2, log d~, log gamma. Every filter sums to 1 over the pixels.
    """
    gx, gy, log_s2, log_d, log_gamma = jnp.split(p, 5, axis=1)
    stride = (max(H, W) - 1) / max(N - 1, 1) * jnp.exp(log_d)
    steps = stride * (jnp.arange(N, dtype=p.dtype) - (N - 1) / 2)
    half_precision = 0.5 * jnp.exp(-log_s2)[:, :, None]

    def filters(g, size: int):
        mu = (size + 1) / 2 * (g + 1) - 1 + steps
        away = jnp.arange(size, dtype=p.dtype) - mu[:, :, None]
        return jax.nn.softmax(-half_precision * away**2, axis=2)

    return filters(gy, H), filters(gx, W), jnp.exp(log_gamma)


def read(image, F_Y, F_X, gamma):
    """The glimpse gamma F_Y image F_X^T of image (B, C, H, W), flat from (B, N, C, N)."""
    half = jnp.einsum("bchw,bmw->bchm", image, F_X)
    return jnp.einsum("bnh,bchm->bncm", F_Y, half).reshape(len(image), -1) * gamma


def write(w, F_Y, F_X, gamma):
    """The stroke w, flat from (B, N, C, N), on an image (B, C, H, W): F_Y^T w F_X / gamma."""
    B, N, _ = F_Y.shape
    half = jnp.einsum("bnh,bncm->bchm", F_Y, (w / gamma).reshape(B, N, -1, N))
    return jnp.einsum("bchm,bmw->bchw", half, F_X)


def losses(p: dict[str, jax.Array], x, eps, unroll: int | bool = 1):
    """Reconstruction (B,) and latent loss (B,) in nats, from x (B, C, H, W) and eps (T, B, z)."""
    B, C, H, W = x.shape
    (written, h_dec), h_enc = p["write.W"].shape, p["latent.W"].shape[1]

    def initial(name: str, *shape: int):
        state = p[name].reshape(shape) if name in p else jnp.zeros(shape, x.dtype)
        return jnp.broadcast_to(state, (B, *shape))

    if attention := "read.W" in p:
        read_n = math.isqrt((p["encoder.W_u"].shape[1] - h_enc - h_dec) // (2 * C))
        write_n = math.isqrt(written // C)
        constant = p["encoder.b"]
    elif project_once := "encoder.W_x" in p:
        constant = x.reshape(B, -1) @ p["encoder.W_x"].T + p["encoder.b"]
    else:
        constant = p["encoder.b"]

    def step(carry, eps_t):
        c, h_enc, cell_enc, h_dec, cell_dec = carry
        x_hat = x - jax.nn.sigmoid(c)
        if attention:
            filters = filterbank(h_dec @ p["read.W"].T + p["read.b"], read_n, H, W)
            r = [read(x, *filters), read(x_hat, *filters)]
        else:
            r = [x_hat.reshape(B, -1)] if project_once else [x.reshape(B, -1), x_hat.reshape(B, -1)]
        u = jnp.concatenate([*r, h_enc, h_dec], 1)
        h_enc, cell_enc = lstm(u @ p["encoder.W_u"].T + constant, cell_enc)
        mu, log_sigma = jnp.split(h_enc @ p["latent.W"].T + p["latent.b"], 2, axis=1)
        sigma = jnp.exp(log_sigma)
        v = jnp.concatenate([h_dec, mu + sigma * eps_t], 1)
        h_dec, cell_dec = lstm(v @ p["decoder.W_v"].T + p["decoder.b"], cell_dec)
        w = h_dec @ p["write.W"].T + p["write.b"]
        if attention:
            w = write(w, *filterbank(h_dec @ p["attend.W"].T + p["attend.b"], write_n, H, W))
        latent = 0.5 * (mu**2 + sigma**2 - 2 * log_sigma - 1).sum(1)
        return (c + w.reshape(x.shape), h_enc, cell_enc, h_dec, cell_dec), latent

    start = (
        initial("initial.c", C, H, W),
        initial("initial.h_enc", h_enc),
        jnp.zeros((B, h_enc), x.dtype),
        initial("initial.h_dec", h_dec),
        jnp.zeros((B, h_dec), x.dtype),
    )
    (c, *_), latent = lax.scan(step, start, eps, unroll=unroll)
    reconstruction = jnp.maximum(c, 0) - x * c + jnp.log1p(jnp.exp(-jnp.abs(c)))
    return reconstruction.sum((1, 2, 3)), latent.sum(0)


def loss_and_gradient(p, x, other, unroll: int | bool = 1, losses=losses):
    """The parts of `losses` per example, and the gradient of the mean of their sum."""

    def objective(p):
        each = losses(p, x, other, unroll=unroll)
        return sum(each).mean(), each

    (_, each), gradient = jax.value_and_grad(objective, has_aux=True)(p)
    return each, gradient


def adam_state(p):
    """First and second moments, zero, and the number of updates, 0."""
    zeros = partial(jax.tree.map, jnp.zeros_like)
    return zeros(p), zeros(p), jnp.zeros((), jnp.int32)


@partial(jax.jit, static_argnames=("unroll", "losses"), donate_argnums=(0, 1))
def train_step(p, state, x, other, lr=1e-3, clip=5.0, unroll: int | bool = 1, losses=losses):
    """One update: forward, backward, clipping by global norm, Adam; one compiled program.

    `losses(p, x, other, unroll=unroll)` is what is minimised, the noise of DRAW being the other.

    Returns
    -------
    p, state
        The new parameters and Adam state; the old ones are donated, so their buffers are reused.
    losses : tuple of (B,)
        Before the update, nats.
    """
    beta1, beta2, tiny = 0.5, 0.999, 1e-8
    each, g = loss_and_gradient(p, x, other, unroll, losses)
    norm = jnp.sqrt(sum(jnp.vdot(a, a) for a in jax.tree.leaves(g)))
    g = jax.tree.map(lambda a: a * (clip / jnp.maximum(norm, clip)), g)
    m, v, count = state
    count = count + 1
    m = jax.tree.map(lambda m, a: beta1 * m + (1 - beta1) * a, m, g)
    v = jax.tree.map(lambda v, a: beta2 * v + (1 - beta2) * a * a, v, g)
    rate, correct = lr / (1 - beta1**count), 1 - beta2**count
    p = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v / correct) + tiny), p, m, v)
    return p, (m, v, count), each
