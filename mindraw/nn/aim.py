"""A loss of where a glimpse looks, for pictures of which it is known.

A glimpse that has left a digit has no gradient that leads back: none of its filters touches it.
Where the pictures are made it is known where the digit lies, g* in pixels, and

    loss = weight log(1 + |g - g*|^2 / within^2)

draws the centre g of a glimpse there from anywhere. Up to a constant that is the negative logarithm
of a bivariate Student's t around g* with 2 weight - 2 degrees of freedom: its gradient grows up to
a distance of `within`, and falls beyond, so that a glimpse that cannot tell which of two places it
is goes to one of them, not between. It is no part of the paper, whose classifier learns from the
classes alone.
"""

from typing import NamedTuple


class AimLoss(NamedTuple):
    """How much it counts where a glimpse looks.

    Parameters
    ----------
    weight : float
        In nats.
    within : float
        From which distance on more counts less, in pixels.
    """

    weight: float
    within: float


def forward(ops, loss, a, place, aim):
    """loss += weight log(1 + |g - place|^2 / within^2).

    Parameters
    ----------
    ops : Backend
    loss : array (B,)
        Added to, in nats per example.
    a : array (5, B)
        Of the glimpse's bank (`filterbank.py`): gx and gy in pixels, and three numbers more.
    place : array (2, B)
        g*: x and y, in pixels counted from 0 at the centre of the first.
    aim : AimLoss
    """
    ops.kernels.aim_forward(loss, a, place, *aim)


def backward(ops, dp, a, place, grid, aim, scale):
    """Add the gradient at gx~ and gy~.

    Parameters
    ----------
    ops : Backend
    dp : array (5, B)
        The gradient at where the glimpse looks, from `glimpse.read_backward`; added to.
    a : array (5, B)
    place : array (2, B)
    grid : mindraw.nn.filterbank.Grid
    aim : AimLoss
    scale : float
        The gradient at `loss`: 1/B for the mean over a minibatch.
    """
    ops.kernels.aim_backward(dp, a, place, grid.centre, aim.weight * scale, aim.within)
