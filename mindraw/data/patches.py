"""Stand-ins for colour data sets that cannot be had, from the pictures at hand.

Patches of the two photographs that scikit-learn carries (a Chinese temple and a
flower), bare or with real MNIST digits blended over them. Patches to test come from
other parts of the photographs than those to train on.
"""

import numpy as np

from ..errors import MindrawError

#: The stand-in is the same for everybody, whatever the seed of a run.
KEY = 0x57A2D1
#: Pictures made at a time. It is part of what the stand-in is.
CHUNK = 2000
#: Of the columns of each photograph, what is left to train on.
TRAINING = 0.8
DIGIT = 28
#: Columns between the middles of neighbouring digits of a number.
SPACING = 16


def photographs(name, why, missing):
    """Return the photographs, or refuse where scikit-learn or Pillow is not installed.

    Parameters
    ----------
    name : str
        The data set to be stood in for.
    why : Exception
        Why it could not be had.
    missing : str
        What to do about it, for the message.

    Returns
    -------
    list of uint8 array (H, W, 3)
    """
    try:
        import PIL  # noqa: F401, sklearn needs it for these files
        from sklearn.datasets import load_sample_images
    except ImportError as error:
        raise MindrawError(
            f"{name} could not be downloaded ({why}): {missing}, or for a stand-in from "
            f"scikit-learn's photographs: pip install 'mindraw[examples]'"
        ) from error
    return load_sample_images().images


def patches(photos, part, n, side):
    """Cut n patches at random places.

    Parameters
    ----------
    photos : list of uint8 array (H, W, 3)
        All of one size.
    part : {"train", "test"}
        The parts lie in separate columns of the photographs.
    n, side : int

    Returns
    -------
    uint8 array (n, 3, side, side)
    """
    photos = np.stack(photos)
    border = int(TRAINING * photos.shape[2])
    photos = photos[:, :, :border] if part == "train" else photos[:, :, border:]
    windows = np.lib.stride_tricks.sliding_window_view(photos, (side, side), (1, 2))
    rng = _generator(part, side)
    return windows[tuple(rng.integers(windows.shape[:3], size=(n, 3)).T)]


def numbers(photos, part, n, side, digits, most_digits):
    """Blend numbers of MNIST's digits, each in one colour, over patches.

    Parameters
    ----------
    photos, part, n, side
        As for `patches`.
    digits : uint8 array (m, 784)
    most_digits : int
        Digits per number: 1 to this.

    Returns
    -------
    uint8 array (n, 3, side, side)
    """
    pictures = patches(photos, part, n, side)
    rng = _generator(part, side, most_digits)
    for start in range(0, n, CHUNK):
        chunk = pictures[start : start + CHUNK]
        ink = _ink(rng, len(chunk), side, digits, most_digits)
        ground = 0.6 * chunk.astype(np.float32) + 0.4 * chunk.mean((2, 3), keepdims=True)
        # Light ink on dark ground and dark ink on light, both in any hue.
        colour = rng.uniform(0, 90, (len(chunk), 3, 1, 1)).astype(np.float32)
        dark = ground.mean((1, 2, 3), keepdims=True) < 128
        colour = np.where(dark, 255 - colour, colour)
        chunk[...] = np.rint(ground + ink[:, None] * (colour - ground))
    return pictures


def _ink(rng, n, side, digits, most_digits):
    """Return the places of n numbers: float32 (n, side, side), 0 for ground, 1 for ink."""
    margin = DIGIT  # digits may reach over the edge
    sheet = np.zeros((n, side + 2 * margin, side + 2 * margin), np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(
        sheet, (DIGIT, DIGIT), (1, 2), writeable=True
    )
    lengths = rng.integers(1, most_digits + 1, n)
    middle = margin + (side - DIGIT) // 2
    tops = middle + rng.integers(-2, 3, n)
    lefts = middle + rng.integers(-2, 3, n) - SPACING * (lengths - 1) // 2
    for place in range(most_digits):
        rows = np.flatnonzero(place < lengths)
        which = rng.integers(len(digits), size=len(rows))
        ink = digits[which].reshape(-1, DIGIT, DIGIT) / np.float32(255)
        windows[rows, tops[rows], lefts[rows] + SPACING * place] += ink
    inside = slice(margin, margin + side)
    return np.minimum(sheet[:, inside, inside], 1)


def _generator(part, *key):
    key = (KEY, ("train", "test").index(part), *key)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))
