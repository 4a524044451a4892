"""Noise from N(0, 1), from a generator that counts."""

import numpy as np

#: Pairs of normal numbers that are drawn at a time.
NOISE = 16384


def standard_normal(eps, key0, key1, number):
    """Noise from N(0, 1): a pure function of the size and dtype of `eps` and of three integers.

    Philox4x64-10 (Salmon et al. 2011) turns a count into random bits, so that what is drawn does
    not depend on what was drawn before; two uniform numbers u and v of as many bits as eps has
    make two normal ones, sqrt(-2 log u) cos(2 pi v) and sin(2 pi v) (Box and Muller 1958).

    Parameters
    ----------
    eps : array
        Set. Real and contiguous.
    key0, key1, number : int
        From 0 to 2^63 - 1.
    """
    flat = eps.reshape(-1)
    half = (flat.size + 1) // 2
    bits, unit = np.dtype(f"u{flat.itemsize}"), flat.dtype.type(0.5) ** (8 * flat.itemsize)
    generator = np.random.Philox(key=np.array([key0, key1], np.uint64), counter=number << 128)
    for start in range(0, half, NOISE):
        n = min(NOISE, half - start)
        words = generator.random_raw(-(-n * 2 * flat.itemsize // 8))
        u, v = words.view(bits)[: 2 * n].reshape(n, 2).T.astype(flat.dtype, order="C")
        u += 0.5
        u *= unit
        v *= unit
        v *= flat.dtype.type(2 * np.pi)
        np.log(u, out=u)
        u *= -2
        np.sqrt(u, out=u)
        first = flat[start : start + n]
        second = flat[half + start : half + start + n]
        np.cos(v, out=first)
        first *= u
        np.sin(v[: second.size], out=second)
        second *= u[: second.size]
