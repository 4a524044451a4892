"""The checker itself: right gradients pass, and every kind of wrong one fails."""

import numpy as np
import pytest

from mindraw import MindrawError
from mindraw.gradcheck import (
    CENTRAL,
    COMPLEX,
    TOLERANCES,
    central_difference,
    check,
    complex_step,
    describe,
    direction,
)
from mindraw.gradcheck.checker import FLOOR, relative_error

RNG = np.random.default_rng(0)
INPUTS = {"x": RNG.standard_normal((3, 2)), "W": RNG.standard_normal((4, 3))}


def forward(x, W):
    return np.tanh(W @ x)


def backward(dy, x, W):
    da = dy * (1 - np.tanh(W @ x) ** 2)
    return {"x": W.T @ da, "W": da @ x.T}


def spoilt(spoil):
    """A backward pass whose gradients pass through ``spoil(gradients)``."""

    def wrong(dy, x, W):
        gradients = backward(dy, x, W)
        spoil(gradients)
        return gradients

    return wrong


def failed(results):
    return {(result.input, result.method) for result in results if not result}


def everywhere(*names):
    return {(name, method) for name in names for method in (COMPLEX, CENTRAL)}


def test_a_right_gradient_passes_in_every_way():
    results = check(forward, backward, INPUTS)
    assert {(r.input, r.method) for r in results} == everywhere("x", "W", "all inputs")
    assert all(results)
    assert [r.count for r in results] == [6, 12, 20] * 2
    assert max(r.error for r in results if r.method == COMPLEX) < 1e-13
    assert max(r.error for r in results if r.method == CENTRAL) < 1e-9
    assert "ok: W by complex step" in describe(results)


def test_the_tolerances_are_those_of_the_project():
    assert TOLERANCES == {COMPLEX: 1e-12, CENTRAL: 1e-7}


def test_a_gradient_wrong_by_a_twentieth_of_a_percent_fails():
    def spoil(gradients):
        gradients["W"] *= 1.0005

    results = check(forward, spoilt(spoil), INPUTS)
    assert failed(results) == everywhere("W", "all inputs")
    assert results[1].error == pytest.approx(5e-4, rel=1e-2)


@pytest.mark.parametrize("index", list(np.ndindex(4, 3)))
def test_one_wrong_element_is_found_and_named(index):
    def spoil(gradients):
        gradients["W"][index] *= 1.0005

    results = check(forward, spoilt(spoil), INPUTS)
    wrong = next(r for r in results if r.input == "W" and r.method == CENTRAL)
    assert not wrong and wrong.index == index
    assert wrong.analytic == pytest.approx(1.0005 * wrong.numeric, rel=1e-6)
    text = str(wrong)
    assert f"W{list(index)}" in text and "x (3, 2), W (4, 3)" in text
    assert repr(wrong.analytic) in text and repr(wrong.numeric) in text
    assert describe(results).count("\n") == len(failed(results)) - 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_fails(value):
    def spoil(gradients):
        gradients["x"][1, 0] = value

    results = check(forward, spoilt(spoil), INPUTS)
    assert failed(results) == everywhere("x", "all inputs")
    assert np.isnan(results[0].error) and results[0].index == (1, 0)


def test_a_forward_pass_that_is_not_finite_fails():
    results = check(lambda x: x * np.nan, lambda dy, x: {"x": dy}, {"x": np.ones(2)})
    assert failed(results) == everywhere("x", "all inputs")


def test_zero_where_there_is_a_gradient_fails():
    def spoil(gradients):
        gradients["x"][...] = 0

    results = check(forward, spoilt(spoil), INPUTS)
    assert failed(results) == everywhere("x", "all inputs")
    assert results[0].error == 1


def test_a_gradient_where_there_is_none_fails_and_zero_passes():
    def constant(x):
        return 0 * x + 3.0

    x = {"x": np.ones((2, 2))}
    assert all(check(constant, lambda dy, x: {"x": np.zeros((2, 2))}, x))
    assert failed(check(constant, lambda dy, x: {"x": 1e-30 * dy}, x)) == everywhere(
        "x", "all inputs"
    )


def test_a_missing_or_misshapen_gradient_fails_and_says_so():
    results = check(forward, spoilt(lambda gradients: gradients.pop("W")), INPUTS)
    assert failed(results) == everywhere("W")
    assert "W by complex step: backward returns no gradient here" in describe(results)

    def spoil(gradients):
        gradients["W"] = gradients["W"].T

    text = describe(check(forward, spoilt(spoil), INPUTS))
    assert "the gradient has shape (3, 4), the input (4, 3)" in text


def test_the_worst_direction_can_be_drawn_again():
    def spoil(gradients):
        gradients["W"] *= 1.01

    results = check(forward, spoilt(spoil), INPUTS, directions=7, seed=5)
    wrong = next(r for r in results if r.input == "all inputs" and r.method == CENTRAL)
    d = direction(INPUTS, wrong.direction)
    h = 1e-5
    ahead, behind = (
        forward(**{name: x + sign * h * d[name] for name, x in INPUTS.items()}) for sign in (1, -1)
    )
    weights = np.random.default_rng((5, 0)).standard_normal((4, 2))
    assert np.sum(weights * (ahead - behind)) / (2 * h) == pytest.approx(wrong.numeric, rel=1e-6)
    assert f"along direction {wrong.direction}" in str(wrong)
    again = check(forward, spoilt(spoil), INPUTS, directions=7, seed=5)
    assert [r.error for r in again] == [r.error for r in results]


@pytest.mark.parametrize("arrange", [tuple, list, lambda ys: dict(zip("ab", ys, strict=True))])
def test_several_outputs_each_receive_their_gradient(arrange):
    def two(x, k):
        return arrange([x**2, np.exp(k * x).sum()])

    def back(douts, x, k):
        da, db = douts.values() if isinstance(douts, dict) else douts
        return {"x": 2 * x * da + db * k * np.exp(k * x)}

    def half(douts, x, k):
        da, _ = douts.values() if isinstance(douts, dict) else douts
        return {"x": 2 * x * da}

    inputs = {"x": RNG.standard_normal(5), "k": 0.7}
    assert all(check(two, back, inputs, constants=["k"]))
    assert len(failed(check(two, half, inputs, constants=["k"]))) == 4


def test_numbers_and_integers_are_inputs_too():
    results = check(
        lambda x, n: x**n, lambda dy, x, n: {"x": dy * n * x ** (n - 1)}, {"x": 1.5, "n": 3}
    )
    assert all(results) and {r.input for r in results} == {"x", "all inputs"}
    assert results[0].index == ()


@pytest.mark.parametrize("shape", [(0, 2), (3, 0), (0, 0)])
def test_empty_inputs_pass(shape):
    x = {"x": np.zeros(shape)}
    results = check(lambda x: np.sin(x), lambda dy, x: {"x": dy * np.cos(x)}, x)
    assert all(results) and [r.count for r in results] == [0, 20, 0, 20]


def test_inputs_that_are_not_contiguous_are_neither_mixed_up_nor_touched():
    base = {
        name: RNG.standard_normal((2 * x.shape[1], 3 * x.shape[0])) for name, x in INPUTS.items()
    }
    views = {name: x[::2, 1::3].T for name, x in base.items()}
    before = {name: x.copy() for name, x in base.items()}
    assert not any(view.flags.c_contiguous for view in views.values())
    assert all(check(forward, backward, views))
    right = check(forward, backward, {name: view.copy() for name, view in views.items()})
    assert [r.numeric for r in right] == [r.numeric for r in check(forward, backward, views)]
    assert all(np.array_equal(base[name], before[name]) for name in base)


def test_functions_may_overwrite_what_they_are_given():
    def in_place(x):
        np.tanh(x, out=x)
        return x

    def back(dy, x):
        np.tanh(x, out=x)
        dy *= 1 - x**2
        return {"x": dy}

    assert all(check(in_place, back, {"x": RNG.standard_normal(4)}))


def test_float32_and_lists_are_taken_in_double_precision():
    seen = set()

    def square(x):
        seen.add(x.dtype)
        return x * x

    assert all(check(square, lambda dy, x: {"x": 2 * x * dy}, {"x": np.float32([0.1, 0.7])}))
    assert all(check(square, lambda dy, x: {"x": 2 * x * dy}, {"x": [0.1, 0.7]}))
    assert seen == {np.dtype("float64"), np.dtype("complex128")}


def test_a_function_that_is_not_analytic_is_checked_by_differences_alone():
    x = {"x": np.array([-2.0, 0.5, 3.0])}

    def back(dy, x):
        return {"x": dy * np.sign(x)}

    assert all(check(lambda x: np.abs(x), back, x, methods=[CENTRAL]))
    assert failed(check(lambda x: np.abs(x), back, x)) == {("x", COMPLEX), ("all inputs", COMPLEX)}


def test_a_choice_of_elements_and_no_directions():
    results = check(forward, backward, INPUTS, elements=4, directions=0)
    assert [(r.input, r.count) for r in results] == [("x", 4), ("W", 4)] * 2
    assert [r.count for r in check(forward, backward, INPUTS, elements=0, directions=1)] == [
        0,
        0,
        1,
    ] * 2


def test_tolerances_can_be_given():
    def spoil(gradients):
        gradients["W"] *= 1 + 1e-9

    assert failed(check(forward, spoilt(spoil), INPUTS)) == {
        ("W", COMPLEX),
        ("all inputs", COMPLEX),
    }
    assert all(check(forward, spoilt(spoil), INPUTS, tolerances={COMPLEX: 1e-6}))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"methods": ["guess"]}, "there is no method 'guess'"),
        ({"tolerances": {"guess": 1}}, "there is no method 'guess'"),
        ({"constants": ["V"]}, "there is no input 'V' to hold constant: the inputs are x, W"),
        ({"constants": ["x", "W"]}, "nothing to differentiate"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(arguments, sentence):
    with pytest.raises(MindrawError, match=sentence):
        check(forward, backward, INPUTS, **arguments)


def test_the_relative_error_and_its_floor():
    assert relative_error(1.0005, 1.0, 1.0) == pytest.approx(5e-4, rel=1e-3)
    assert relative_error(0.0, 0.0, 0.0) == 0
    assert relative_error(1e-300, 0.0, 0.0) == 1
    # far below the scale of the gradient, a difference counts as a part of the floor
    assert relative_error(1e-9, 2e-9, 1.0) == pytest.approx(1e-9 / FLOOR)
    for bad in (np.nan, np.inf, -np.inf):
        assert np.isnan(relative_error(bad, 1.0, 1.0))
        assert np.isnan(relative_error(1.0, bad, 1.0))
        assert np.isnan(relative_error(bad, bad, 1.0))


@pytest.mark.parametrize(
    ("function", "derivative"),
    [(np.exp, np.exp), (np.sin, np.cos), (np.tanh, lambda x: 1 / np.cosh(x) ** 2)],
)
def test_both_derivatives_are_right_to_their_digits(function, derivative):
    x = np.linspace(-3, 3, 41)
    want = derivative(x)
    np.testing.assert_allclose(complex_step(lambda t: function(x + t)), want, rtol=1e-14)
    np.testing.assert_allclose(central_difference(lambda t: function(x + t)), want, rtol=1e-9)


def test_central_differences_find_the_spacing_that_suits():
    # wiggles far narrower than the widest spacing, and a small slope under a large value
    fast = central_difference(lambda t: np.sin(40 * t))
    assert fast == pytest.approx(40, rel=1e-6)
    flat = central_difference(lambda t: 1e4 + 1e-3 * np.sin(t))
    assert flat == pytest.approx(1e-3, rel=1e-6)
