"""The comparison of the twins can fail: every planted fault is caught, in every kernel."""

import re

import emulation
import numpy as np
import pytest
from cases import ATTENTION, ELEMENTWISE, GLIMPSE, Maker, elementwise
from comparing import compare, compare_attention, compare_noise

from mindraw.kernels import fused

#: Kernel, what stands in its source, what is planted there.
FAULTS = [
    ("standard_normal", "k + 1, number", "k, number"),
    ("standard_normal", "number, key0", "number + 1, key0"),
    ("standard_normal", "integer_of(words, 2 * pair + 1)", "integer_of(words, 2 * pair)"),
    ("standard_normal", "half + j < n", "half + j < n - 1"),
    ("standard_normal", "radius * sinpi", "radius * cospi"),
    ("lstm_forward", "AT(constant, n + j, c)", "AT(constant, j, c)"),
    ("lstm_forward", "o * tanh(s)", "o * s"),
    ("lstm_backward", "(1 - t * t)", "(1 - t)"),
    ("lstm_backward", "AT(dcell, j, b) = ds * f", "AT(dcell, j, b) += ds * f"),
    ("gaussian_forward", "kl += real(0.5)", "kl += real(0.50025)"),
    ("gaussian_forward", "latent[b] += kl", "latent[b] = kl"),
    ("gaussian_backward", "expm1(2 * log_s)", "exp(2 * log_s)"),
    ("error_image_forward", "- sigma", "+ sigma"),
    ("error_image_backward", "* s * (1 - s)", "* s"),
    ("bernoulli_forward", "exp(-fabs(c))", "exp(-c)"),
    ("bernoulli_forward", "j += blockDim.y", "j += 2 * blockDim.y"),
    ("bernoulli_backward", "real(scale) *", "real(1.0005 * scale) *"),
    ("softmax_forward", "log(total) - expected", "log(total)"),
    ("softmax_forward", "guess == truth ? 0 : 1", "guess == truth ? 1 : 0"),
    ("softmax_forward", "AT(p, k, b) /= total", "AT(p, k, b) /= total + real(1e-3)"),
    ("softmax_backward", "- AT(target, j, b)", "+ AT(target, j, b)"),
    ("aim_forward", "loss[b] += real", "loss[b] = real"),
    ("aim_forward", "x * x + y * y", "x * x + y"),
    ("aim_backward", "AT(dp, 1, b) += rate", "AT(dp, 1, b) = rate"),
    ("aim_backward", "centre[1] * y", "centre[0] * y"),
    ("lstm_backward", "if (u_there) d +=", "if (!u_there) d +="),
    ("lstm_backward", "d += AT(dh_v, j, b)", "d = AT(dh_v, j, b)"),
    ("add_with_bias", "+= AT(x", "= AT(x"),
    ("step_sums", "t < T", "t < T - 1"),
    ("row_sums", "b += 32", "b += 33"),
    ("row_sums", "sum = warp_sum(sum);", ""),
    ("sigmoid", "AT(y, j, b) =", "AT(y, j, 0) ="),
    ("gradient_norm", "    __syncthreads();\n    if (!last) return;", "    if (!last) return;"),
    ("gradient_norm", "k < gridDim.x", "k < 1"),
    ("adam", "fmax(double(state[0]), clip)", "clip"),
    ("adam", "real(1 - beta2) * (g * g)", "real(1 - beta2) * g"),
    ("decay", "*= real(1 - part)", "-= real(part)"),
    ("place_forward", "at.gy + at.d", "at.gx + at.d"),
    ("place_backward", "dgy * centre[1]", "dgy * centre[0]"),
    ("filterbank_forward", "copy[a] /= sum", "copy[a] /= sum + real(1e-3)"),
    ("filterbank_backward", "- mean)", ")"),
    ("filterbank_forward", "row / N % B", "row / N % (B + 1)"),
    ("filterbank_backward", "s2[b % B]", "s2[b % (B + 1)]"),
    ("filterbank_backward", "dlog_s2[b] = -sum", "dlog_s2[b] -= sum"),
    ("filterbank_backward", "    __syncthreads();\n", ""),
    ("intensity_forward", "* gamma[b]", "/ gamma[b]"),
    ("intensity_backward", "dlog_gamma[b] = sum", "dlog_gamma[b] += sum"),
    ("stroke_forward", "/ gamma[b]", "/ gamma[0]"),
    ("stroke_forward", "+ bias[k]", "- bias[k]"),
    ("stroke_backward", "sum += OF(dpatch, b, k)", "sum += OF(dw, b, k)"),
    ("read_forward", "OWN(x, H * C * W), N, H", "OWN(x, H * C * W), N, H - 1"),
    ("read_forward", "if (P == 2)", "if (P == 1)"),
    ("read_forward", "    __syncthreads();\n", ""),
    ("read_backward", "P == 2", "P == 1"),
    ("read_backward", "Onto{OWN(dFy", "Into{OWN(dFy"),
    ("read_backward", "N, P * N * C, W);", "N, N * C, W);"),
    ("read_backward", "    __syncthreads();\n", ""),
    ("write_forward", "    __syncthreads();\n", ""),
    ("write_forward", "Onto{OWN(image", "Into{OWN(image"),
    ("write_backward", "N, N * C, W);\n    product_nt", "N, N * C - 1, W);\n    product_nt"),
    ("write_backward", "    __syncthreads();\n", ""),
    ("attentive_read_forward", "at.d * offsets[i]", "at.d * offsets[k]"),
    ("attentive_read_forward", "k < N ? x : y", "k < N ? y : x"),
    ("attentive_read_forward", "- sigma(", "+ sigma("),
    ("attentive_read_forward", "at.gamma * number", "number"),
    ("attentive_read_forward", "of_x_hat = of_x + N * C * W", "of_x_hat = of_x"),
    ("attentive_read_forward", "near_x_hat = near_x + N * C * W", "near_x_hat = near_x"),
    ("attentive_read_forward", "    AT(a, 3, b) = at.d;\n", ""),
    ("attentive_read_backward", "OF(dr, b, k) * gamma", "OF(dr, b, k)"),
    ("attentive_read_backward", "* OF(r, b, k)", ""),
    ("attentive_read_backward", "number * s * (1 - s)", "number * s"),
    ("attentive_read_backward", "OWN(dcanvas, D)[e] - number", "-number"),
    ("attentive_read_backward", "Onto{near_dFy", "Into{near_dFy"),
    ("attentive_read_backward", "? sum * centre[k]", "? sum"),
    ("attentive_read_backward", "? -sum", "? sum"),
    ("attentive_read_backward", "? sum * AT(a, 3, b)", "? sum"),
    ("attentive_read_backward", "dlog_gamma = warp_sum(dlog_gamma);", ""),
    ("attentive_read_backward", "/ AT(a, 2, b)", ""),
    ("attentive_write_forward", "+ bias_w[k]", "- bias_w[k]"),
    ("attentive_write_forward", "/ at.gamma", ""),
    ("attentive_write_forward", "Onto{OWN(canvas", "Into{OWN(canvas"),
    ("attentive_write_backward", "number / gamma", "number"),
    ("attentive_write_backward", "dlog_gamma -= number", "dlog_gamma += number"),
    ("attentive_write_backward", "dd += dmu * offsets[i]", "dd += dmu"),
    ("attentive_write_backward", "(k < N ? dgx : dgy)", "dgx"),
    ("attentive_write_backward", "LANE < WARPS ?", "LANE < WARPS - 1 ?"),
    ("attentive_read_forward", "    __syncthreads();\n    product(", "    product("),
    ("attentive_read_forward", "    __syncthreads();\n    product_nt", "    product_nt"),
    ("attentive_read_backward", "    __syncthreads();\n    product_tn", "    product_tn"),
    ("attentive_read_backward", "    __syncthreads();\n    product_nt", "    product_nt"),
    ("attentive_read_backward", "    __syncthreads();\n    look_backward", "    look_backward"),
    ("attentive_read_backward", "    __syncthreads();\n    for (int k", "    for (int k"),
    ("attentive_write_forward", "    __syncthreads();\n    product(", "    product("),
    ("attentive_write_forward", "    __syncthreads();\n    product_tn", "    product_tn"),
    ("attentive_write_backward", "    __syncthreads();\n    product_tn", "    product_tn"),
    ("attentive_write_backward", "    __syncthreads();\n    look_backward", "    look_backward"),
]


def definitions(text):
    """Return the functions of a source by name, in its order, from the first line to the last."""
    begins = r"^(?:template <class Store>\n)?(?:KERNEL|__device__ inline)\b[^(]*?(\w+)\("
    found = re.finditer(rf"{begins}.*?^}}\n", text, re.MULTILINE | re.DOTALL)
    return {match[1]: match[0] for match in found}


def with_callees(name, functions):
    """Name a function and all that it calls, in the source's order."""
    called, new = set(), {name}
    while new:
        called |= new
        bodies = " ".join(functions[each] for each in new)
        new = {each for each in functions if re.search(rf"\b{each}\b", bodies)} - called
    return [each for each in functions if each in called]


def plant(text, number):
    """Copy the faulty kernel and what it calls, with a number to each name, behind the sources."""
    kernel, right, wrong = FAULTS[number]
    functions = definitions(text)
    names = with_callees(kernel, functions)
    copy = "".join(functions[name] for name in names)
    assert copy.count(right) == 1, f"{right!r} is not found once in {kernel}"
    copy = copy.replace(right, wrong)
    return re.sub(rf"\b({'|'.join(names)})\b(?=\()", rf"\1_{number}", copy)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    reason = emulation.why_not()
    if reason is not None:
        pytest.skip(reason)
    text = fused.source()
    text += "".join(plant(text, number) for number in range(len(FAULTS)))
    return emulation.build(tmp_path_factory.mktemp("faulty"), "d", text, warnings=("-w",))


def compare_all(kernels, name):
    """Assert that a twin sets what the reference sets."""
    m = Maker(0, "float64", apart=True)
    if name == "standard_normal":
        compare_noise(kernels, 4001, "float64")
        return
    if name in ELEMENTWISE:
        arguments, sets = elementwise(name, m, 140, 35)
    elif name in ATTENTION + GLIMPSE:
        compare_attention(kernels, name, m, 3, 8, 20, 2)
        return
    elif name == "gradient_norm":
        state = m.constant([0, 0])
        arguments, sets = {"state": state, "gradient": m.dense(600), "count": 3}, ["state"]
    elif name == "decay":
        arguments = {"theta": m.dense(20), "state": m.constant([9, 0]), "part": 0.3}
        sets = ["theta"]
    else:
        arguments = {key: m.dense(20) for key in ("theta", "m")} | {"v": m.positive(20)}
        arguments |= {"work": m.dense(20), "gradient": m.dense(20), "state": m.constant([9, 0])}
        rates = {"clip": 5.0, "lr": 1e-2, "beta1": 0.5, "beta2": 0.999, "eps": 1e-8, "count": 4}
        arguments, sets = arguments | rates, ["theta", "m", "v"]
    compare(kernels, name, arguments, sets)


def differ(kernels, name):
    """Tell whether a twin is found to differ from the reference."""
    try:
        compare_all(kernels, name)
    except AssertionError as error:
        assert "Not equal to tolerance" in str(error) or "wait at a barrier" in str(error)
        return True
    return False


@pytest.mark.parametrize("number", range(len(FAULTS)), ids=lambda n: f"{FAULTS[n][0]}-{n}")
def test_a_planted_fault_is_caught(faulty, number, monkeypatch):
    kernel = FAULTS[number][0]

    def caught(suffix, reverse):
        monkeypatch.setattr(
            fused, "_kernel", lambda name, char: emulation.Kernel(faulty, name + suffix, reverse)
        )
        with np.errstate(all="ignore"):
            return differ(fused, kernel)

    assert not caught("", reverse=False)
    # Without a barrier it depends on the order of the threads who reads too early.
    assert caught(f"_{number}", reverse=False) or caught(f"_{number}", reverse=True)
