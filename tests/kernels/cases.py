"""Arguments for every kernel, laid out as in the engine: rows apart, with a guard around them."""

import re
from types import SimpleNamespace

import numpy as np

from mindraw.kernels import reference
from mindraw.nn.filterbank import Bank, bank_shapes


class Argument:
    """An array inside a larger buffer of NaN.

    Parameters
    ----------
    array : numpy.ndarray
        Two-dimensional where rows lie apart, any shape where the array is contiguous.
    pad : list of tuple of int, or int
        Elements of guard before and after each axis; an int goes around the flat array.
    view : callable
        From the array as it lies to the argument.
    """

    def __init__(self, array, pad, view=lambda array: array):
        self.shape, self.view = array.shape, view
        flat = array.ravel() if isinstance(pad, int) else array
        self.buffer = np.pad(flat, pad, constant_values=np.nan)
        pads = np.broadcast_to(pad, (flat.ndim, 2))
        self.inner = tuple(
            slice(before, before + n) for (before, _), n in zip(pads, flat.shape, strict=True)
        )

    def on(self, convert):
        """Return a copy of the buffer, converted, and the argument in it."""
        buffer = convert(self.buffer.copy())
        return buffer, self.view(buffer[self.inner].reshape(self.shape))

    def intact(self, buffer):
        """Tell whether nothing was written into the guard of a NumPy buffer."""
        guard = np.ones(buffer.shape, bool)
        guard[self.inner] = False
        return np.isnan(buffer[guard]).all()


class Maker:
    """Draws arguments of one dtype."""

    def __init__(self, seed, dtype, apart):
        self.rng, self.dtype, self.apart = np.random.default_rng(seed), dtype, apart

    def _draw(self, shape, scale=1.0):
        return (scale * self.rng.standard_normal(shape)).astype(self.dtype)

    def rows(self, n, B, scale=1.0):
        pad = [(1, 1), (2, 3)] if self.apart else [(1, 1), (0, 0)]
        return Argument(self._draw((n, B), scale), pad)

    def image(self, b, n, W):
        return Argument(self._draw((b, n, W)), 5)

    def picture(self, D, B):
        return Argument(self.rng.random((D, B)).astype(self.dtype), [(1, 1), (2, 1)])

    def patches(self, B, N, K):
        """(B, N, K), as the model's rows lie."""
        pad = [(1, 1), (2, 3)] if self.apart else [(1, 1), (0, 0)]
        return Argument(
            self._draw((N * K, B)), pad, lambda a: a.reshape(N, K, B).transpose(2, 0, 1)
        )

    def dense(self, *shape, scale=1.0):
        return Argument(self._draw(shape, scale), 7)

    def positive_rows(self, n, B):
        return Argument(np.exp(self._draw((n, B), 0.5)), [(1, 1), (2, 3)])

    def positive(self, *shape):
        return Argument(np.exp(self._draw(shape, 0.5)), 7)

    def constant(self, array):
        return Argument(np.asarray(array, self.dtype), 7)


def elementwise(name, m, n, B):
    """Return the arguments of a kernel on n rows and B columns, and the names of those it sets."""
    scalar = 0.37
    if name == "sigmoid":
        return {"y": m.rows(n, B), "x": m.rows(n, B, 30)}, ["y"]
    if name.startswith("lstm_forward"):
        states = {key: m.rows(n, B) for key in ("h", "cell")}
        constant = m.rows(4 * n, B) if name.endswith("columns") else m.dense(4 * n, 1)
        gates = {"gates": m.rows(4 * n, B, 3), "constant": constant}
        return states | gates | {"cell_prev": m.rows(n, B)}, [*states, "gates"]
    if name.startswith("lstm_backward"):
        without = {"lstm_backward_once": ("dh_u", "dh_v"), "lstm_backward_twice": ("dh_v",)}
        without = without.get(name, ())
        flows = {"dh": 1, "dh_u": 1, "dh_v": 1}
        sizes = {"dgates": 4, "dcell": 1, "gates": 4} | flows | {"cell": 1, "cell_prev": 1}
        arrays = {key: m.rows(k * n, B, 0.5) for key, k in sizes.items()}
        return arrays | {key: None for key in without}, ["dgates", "dcell"]
    if name == "gaussian_forward":
        return {
            "z": m.rows(n, B), "latent": m.dense(B), "q": m.rows(2 * n, B),
            "bias": m.dense(2 * n, 1), "eps": m.rows(n, B),
        }, ["z", "latent", "q"]  # fmt: skip
    if name == "gaussian_backward":
        arrays = {"dq": m.rows(2 * n, B), "dz": m.rows(n, B), "q": m.rows(2 * n, B)}
        return arrays | {"z": m.rows(n, B), "scale": scalar}, ["dq"]
    if name == "error_image_forward":
        return {key: m.rows(n, B, 3) for key in ("x_hat", "x", "canvas")}, ["x_hat"]
    if name == "error_image_backward":
        keys = ("dcanvas_prev", "dx_hat", "dcanvas", "x_hat", "x")
        return {key: m.rows(n, B) for key in keys}, ["dcanvas_prev"]
    if name == "bernoulli_forward":
        return {
            "loss": m.dense(B), "work": m.rows(n, B),
            "logits": m.rows(n, B, 30), "x": m.picture(n, B),
        }, ["loss"]  # fmt: skip
    if name == "softmax_forward":
        arrays = {"p": m.rows(n or 1, B), "logits": m.rows(n or 1, B, 30)}
        sets = {"loss": m.dense(B), "wrong": m.dense(B)}
        return sets | arrays | {"target": m.picture(n or 1, B)}, [*sets, "p"]
    if name == "softmax_backward":
        arrays = {"dlogits": m.rows(n, B), "p": m.picture(n, B), "target": m.picture(n, B)}
        return arrays | {"scale": scalar}, ["dlogits"]
    if name == "aim_forward":
        arrays = {"loss": m.dense(B), "a": m.rows(5, B, 9), "place": m.rows(2, B, 9)}
        return arrays | {"weight": scalar, "within": 7.5}, ["loss"]
    if name == "aim_backward":
        arrays = {"dp": m.rows(5, B), "a": m.rows(5, B, 9), "place": m.rows(2, B, 9)}
        centre = m.constant([[17.5], [20.5]])
        return arrays | {"centre": centre, "scale": scalar, "within": 7.5}, ["dp"]
    if name == "row_sums":
        return {"sums": m.dense(n, 1), "a": m.rows(n, B)}, ["sums"]
    if name == "step_sums":
        return {"sums": m.rows(n, B), "a": m.rows(n, 3 * B)}, ["sums"]
    if name == "add_with_bias":
        return {"y": m.rows(n, B), "x": m.rows(n, B), "b": m.dense(n, 1)}, ["y"]
    arrays = {"dlogits": m.rows(n, B), "logits": m.rows(n, B, 30), "x": m.picture(n, B)}
    return arrays | {"scale": scalar}, ["dlogits"]


ELEMENTWISE = (
    "sigmoid", "lstm_forward", "lstm_forward_columns", "lstm_backward", "lstm_backward_once",
    "lstm_backward_twice", "gaussian_forward", "gaussian_backward", "error_image_forward",
    "error_image_backward", "bernoulli_forward", "bernoulli_backward", "softmax_forward",
    "softmax_backward", "aim_forward", "aim_backward", "row_sums", "step_sums", "add_with_bias",
)  # fmt: skip


def attention(name, m, B, N, A, C):
    """The same for a kernel of attention: B examples, N filters, A pixels, C channels or axes."""
    offsets = m.constant(np.arange(N) - (N - 1) / 2)
    centre, pixels = m.constant([[(A + 1) / 2], [(A + 3) / 2]]), m.constant(np.arange(A))
    K = C * N
    if name == "place_forward":
        return {
            "mu": m.dense(2, B, N), "a": m.dense(5, B), "p": m.dense(5, B),
            "bias": m.dense(5, 1), "centre": centre, "stride": 2.3, "offsets": offsets,
        }, ["mu", "a"]  # fmt: skip
    if name == "place_backward":
        return {
            "dp": m.rows(5, B), "dmu": m.dense(2, B, N), "dlog_s2": m.dense(2, B),
            "dlog_gamma": m.dense(B), "a": m.dense(5, B), "centre": centre, "offsets": offsets,
        }, ["dp"]  # fmt: skip
    if name == "filterbank_forward":
        return {
            "F": m.dense(C, B, N, A), "e": m.dense(C, B, N, A), "mu": m.dense(C, B, N, scale=A),
            "s2": m.positive(B), "pixels": pixels,
        }, ["F", "e"]  # fmt: skip
    if name == "filterbank_backward":
        return {
            "dmu": m.dense(C, B, N), "dlog_s2": m.dense(C, B), "dF": m.dense(C, B, N, A),
            "F": m.dense(C, B, N, A), "e": m.dense(C, B, N, A), "s2": m.positive(B),
            "pixels": pixels,
        }, ["dmu", "dlog_s2"]  # fmt: skip
    banks = {"Fy": m.dense(B, N, A + 2), "Fx": m.dense(B, N, A)}
    image, dbanks = (B, (A + 2) * C, A), {f"d{key}": m.dense(*a.shape) for key, a in banks.items()}
    if name.startswith("read"):
        P = 1 if name.endswith("alone") else 2
        patch, half = m.dense(B, P * N, K), m.dense(B, P * N, C * A)
        pictures = {"x": m.dense(*image), "x_hat": m.dense(*image) if P == 2 else None}
    if name.startswith("read_forward"):
        return {"patch": patch, "half": half} | pictures | banks, ["patch", "half"]
    if name.startswith("read_backward"):
        dx_hat = {"dx_hat": m.dense(*image) if P == 2 else None}
        dbanks["dhalf"] = m.dense(*half.shape)
        given = {"dpatch": patch, "half": half} | pictures
        return dx_hat | dbanks | given | banks, [*(dx_hat if P == 2 else ()), *dbanks]
    patch, half, image = m.dense(B, N, K), m.dense(B, N, C * A), m.dense(*image)
    dbanks["dhalf"] = m.dense(*half.shape)
    if name == "write_forward":
        work = m.dense(*image.shape)
        given = {"image": image, "work": work, "half": half, "patch": patch}
        return given | banks, ["image", "half"]
    if name == "write_backward":
        given = {"dimage": image, "half": half, "patch": patch}
        dpatch = m.dense(*patch.shape)
        return {"dpatch": dpatch} | dbanks | given | banks, ["dpatch", *dbanks]
    patches, gamma = m.dense(B, N, K), {"gamma": m.positive(B)}
    if name == "intensity_forward":
        return {"r": m.patches(B, N, K), "patch": patches} | gamma, ["r"]
    if name == "intensity_backward":
        strided = {"dr": m.patches(B, N, K), "r": m.patches(B, N, K)}
        sets = {"dpatch": patches, "dlog_gamma": m.dense(B)}
        return sets | strided | gamma, [*sets]
    if name == "stroke_forward":
        given = {"w": m.patches(B, N, K), "bias": m.dense(N * K, 1)}
        return {"patch": patches} | given | gamma, ["patch"]
    sets = {"dw": m.patches(B, N, K), "dlog_gamma": m.dense(B)}
    return sets | {"dpatch": patches, "patch": m.dense(B, N, K)} | gamma, [*sets]


ATTENTION = (
    "place_forward", "place_backward", "filterbank_forward", "filterbank_backward",
    "intensity_forward", "intensity_backward", "stroke_forward", "stroke_backward",
    "read_forward", "read_forward_alone", "read_backward", "read_backward_alone",
    "write_forward", "write_backward",
)  # fmt: skip


def glimpse(name, m, B, N, A, C):
    """The same for a kernel of all of a glimpse; members of a bank and a grid are named so."""
    P = 1 if "alone" in name or "write" in name else 2
    H, image = A + 2, (B, (A + 2) * C, A)
    shapes = bank_shapes(B, H, A, C, N, P)
    bank = {f"bank.{key}": m.dense(*shape) for key, shape in shapes.items()}
    bank |= {"bank.p": m.rows(5, B, 0.3), "bank.a": m.positive_rows(5, B)}
    grid = {
        "grid.centre": m.constant([[(A + 1) / 2], [(H + 1) / 2]]), "grid.stride": H / (N + 1),
        "grid.offsets": m.constant(np.arange(N) - (N - 1) / 2),
        "grid.columns": m.constant(np.arange(A)), "grid.rows": m.constant(np.arange(H)),
    }  # fmt: skip
    made = [f"bank.{key}" for key in ("a", "F", "e", "half")]
    bias, x, dp = m.dense(5, 1, scale=0.3), m.dense(*image), m.rows(5, B)
    beside = (lambda: None) if P == 1 else (lambda: m.dense(*image))
    r, stroke = (lambda: m.patches(B, P * N, C * N)), (lambda: m.patches(B, N, C * N))
    if name.startswith("attentive_read_forward"):
        arguments = {"r": r(), "x_hat": beside()} | bank | {"bias": bias} | grid
        sets = ["r", *made, *(["x_hat"] if P == 2 else [])]
        return arguments | {"x": x, "canvas": beside()}, sets
    if name.startswith("attentive_read_backward"):
        sets = {"dp": dp, "dcanvas_prev": beside()}
        arguments = sets | {"work": beside(), "dr": r(), "dcanvas": beside()} | bank | grid
        sets = list(sets) if P == 2 else ["dp"]
        return arguments | {"r": r(), "x_hat": beside(), "x": x}, sets
    if name == "attentive_write_forward":
        arguments = {"canvas": x, "work": m.dense(*image)} | bank | {"w": stroke()}
        arguments |= {"bias_w": m.dense(N * C * N, 1), "bias": bias} | grid
        return arguments, ["canvas", *made, "bank.patch"]
    return {"dp": dp, "dw": stroke(), "dcanvas": x} | bank | grid, ["dp", "dw"]


GLIMPSE = (
    "attentive_read_forward", "attentive_read_forward_alone", "attentive_read_backward",
    "attentive_read_backward_alone", "attentive_write_forward", "attentive_write_backward",
)  # fmt: skip


def adam(m, size, norm):
    """The same for Adam, on so many numbers whose gradients have such a norm."""
    arguments = {
        "theta": m.dense(size), "m": m.dense(size), "v": m.positive(size),
        "work": m.dense(min(size, reference.BLOCK)), "gradient": m.dense(size, scale=3),
        "state": m.constant([norm, 0]), "clip": 5.0, "lr": 1e-2, "beta1": 0.5, "beta2": 0.999,
        "eps": 1e-8, "count": 4,
    }  # fmt: skip
    return arguments, ["theta", "m", "v"]


def kernel_of(name):
    """Return the kernel that a name in one of the lists stands for."""
    return re.sub("_(columns|once|twice|alone)$", "", name)


def grouped(arguments):
    """Put what is named as a member of a grid or a bank into one."""
    groups = {}
    for key, value in arguments.items():
        name, _, member = key.partition(".")
        if member:
            groups.setdefault(name, {})[member] = value
        else:
            groups[name] = value
    if "grid" in groups:
        groups["grid"] = SimpleNamespace(**groups["grid"])
        bank = groups["bank"]
        groups["bank"] = Bank(groups["grid"], bank.pop("p"), bank)
    return groups


def launch(function, arguments, convert=lambda array: array, back=lambda array: array):
    """Call a kernel on a copy of its arguments; return what they became, in NumPy."""
    placed, buffers = {}, {}
    for key, argument in arguments.items():
        if isinstance(argument, Argument):
            buffers[key], placed[key] = argument.on(convert)
        else:
            placed[key] = argument
    function(**grouped(placed))
    for key, buffer in buffers.items():
        assert arguments[key].intact(back(buffer)), f"{key} was written outside"
    return {key: back(value) if key in buffers else value for key, value in placed.items()}
