"""Every operation of the engine, at its own sample, at drawn shapes and at the corners."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindraw import DrawConfig, MindrawError, get_backend
from mindraw.backend import Backend
from mindraw.gradcheck import (
    CENTRAL,
    COMPLEX,
    OPERATIONS,
    TOLERANCES,
    Operation,
    check_operation,
    compare_with,
    describe,
)
from mindraw.gradcheck.operations import (
    KERNELS,
    LAYERS,
    MODELS,
    SIZES,
    WholeClassifier,
    WholeModel,
    shape_of,
)
from mindraw.kernels import reference
from mindraw.models.config import ClassifierConfig

NUMPY = get_backend("numpy", "float64")
SMALL = KERNELS + LAYERS


def named(operation):
    return operation.name


def find(name):
    return next(operation for operation in OPERATIONS if operation.name == name)


def assert_passed(results):
    assert results and all(results), describe(results)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("operation", OPERATIONS, ids=named)
def test_the_gradients_are_right(operation, seed):
    directions = 100 if operation in MODELS else 20
    results = check_operation(operation, seed=seed, directions=directions)
    assert_passed(results)
    assert {result.method for result in results} == {COMPLEX, CENTRAL}
    for result in results:
        on_model = operation in MODELS and result.method == COMPLEX
        assert result.tolerance == (1e-11 if on_model else TOLERANCES[result.method])


def test_every_operation_has_a_name_of_its_own():
    assert len({operation.name for operation in OPERATIONS}) == len(OPERATIONS)


def test_nothing_that_has_a_gradient_is_held_constant():
    held = {name for operation in OPERATIONS for name in operation.constants}
    grid = {"centre", "stride", "offsets", "rows", "columns"}
    given = {"x", "eps", "target", "place", "pixels"} | {"weight", "within"}
    assert held == given | grid
    assert find("linear").constants == ()


def test_shapes_in_letters():
    assert shape_of("4*h B", SIZES) == (12, 2)
    assert shape_of("B H*C 1", SIZES) == (2, 10, 1)
    assert shape_of("", SIZES) == ()


#: Any size may be 0, but for those of which an image, a glimpse or a softmax has at least one.
LETTERS = {letter: st.integers(1 if letter in "CHNK" else 0, 4) for letter in SIZES}


@pytest.mark.parametrize("operation", SMALL, ids=named)
@settings(max_examples=12, deadline=None, derandomize=True, database=None)
@given(sizes=st.fixed_dictionaries(LETTERS), seed=st.integers(0, 2**16))
def test_the_gradients_are_right_at_any_shape(operation, sizes, seed):
    inputs = operation.sample(seed, sizes)
    operation = replace(operation, elements=4)
    assert_passed(check_operation(operation, inputs=inputs, seed=seed, directions=2))


def corners():
    for operation in SMALL:
        letters = {c for text in operation.inputs.values() for c in text if c.isalpha()}
        for letter in sorted(letters - set("CHNK")):
            yield pytest.param(operation, letter, id=f"{operation.name}, {letter}=0")


@pytest.mark.parametrize(("operation", "letter"), list(corners()))
def test_a_size_of_zero_gives_empty_or_zero_gradients(operation, letter):
    inputs = operation.sample(0, {letter: 0})
    forward, backward = operation.on(NUMPY)
    douts = {name: np.ones(np.shape(y)) for name, y in forward(**inputs).items()}
    gradients = backward(douts, **inputs)
    assert set(gradients) == set(inputs) - set(operation.constants)
    for name, gradient in gradients.items():
        assert gradient.shape == inputs[name].shape
        assert np.isfinite(gradient).all()
        if letter == "B":
            assert not gradient.any()
    assert_passed(check_operation(operation, inputs=inputs, directions=2))


SIDES = st.integers(1, 3)
CONFIGS = st.builds(
    DrawConfig,
    H=SIDES,
    W=SIDES,
    C=SIDES,
    T=SIDES,
    h_enc=SIDES,
    h_dec=SIDES,
    z=SIDES,
    initial=st.sampled_from(["learned", "zeros"]),
)


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(
    config=CONFIGS,
    glimpses=st.one_of(st.none(), st.tuples(SIDES, SIDES)),
    batch=SIDES,
    threads=st.integers(1, 2),
    seed=st.integers(0, 2**16),
)
def test_the_whole_model_is_right_at_any_shape(config, glimpses, batch, threads, seed):
    if glimpses:
        config = replace(config, read_n=glimpses[0], write_n=glimpses[1])
    model = WholeModel("drawn", config, batch, threads, elements=0)
    assert_passed(check_operation(model, seed=seed, directions=4))


def overviews(config):
    """Let a drawn configuration look at everything again, if it has numbers for that."""
    every = config.T - 1 or None
    return replace(config, first_every=every if config.first == "learned" else None)


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(
    config=st.builds(
        ClassifierConfig,
        H=SIDES,
        W=SIDES,
        C=SIDES,
        T=SIDES,
        h=SIDES,
        read_n=SIDES,
        classes=SIDES,
        initial=st.sampled_from(["learned", "zeros"]),
        first=st.sampled_from(["state", "learned"]),
    ).map(overviews),
    batch=SIDES,
    threads=st.integers(1, 2),
    seed=st.integers(0, 2**16),
)
def test_the_whole_classifier_is_right_at_any_shape(config, batch, threads, seed):
    model = WholeClassifier("drawn", config, batch, threads, elements=0)
    assert_passed(check_operation(model, seed=seed, directions=4))


@pytest.mark.parametrize("operation", [MODELS[0], MODELS[3]], ids=named)
def test_shards_of_the_minibatch_have_right_gradients(operation):
    pytest.importorskip("threadpoolctl", reason="more than one thread needs threadpoolctl")
    assert_passed(check_operation(replace(operation, threads=2), directions=10))


@pytest.mark.parametrize("name", ["kernel bernoulli", "bernoulli"])
def test_the_reconstruction_loss_is_right_at_its_extremes(name):
    canvas = np.array([0.0, -0.0, 1e-12, -1e-12, 1e-3, 30, -30, 700, -700, 1e4])[:, None]
    for x in (0.0, 1.0, 0.3):
        inputs = {"canvas": canvas, "x": np.full(canvas.shape, x)}
        results = check_operation(find(name), inputs=inputs)
        assert_passed([result for result in results if result.method == COMPLEX])


@pytest.mark.parametrize("name", ["kernel lstm", "kernel error_image"])
def test_saturated_sigmoids_give_finite_gradients(name):
    operation = find(name)
    inputs = {key: 1e3 * x for key, x in operation.sample(0).items()}
    forward, backward = operation.on(NUMPY)
    outputs = forward(**inputs)
    assert all(np.isfinite(y).all() for y in outputs.values())
    assert all(np.isfinite(g).all() for g in backward(outputs, **inputs).values())


class Apart(Backend):
    """Arrays whose rows lie apart: a range of columns of wider arrays that are full of NaN."""

    def __init__(self):
        super().__init__("numpy", np, reference, "float64")
        self.wider = []

    def empty(self, shape):
        if not shape:
            return np.empty((), self.dtype)
        wide = np.full((*shape[:-1], shape[-1] + 3), np.nan, self.dtype)
        self.wider.append(wide)
        return wide[..., 1:-2]

    def zeros(self, shape):
        array = self.empty(shape)
        array.fill(0)
        return array

    def asarray(self, array):
        array = np.asarray(array)
        out = self.empty(array.shape)
        out[...] = array
        return out


#: What is seen in two shapes must lie in one piece: filters, and what is half filtered.
WHOLE = r"glimpse|filterbank|kernel (read|write)"
IN_ONE_PIECE = {each.name for each in OPERATIONS if re.search(WHOLE, each.name)}


@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if each.name not in IN_ONE_PIECE], ids=named
)
def test_rows_may_lie_apart_and_what_lies_between_stays_untouched(operation):
    ops = Apart()
    if operation in SMALL:
        assert_passed(check_operation(replace(operation, elements=2), ops, directions=2))
    assert_passed(compare_with(operation, NUMPY, ops))
    assert ops.wider
    for wide in ops.wider:
        assert np.isnan(wide[..., :1]).all() and np.isnan(wide[..., -2:]).all()


def device(**wrong):
    """A backend that is not NumPy in name, with some of its kernels replaced."""
    kernels = SimpleNamespace(**{**vars(reference), **wrong})
    return Backend("device", np, kernels, "float64")


@pytest.mark.parametrize("operation", OPERATIONS, ids=named)
def test_another_backend_is_checked_by_differences_and_against_numpy(operation):
    results = check_operation(operation, device(), directions=3)
    assert_passed(results)
    assert {result.method for result in results} == {CENTRAL, "numpy"}
    inputs = set(operation.sample(0)) - set(operation.constants)
    assert {result.input for result in results if result.method == "numpy"} == inputs


@pytest.mark.parametrize("factor", [1.0005, 1 + 1e-9, np.nan])
def test_another_backend_that_departs_from_numpy_is_caught(factor):
    def bernoulli_backward(dlogits, logits, x, scale):
        reference.bernoulli_backward(dlogits, logits, x, factor * scale)

    results = check_operation(find("bernoulli"), device(bernoulli_backward=bernoulli_backward))
    failed = [result for result in results if not result]
    assert "numpy" in {result.method for result in failed}
    assert (CENTRAL in {result.method for result in failed}) == (factor != 1 + 1e-9)


def test_only_double_precision_is_checked():
    with pytest.raises(MindrawError, match="in float64, not in float32"):
        check_operation(find("linear"), get_backend("numpy", "float32"))


def test_a_new_operation_is_one_entry():
    square = Operation(
        "square",
        {"x": "n B"},
        lambda ops, x: {"y": x * x},
        lambda ops, douts, x: {"x": 2 * x * douts["y"]},
    )
    assert_passed(check_operation(square))
    wrong = replace(square, backward=lambda ops, douts, x: {"x": x * douts["y"]})
    assert not any(check_operation(wrong))
