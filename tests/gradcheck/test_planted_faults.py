"""The gradient checks can fail: every fault planted in any backward function is caught.

The names of the cases list the faults:
``python -m pytest tests/gradcheck/test_planted_faults.py --collect-only -q``.
"""

import inspect
import re
from collections import Counter
from dataclasses import replace
from importlib import import_module
from pkgutil import iter_modules

import numpy as np
import planted
import pytest

from mindraw.backend import Backend, get_backend
from mindraw.gradcheck import CENTRAL, COMPLEX, OPERATIONS, check_operation
from mindraw.gradcheck.operations import MODELS
from mindraw.kernels import reference
from mindraw.models import attentive, classify, draw, model, whole
from mindraw.nn import aim, bernoulli, gaussian, glimpse, linear, lstm, read, softmax, write

#: Where a backward function may stand, in which class of it, and how faults there are named.
PLACES = (
    *(import_module(f"{reference.__name__}.{m.name}") for m in iter_modules(reference.__path__)),
    *(aim, bernoulli, gaussian, glimpse, linear, lstm, read, softmax, write),
    model.Model,
    whole.WholeCanvas,
    attentive.AttentiveCanvas,
    draw.Draw,
    classify.Classifier,
)
WHOLE, ATTENTION = "draw", "draw, attention"
SEGMENTS, ATTENTION_SEGMENTS = "draw, recompute", "draw, attention, recompute"
CLASSIFY, FIRST = "classify", "classify, first learned"
OVERVIEWS, AIMED = "classify, first learned, every 2", "classify, aim loss"

#: For every backward function: the operation whose check must catch its faults, the outputs
#: that are also scaled by 1.0005, and how many faults are planted.
TARGETS = {
    "lstm.lstm_backward": ("kernel lstm", "dgates dcell", 50),
    "gaussian.gaussian_backward": ("kernel gaussian", "dq", 22),
    "canvas.error_image_backward": ("kernel error_image", "dcanvas_prev", 16),
    "bernoulli.bernoulli_backward": ("kernel bernoulli", "dlogits", 6),
    "softmax.softmax_backward": ("kernel softmax", "dlogits", 7),
    "aim.aim_backward": ("kernel aim", "dp", 22),
    "filterbank.place_backward": ("kernel place", "dp", 10),
    "filterbank.filterbank_backward": ("kernel filterbank", "dmu dlog_s2", 12),
    "glimpse.intensity_backward": ("kernel intensity", "dpatch dlog_gamma", 9),
    "glimpse.stroke_backward": ("kernel stroke", "dw dlog_gamma", 9),
    "products.read_backward": ("kernel read", "dx_hat dFy dFx", 10),
    "products.write_backward": ("kernel write", "dpatch dFy dFx", 7),
    "attentive._place_backward": ("glimpse read", "dp", 3),
    "attentive.attentive_read_backward": ("glimpse read", "dp dcanvas_prev", 6),
    "attentive.attentive_write_backward": ("glimpse write", "dp dw", 5),
    "bernoulli.backward": ("bernoulli", "dcanvas", 2),
    "gaussian.backward": ("gaussian", "dq", 2),
    "glimpse.read_backward": ("glimpse read", "dp dcanvas_prev", 3),
    "glimpse.write_backward": ("glimpse write", "dp dw", 3),
    "linear.backward": ("linear", "dx", 2),
    "linear.weight_gradient": ("linear", "dW", 2),
    "linear.bias_gradient": ("linear", "db", 2),
    "linear.constant_gradient": ("constant, three steps", "dc", 2),
    "lstm.backward": (OVERVIEWS, "dgates dcell", 6),
    "read.backward": ("read", "dcanvas_prev", 2),
    "softmax.backward": ("softmax", "dlogits", 2),
    "aim.backward": ("aim", "dp", 4),
    "WholeCanvas.begin_backward": (WHOLE, "", 3),
    "WholeCanvas.first_read_backward": (WHOLE, "", 0),
    "WholeCanvas.read_backward": (WHOLE, "", 1),
    "WholeCanvas.write_backward": (WHOLE, "", 0),
    "WholeCanvas.decoder_backward": (WHOLE, "", 0),
    "WholeCanvas.loss_backward": (WHOLE, "", 1),
    "WholeCanvas.leave_backward": (SEGMENTS, "", 2),
    "WholeCanvas.weight_gradients": (WHOLE, "", 3),
    "WholeCanvas.constant_gradients": (WHOLE, "", 2),
    "AttentiveCanvas.begin_backward": (ATTENTION, "", 7),
    "AttentiveCanvas.first_read_backward": (ATTENTION, "", 2),
    "AttentiveCanvas.read_backward": (ATTENTION, "", 1),
    "AttentiveCanvas.write_backward": (ATTENTION, "", 1),
    "AttentiveCanvas.decoder_backward": (ATTENTION, "", 0),
    "AttentiveCanvas.loss_backward": (ATTENTION_SEGMENTS, "", 4),
    "AttentiveCanvas.leave_backward": (ATTENTION_SEGMENTS, "", 3),
    "AttentiveCanvas.weight_gradients": (ATTENTION_SEGMENTS, "", 3),
    "AttentiveCanvas.constant_gradients": (ATTENTION, "", 1),
    "Model.loss_and_gradient": (WHOLE, "", 1),
    "Draw._forward_backward": (WHOLE, "", 3),
    "Draw._begin_backward": (WHOLE, "", 9),
    "Draw._backward": (SEGMENTS, "", 8),
    "Draw._loss_backward": (SEGMENTS, "", 12),
    "Draw._steps_backward": (ATTENTION, "", 11),
    "Draw._lay_out_weight_gradients": (SEGMENTS, "", 5),
    "Draw._sum_weight_gradients": (SEGMENTS, "", 5),
    "Model._share_gradients": (FIRST, "", 2),
    "Classifier._forward_backward": (CLASSIFY, "", 3),
    "Classifier._backward": (CLASSIFY, "", 13),
    "Classifier._begin_backward": (CLASSIFY, "", 7),
    "Classifier._state_backward": (OVERVIEWS, "", 0),
    "Classifier._read_backward": (AIMED, "", 5),
    "Classifier._lay_out_weight_gradients": (FIRST, "", 8),
}


def backward_functions():
    """Yield (owner, name) of every function that is named as one which takes a gradient."""
    for place in PLACES:
        for name, value in vars(place).items():
            own = (
                inspect.isfunction(value) and value.__module__ == inspect.getmodule(place).__name__
            )
            if own and re.search(r"(^|_)(backward|gradients?)$", name):
                yield place, name


def key(owner, name):
    return f"{owner.__name__.rpartition('.')[2]}.{name}"


FUNCTIONS = {key(owner, name): (owner, name) for owner, name in backward_functions()}
MUTANTS = [
    mutant
    for name, (_, outputs, _) in TARGETS.items()
    if name in FUNCTIONS
    for mutant in planted.mutants(*FUNCTIONS[name], outputs.split())
]


def find(name):
    return next(operation for operation in OPERATIONS if operation.name == name)


def parameters(name):
    operation = find(name)
    built = operation.model(operation.config, get_backend("numpy", "float64"), 1, threads=1)
    return built.parameters.names


def failures(name):
    """Return the methods by which the check of an operation fails."""
    operation = find(name)
    if operation in MODELS:
        operation = replace(operation, elements=0)
    with np.errstate(all="ignore"):
        results = check_operation(operation, directions=3)
    return {result.method for result in results if not result}


@pytest.fixture(autouse=True)
def _nothing_is_found_in_new_memory(monkeypatch):
    """What is laid out but never set must not hold, by chance, what a model before left there."""
    empty = Backend.empty

    def full_of_nan(self, shape):
        array = empty(self, shape)
        array.fill(np.nan)
        return array

    monkeypatch.setattr(Backend, "empty", full_of_nan)


def test_every_backward_function_has_its_faults():
    assert set(FUNCTIONS) == set(TARGETS)


def test_no_fault_has_been_lost():
    planted_here = Counter(key(mutant.owner, mutant.function) for mutant in MUTANTS)
    assert planted_here == Counter({name: count for name, (_, _, count) in TARGETS.items()})
    assert len(set(map(str, MUTANTS))) == len(MUTANTS)


@pytest.mark.parametrize("name", sorted({operation for operation, _, _ in TARGETS.values()}))
def test_without_a_fault_nothing_fails(name):
    assert failures(name) == set()


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_planted_fault_is_caught(mutant, monkeypatch):
    """By the complex step and by central differences, each alone."""
    mutant.install(monkeypatch)
    operation, _, _ = TARGETS[key(mutant.owner, mutant.function)]
    assert failures(operation) == {COMPLEX, CENTRAL}


@pytest.mark.parametrize(
    ("name", "parameter"),
    [(name, parameter) for name in (WHOLE, ATTENTION, FIRST) for parameter in parameters(name)],
)
def test_a_parameters_gradient_off_by_a_twentieth_of_a_percent_is_caught(
    name, parameter, monkeypatch
):
    kind = find(name).model
    right = kind.loss_and_gradient

    def wrong(self, *minibatch):
        losses = right(self, *minibatch)
        self.gradients[parameter][...] *= planted.OFF
        return losses

    monkeypatch.setattr(kind, "loss_and_gradient", wrong)
    assert failures(name) == {COMPLEX, CENTRAL}
