"""What the figures refuse, each in one sentence."""

import math

import numpy as np

from ..errors import MindrawError

#: How far beyond [0, 1] rounding may carry a grey value.
ROUNDING = 1e-5


def grey_values(name, array, axes):
    """Return an array of grey values in [0, 1] as uint8.

    Parameters
    ----------
    name : str
        What the caller's argument is called.
    array : array
        Its last three axes are C, H, W.
    axes : str
        Its axes, such as "T, n, C, H, W".

    Raises
    ------
    MindrawError
        If the shape, the type or a value is not one of a picture.
    """
    try:
        array = np.asarray(array)
    except (TypeError, ValueError) as error:
        raise MindrawError(f"{name} is not a NumPy array: {error}") from error
    if array.dtype.kind not in "fbiu":
        raise MindrawError(f"{name} holds {array.dtype}: it must hold real numbers in [0, 1]")
    if array.ndim != len(axes.split(", ")):
        raise MindrawError(f"{name} has shape {array.shape}: it must be ({axes})")
    if array.size == 0:
        raise MindrawError(f"{name} has shape {array.shape}: there is nothing in it to draw")
    if array.shape[-3] not in (1, 3):
        raise MindrawError(f"{name} has {array.shape[-3]} channels: C must be 1 (grey) or 3 (RGB)")
    low, high = float(array.min()), float(array.max())
    if not math.isfinite(low + high):
        raise MindrawError(f"{name} holds values that are not finite: draw sigmoid(c), not c")
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise MindrawError(
            f"{name} holds values from {low:.4g} to {high:.4g}: they must lie in [0, 1]"
        )
    grey = np.empty(array.shape, np.uint8)
    for target, source in zip(grey, array, strict=True):  # in pieces, to need little memory
        target[...] = np.rint(255 * np.clip(source, 0, 1, dtype=np.float32))
    return grey


def duration(name, seconds, least):
    """Refuse a time in seconds that a GIF cannot keep."""
    if not least <= seconds <= 600:
        raise MindrawError(f"{name} is {seconds}: it must be from {least} to 600 seconds")
