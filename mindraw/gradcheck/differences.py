"""Derivatives of a function of one variable, and the directions that make one of many."""

import numpy as np

#: The imaginary part of the complex step: its square vanishes beside any number.
H_COMPLEX = 1e-20
#: The widest spacing of the central differences, and how often it is halved.
H_CENTRAL, HALVINGS = 2.0**-4, 4


def complex_step(line, h=H_COMPLEX):
    """Differentiate at 0 by one evaluation off the real axis: Im line(ih) / h.

    Parameters
    ----------
    line : callable
        Takes a complex number, returns an array; analytic.
    h : float

    Returns
    -------
    numpy.ndarray
        As exact as the evaluation itself: there is neither truncation nor cancellation.
    """
    return np.imag(line(1j * h)) / h


def central_difference(line, h=H_CENTRAL):
    """Differentiate at 0 by central differences, extrapolated to a spacing of 0 (Ridders 1982).

    (line(h) - line(-h)) / 2h is taken at spacings from `h` to h/16, and Richardson's
    extrapolation removes the errors in h^2, h^4, ... one after the other. Wide spacings
    suffer from truncation and narrow ones from rounding: for each number of the result,
    that extrapolation is taken which agrees best with its neighbours.

    Parameters
    ----------
    line : callable
        Takes a real number, returns an array.
    h : float

    Returns
    -------
    numpy.ndarray
    """
    finer, best, uncertainty = [], None, None
    for level in range(HALVINGS + 1):
        width = h / 2**level
        coarser, finer = finer, [np.asarray((line(width) - line(-width)) / (2 * width))]
        if best is None:
            best, uncertainty = finer[0], np.full(finer[0].shape, np.inf)
        for order, before in enumerate(coarser, 1):
            now = finer[-1] + (finer[-1] - before) / (4**order - 1)
            doubt = np.maximum(np.abs(now - finer[-1]), np.abs(now - before))
            better = doubt < uncertainty
            best, uncertainty = np.where(better, now, best), np.where(better, doubt, uncertainty)
            finer.append(now)
    return best


def direction(inputs, seed):
    """Draw a random direction in the space of all `inputs` together, of length about 1.

    Parameters
    ----------
    inputs : dict of str to numpy.ndarray
        Where to start from: each input moves in proportion to its size where that is above 1.
    seed : int or tuple of int
        One seed gives one direction; a `Result` holds that of the worst one.

    Returns
    -------
    dict of str to numpy.ndarray
    """
    rng = np.random.default_rng(seed)
    length = np.sqrt(max(1, sum(x.size for x in inputs.values())))
    return {
        name: rng.standard_normal(x.shape) * (size_of(x) / length) for name, x in inputs.items()
    }


def size_of(x):
    """Return the root mean square of `x`, or 1 where that is smaller or `x` is empty."""
    return max(1.0, float(np.sqrt(np.mean(np.square(x))))) if x.size else 1.0
