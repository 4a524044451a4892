"""How far a glimpse is from what it should see."""

import numpy as np


def aim_forward(loss, a, place, weight, within):
    """loss += weight log(1 + |g - place|^2 / within^2), g the centre of the glimpse.

    Parameters
    ----------
    loss : array (B,)
        Added to, in nats per example.
    a : array (5, B)
        gx and gy, in pixels, and three numbers more.
    place : array (2, B)
        Where it should look, in the same order.
    weight : float
        In nats.
    within : float
        In pixels.
    """
    away = a[:2] - place
    away /= within
    away *= away
    loss += weight * np.log1p(away[0] + away[1])


def aim_backward(dp, a, place, centre, scale, within):
    """Undo `aim_forward`, as far as gx~ and gy~.

    Parameters
    ----------
    dp : array (5, B)
        The first two rows are added to.
    a : array (5, B)
    place : array (2, B)
    centre : array (2, 1)
        What a step of gx~ or gy~ moves the glimpse by, in pixels.
    scale : float
        The weight times the gradient at `loss`, the same for the whole minibatch.
    within : float
    """
    away = a[:2] - place
    squares = away * away
    away *= 2 * scale * centre
    away /= within**2 + squares[0] + squares[1]
    dp[:2] += away
