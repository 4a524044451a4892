"""The kernels in NumPy: what `fused` must compute, readable beside the equations.

One file for each subject, named as the .cu file with the same kernels. Every function writes into
arrays that it is given, and allocates no more than a temporary array of one layer's size. All of
them accept complex arrays (the complex step) where they are analytic, so none takes a plain
absolute value.
"""

from .aim import aim_backward, aim_forward
from .attentive import (
    attentive_read_backward,
    attentive_read_forward,
    attentive_write_backward,
    attentive_write_forward,
)
from .bernoulli import bernoulli_backward, bernoulli_forward
from .canvas import add_with_bias, error_image_backward, error_image_forward, sigmoid
from .filterbank import filterbank_backward, filterbank_forward, place_backward, place_forward
from .gaussian import gaussian_backward, gaussian_forward
from .glimpse import intensity_backward, intensity_forward, stroke_backward, stroke_forward
from .lstm import lstm_backward, lstm_forward
from .noise import NOISE, standard_normal
from .optimizer import BLOCK, adam, decay, gradient_norm
from .products import read_backward, read_forward, write_backward, write_forward
from .softmax import softmax_backward, softmax_forward
from .sums import row_sums, step_sums

__all__ = [
    "BLOCK",
    "NOISE",
    "adam",
    "add_with_bias",
    "aim_backward",
    "aim_forward",
    "attentive_read_backward",
    "attentive_read_forward",
    "attentive_write_backward",
    "attentive_write_forward",
    "bernoulli_backward",
    "bernoulli_forward",
    "decay",
    "error_image_backward",
    "error_image_forward",
    "filterbank_backward",
    "filterbank_forward",
    "gaussian_backward",
    "gaussian_forward",
    "gradient_norm",
    "intensity_backward",
    "intensity_forward",
    "lstm_backward",
    "lstm_forward",
    "place_backward",
    "place_forward",
    "read_backward",
    "read_forward",
    "row_sums",
    "sigmoid",
    "softmax_backward",
    "softmax_forward",
    "standard_normal",
    "step_sums",
    "stroke_backward",
    "stroke_forward",
    "write_backward",
    "write_forward",
]
