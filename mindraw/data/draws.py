"""Random numbers addressed by picture: any minibatch is drawn at once, in any order."""

import numpy as np


def words(key, indices, count):
    """Return random words that depend on `key` and each index alone.

    The counter of picture i and word j is i * count + j; splitmix64's finaliser turns
    counters into words.

    Parameters
    ----------
    key : tuple of int
        Not negative; other keys give unrelated words.
    indices : int array (B,)
        Not negative.
    count : int
        Words per picture.

    Returns
    -------
    uint64 array (B, count)
    """
    start = np.random.SeedSequence(key).generate_state(1, np.uint64)
    counters = np.asarray(indices, np.uint64)[:, None] * np.uint64(count)
    x = start + (counters + np.arange(1, count + 1, dtype=np.uint64)) * 0x9E3779B97F4A7C15
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB
    return x ^ (x >> 31)


def below(words, n):
    """Turn words into integers of 0 to n - 1; no value is likelier by more than n / 2**32."""
    return ((words >> np.uint64(32)) * np.uint64(n) >> np.uint64(32)).astype(np.int64)


def indices_within(indices, size):
    """Return `indices` as an int64 array (B,), or raise IndexError as an array would."""
    indices = np.asarray(indices, np.int64)
    if len(indices) and not 0 <= indices.min() <= indices.max() < size:
        raise IndexError(f"picture {indices.min()} or {indices.max()} of {size} does not exist")
    return indices


def chosen(key, n, count):
    """Return `count` indices of 0 to n - 1 that `key` draws, and the others, both ascending."""
    order = np.argsort(words(key, np.arange(n), 1)[:, 0], kind="stable")
    return np.sort(order[:count]), np.sort(order[count:])
