"""Kernels that Numba compiles for this CPU: one pass over memory where NumPy takes many.

They have the names and signatures of `reference`, and set the same to rounding; what they do not
have, `reference` does.
"""

from .attentive import (
    attentive_read_backward,
    attentive_read_forward,
    attentive_write_backward,
    attentive_write_forward,
)
from .canvas import error_image_backward, error_image_forward
from .gaussian import gaussian_backward, gaussian_forward
from .lstm import lstm_backward, lstm_forward
from .optimizer import adam

__all__ = [
    "adam",
    "attentive_read_backward",
    "attentive_read_forward",
    "attentive_write_backward",
    "attentive_write_forward",
    "error_image_backward",
    "error_image_forward",
    "gaussian_backward",
    "gaussian_forward",
    "lstm_backward",
    "lstm_forward",
]
