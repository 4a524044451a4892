"""The six models in float32, on every backend there is, against NumPy in float64."""

import numpy as np
import pytest

from bench.configs import CONFIGS, build, make_problem
from mindraw import get_backend
from mindraw.backend import why_no_cupy

BACKENDS = [
    "numpy",
    pytest.param(
        "cupy", marks=pytest.mark.skipif(why_no_cupy() is not None, reason=str(why_no_cupy()))
    ),
]
B = 7
#: Of a loss, and of a gradient's largest number: measured are 2e-6 and 5e-5 on NumPy.
LOSSES, GRADIENTS = 1e-5, 2e-4


def compute(config, backend, dtype):
    """Return the losses and gradients of one minibatch, in NumPy."""
    params, x, other = make_problem(config, batch=B, minibatches=1)
    ops = get_backend(backend, dtype)
    model = build(config, ops, B, 1)
    model.parameters.load(np.concatenate([params[name].ravel() for name in params]))
    losses = model.loss_and_gradient(ops.asarray(x[0].reshape(B, -1).T), ops.asarray(other[0]))
    return [ops.to_numpy(loss) for loss in losses], model.gradients.to_dict()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", CONFIGS)
def test_single_precision_is_enough(name, backend):
    losses, gradients = compute(CONFIGS[name], backend, "float32")
    expected_losses, expected = compute(CONFIGS[name], "numpy", "float64")
    np.testing.assert_allclose(losses, expected_losses, rtol=LOSSES)
    assert set(gradients) == set(expected)
    for key, gradient in expected.items():
        tolerance = GRADIENTS * np.abs(gradient).max()
        np.testing.assert_allclose(gradients[key], gradient, rtol=0, atol=tolerance, err_msg=key)
