"""CUDA graphs under the stand-in: a step is recorded, replayed as one launch, and the same."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import test_classifier_strict
from standin import StrictStream, get_standin
from test_engine_strict import CONFIGS, built, every_config, minibatch

from mindraw import Draw
from mindraw.kernels.graph import Recording
from mindraw.models.classify import Classifier


def launches(ops, function):
    before = ops.xp.counts.launches
    function()
    return ops.xp.counts.launches - before


@every_config
def test_a_step_becomes_one_launch(config):
    ops = get_standin("float32")
    model, _ = built(config, ops)
    x, eps = minibatch(model)
    found = [launches(ops, lambda: model.loss_and_gradient(x, eps)) for _ in range(4)]
    # the minibatch's pictures and noise, the graph, and the sum over the shares of the losses
    assert found[0] > 50 and found[2] == found[3] == 4


def test_without_recording_it_is_launched_kernel_by_kernel():
    ops = get_standin("float32")
    ops.records = False
    model, _ = built(CONFIGS["attentive"], ops)
    x, eps = minibatch(model)
    found = {launches(ops, lambda: model.loss_and_gradient(x, eps)) for _ in range(4)}
    assert len(found) == 1 and found.pop() > 50


def gradient_launches(kind, config, minibatch):
    ops = get_standin("float32")
    ops.records = False
    model = kind(config, ops, batch=4, threads=1)
    model.initialise(1)
    return launches(ops, lambda: model.loss_and_gradient(*minibatch(model)))


@pytest.mark.parametrize(
    ("expected", "kind", "config", "minibatch"),
    [
        (17, Draw, CONFIGS["whole"], minibatch),
        (18, Draw, CONFIGS["attentive"], minibatch),
        (8, Classifier, test_classifier_strict.CONFIGS["zeros"], test_classifier_strict.minibatch),
    ],
    ids=["whole", "attentive", "classifier"],
)
def test_a_step_of_time_is_so_many_launches(expected, kind, config, minibatch):
    """The numbers in docs/gpu.md."""
    few, more = (gradient_launches(kind, replace(config, T=T), minibatch) for T in (2, 5))
    assert more - few == 3 * expected


def test_what_is_recorded_follows_the_arrays():
    """A graph keeps no number of the minibatch, the noise or the parameters it was made with."""
    results = []
    for records in (True, False):
        ops = get_standin("float64")
        ops.records = records
        model, adam = built(CONFIGS["attentive"], ops)
        for step in range(5):
            model.loss_and_gradient(*minibatch(model, step))
            adam.step(model.gradients, lr=0.05 / (1 + step))
        losses = [model.loss(*minibatch(model, step, b=2 + step % 2)) for step in range(4)]
        pictures = [model.generate(minibatch(model, step)[1]) for step in range(3)]
        arrays = [*losses[-1], *pictures, model.parameters.flat, model.gradients.flat]
        results.append([ops.to_numpy(array) for array in arrays])
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("spoilt", [False, True])
def test_what_cannot_be_recorded_is_told_and_done(spoilt, monkeypatch):
    """Also where the recording, once spoilt, cannot even be ended: the cause is what is told."""
    ops = get_standin("float32")
    end = StrictStream.end_capture

    def refuse(stream):
        end(stream)
        raise RuntimeError("the capture was invalidated")

    if spoilt:
        monkeypatch.setattr(StrictStream, "end_capture", refuse)
    array, recordings = ops.zeros((3,)), {}

    def launch():
        nonlocal array
        array = array + 1  # allocates

    ops.run(launch, recordings, "sum")
    with pytest.warns(UserWarning, match="allocations while a graph is recorded"):
        ops.run(launch, recordings, "sum")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = ops.to_numpy(array)
        ops.run(launch, recordings, "sum")
    np.testing.assert_array_equal(ops.to_numpy(array), before + 1)


@pytest.mark.parametrize("wait", [True, False])
def test_waiting_cannot_be_recorded(wait):
    ops = get_standin("float32")
    array, recordings = ops.zeros((3,)), {}

    def launch():
        array.fill(2)
        if wait:
            ops.xp.cuda.get_current_stream().synchronize()

    ops.run(launch, recordings, "fill")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        ops.run(launch, recordings, "fill")
    assert len(told) == wait


def test_an_interrupted_recording_ends():
    """So that what follows is launched, and not recorded into nothing."""
    xp, calls = get_standin("float32").xp, []

    def launch():
        calls.append(xp.counts.recorded is not None)
        if calls[-1]:
            raise KeyboardInterrupt

    recording = Recording()
    recording.run(xp, launch)
    with pytest.raises(KeyboardInterrupt):
        recording.run(xp, launch)
    assert calls == [False, False, True] and xp.counts.recorded is None
