"""The classifier of glimpses in JAX: gradients by `jax.grad`, for the training step of `jax_draw`.

Pictures are (B, C, H, W). The parameters are a dictionary under mindraw's names and shapes, with
biases as vectors (n,) inside.
"""

from __future__ import annotations

import math

import jax
from jax import lax
from jax import numpy as jnp

from .jax_draw import filterbank, lstm, read


def losses(p: dict[str, jax.Array], x, labels, T: int, unroll: int | bool = 1):
    """Cross-entropy (B,) in nats, from x (B, C, H, W) and classes (B,); in a tuple."""
    B, C, H, W = x.shape
    n = p["classify.W"].shape[1]
    N = math.isqrt((p["encoder.W_u"].shape[1] - n) // C)

    def look(state, where):
        h, cell = state
        r = read(x, *filterbank(where, N, H, W))
        return lstm(jnp.concatenate([r, h], 1) @ p["encoder.W_u"].T + p["encoder.b"], cell)

    def step(state, _):
        return look(state, state[0] @ p["read.W"].T + p["read.b"]), None

    h = jnp.broadcast_to(p.get("initial.h", jnp.zeros(n, x.dtype)), (B, n))
    state = h, jnp.zeros((B, n), x.dtype)
    if "initial.glimpse" in p:
        state = look(state, jnp.broadcast_to(p["initial.glimpse"], (B, 5)))
        T -= 1
    (h, _), _ = lax.scan(step, state, None, length=T, unroll=unroll)
    scores = jax.nn.log_softmax(h @ p["classify.W"].T + p["classify.b"])
    return (-jnp.take_along_axis(scores, labels[:, None], 1)[:, 0],)
