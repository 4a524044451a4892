"""The kernels in CUDA: the fused twin of `reference`, one launch for each function.

The functions have the names, arguments and results of those in `reference`, where they are
described; what is called "overwritten" there may stay as it is here. The equations are in
the .cu files beside this one, which are compiled at first use, once per dtype, and kept in
CuPy's cache. Launches go to CuPy's current stream; only one stream of a device at a time may run
`gradient_norm`, whose blocks meet in one scratch array, or a recorded step (`graph.py`), whose
products by cuBLAS share one workspace.
"""

import functools

from ..errors import MindrawError
from .arguments import dense, patches, rows
from .sources import joined

SOURCES = (
    "common.cuh",
    "noise.cu",
    "lstm.cuh",
    "lstm.cu",
    "gaussian.cu",
    "canvas.cu",
    "bernoulli.cu",
    "softmax.cu",
    "aim.cu",
    "optimizer.cu",
    "filters.cuh",
    "filterbank.cu",
    "glimpse.cu",
    "products.cuh",
    "products.cu",
    "attentive.cu",
    "sums.cu",
)
REAL = {"f": "float", "d": "double"}

#: Threads of a block, columns first. One thread for each element: a warp along the columns.
ELEMENTS = (32, 8)
#: A sum over rows: 8 columns fill a sector of 32 bytes, and up to 128 threads share each.
SUMS = (8, 128)
#: One warp for each filter, or for each row to sum.
FILTERS = (32, 8)
#: A block for each example's products, of warps.
PRODUCTS = (32, 8)
#: The same for all of a glimpse: as many as a block can have, since most products are short.
GLIMPSE = (32, 32)
#: Bytes of shared memory that a block of these may ask for, on any GPU: 48 KiB in all.
SHARED = 46 << 10
#: Numbers of a picture that products.cuh can tell apart.
LARGEST = 1 << 22
#: Bytes that the generator of noise gives at a time, to one thread.
NOISE = 32
#: Threads of a block on the flat vector, and most blocks in `gradient_norm`, as in optimizer.cu.
FLAT = 256
MOST_PARTS = 1024


def source():
    """Return the CUDA sources as one translation unit."""
    return joined(SOURCES)


@functools.cache
def _module(char):
    if char not in REAL:
        raise MindrawError(
            f"the CUDA kernels compute in float32 and float64, not in the dtype {char!r}: "
            "use the backend numpy"
        )
    import cupy

    return cupy.RawModule(code=source(), options=(f"-Dreal={REAL[char]}", "--std=c++17"))


@functools.cache
def _kernel(name, char):
    return _module(char).get_function(name)


def _launch(name, grid, block, *arguments, shared=0):
    """Launch a kernel; its first argument is an array, whose dtype is the kernel's `real`.

    Each block has `shared` bytes of shared memory, beside what the kernel itself asks for.
    """
    if 0 not in grid:
        _kernel(name, arguments[0].dtype.char)(grid, block, arguments, shared_mem=shared)


def _blocks(n, size):
    return -(-n // size)


def _elements(name, n, B, *arguments):
    """Launch one thread for each of n rows and B columns."""
    columns, rows = ELEMENTS
    _launch(name, (_blocks(n, rows), _blocks(B, columns)), ELEMENTS, *arguments, n, B)


def _sums(name, n, B, *arguments):
    """Launch a few threads for each of B columns, to sum over n rows."""
    columns, rows = SUMS
    rows = min(rows, 1 << max(n - 1, 0).bit_length())
    _launch(name, (_blocks(B, columns),), (columns, rows), *arguments, n, B)


def _line(name, B, *arguments):
    """Launch one thread for each of B columns."""
    columns, _ = ELEMENTS
    _launch(name, (1, _blocks(B, columns)), (columns, 1), *arguments, B)


def _size(array):
    """Count the rows, over all leading axes, and the columns."""
    columns = array.shape[-1]
    return array.size // columns if columns else 0, columns


def standard_normal(eps, key0, key1, number):
    blocks = _blocks(eps.nbytes, NOISE * FLAT)
    _launch("standard_normal", (blocks,), (FLAT,), *dense(eps), key0, key1, number, eps.size)


def sigmoid(y, x):
    _elements("sigmoid", *_size(y), *rows(y, x))


def lstm_forward(h, cell, gates, constant, cell_prev):
    n, B = cell.shape
    _elements(
        "lstm_forward", n, B,
        *rows(h, cell, gates, constant), int(constant.shape[1] > 1), *rows(cell_prev),
    )  # fmt: skip


def lstm_backward(dgates, dcell, gates, dh, dh_u, dh_v, cell, cell_prev):
    u, v = (dh if more is None else more for more in (dh_u, dh_v))  # a place for what is not there
    arrays = rows(dgates, dcell, gates, dh, u, v, cell, cell_prev)
    there = (int(dh_u is not None), int(dh_v is not None))
    _elements("lstm_backward", *dcell.shape, *arrays, *there)


def gaussian_forward(z, latent, q, bias, eps):
    _sums(
        "gaussian_forward", *z.shape,
        *rows(z), *dense(latent), *rows(q), *dense(bias), *rows(eps),
    )  # fmt: skip


def gaussian_backward(dq, dz, q, z, scale):
    _elements("gaussian_backward", *z.shape, *rows(dq, dz, q, z), float(scale))


def error_image_forward(x_hat, x, canvas):
    _elements("error_image_forward", *_size(x_hat), *rows(x_hat, x, canvas))


def error_image_backward(dcanvas_prev, dx_hat, dcanvas, x_hat, x):
    arrays = rows(dcanvas_prev, dx_hat, dcanvas, x_hat, x)
    _elements("error_image_backward", *_size(x), *arrays)


def add_with_bias(y, x, b):
    _elements("add_with_bias", *y.shape, *rows(y, x), *dense(b))


def bernoulli_forward(loss, work, logits, x):
    _sums("bernoulli_forward", *logits.shape, *dense(loss), *rows(logits, x))


def bernoulli_backward(dlogits, logits, x, scale):
    _elements("bernoulli_backward", *logits.shape, *rows(dlogits, logits, x), float(scale))


def softmax_forward(loss, wrong, p, logits, target):
    _, B = logits.shape
    arrays = (*dense(loss, wrong), *rows(p, logits, target))
    _launch("softmax_forward", (_blocks(B, FLAT),), (FLAT,), *arrays, *logits.shape)


def softmax_backward(dlogits, p, target, scale):
    _elements("softmax_backward", *p.shape, *rows(dlogits, p, target), float(scale))


def aim_forward(loss, a, place, weight, within):
    _line("aim_forward", loss.size, *dense(loss), *rows(a, place), float(weight), float(within))


def aim_backward(dp, a, place, centre, scale, within):
    arrays = (*rows(dp, a, place), *dense(centre))
    _line("aim_backward", dp.shape[1], *arrays, float(scale), float(within))


def row_sums(sums, a):
    n, B = a.shape
    arrays = (*dense(sums), *rows(a))
    _launch("row_sums", (_blocks(n, FILTERS[1]),), FILTERS, *arrays, n, B)


def step_sums(sums, a):
    n, B = sums.shape
    _elements("step_sums", n, B, *rows(sums, a), a.shape[1] // B if B else 0)


def gradient_norm(state, gradient, count):
    blocks = min(max(_blocks(gradient.size, FLAT), 1), MOST_PARTS)
    arrays = dense(state, gradient)
    _launch("gradient_norm", (blocks,), (FLAT,), *arrays, int(count), gradient.size)


def adam(theta, m, v, work, gradient, state, clip, lr, beta1, beta2, eps, count):
    rate = lr / (1 - beta1**count)
    root = (1 - beta2**count) ** -0.5
    _launch(
        "adam", (_blocks(theta.size, FLAT),), (FLAT,), *dense(theta, m, v, gradient, state),
        float(clip), float(rate), float(root), float(beta1), float(beta2), float(eps), theta.size,
    )  # fmt: skip


def decay(theta, state, part):
    arrays = dense(theta, state)
    _launch("decay", (_blocks(theta.size, FLAT),), (FLAT,), *arrays, float(part), theta.size)


def place_forward(mu, a, p, bias, centre, stride, offsets):
    _, B, N = mu.shape
    _elements(
        "place_forward", B, N,
        *dense(mu), *rows(a, p), *dense(bias, centre), float(stride), *dense(offsets),
    )  # fmt: skip


def place_backward(dp, dmu, dlog_s2, dlog_gamma, a, centre, offsets):
    _, B, N = dmu.shape
    columns, _ = ELEMENTS
    _launch(
        "place_backward", (1, _blocks(B, columns)), (columns, 1),
        *rows(dp), *dense(dmu, dlog_s2, dlog_gamma), *rows(a), *dense(centre, offsets), B, N,
    )  # fmt: skip


def filterbank_forward(F, e, mu, s2, pixels):
    axes, B, N, A = F.shape
    grid = (_blocks(axes * B * N, FILTERS[1]) if A else 0,)
    _launch("filterbank_forward", grid, FILTERS, *dense(F, e, mu, s2, pixels), axes, B, N, A)


def filterbank_backward(dmu, dlog_s2, dF, F, e, s2, pixels):
    axes, B, N, A = F.shape
    arrays = dense(dmu, dlog_s2, dF, F, e, s2, pixels)
    _launch("filterbank_backward", (axes * B,), FILTERS, *arrays, B, N, A)


def intensity_forward(r, patch, gamma):
    B, N, K = patch.shape
    _elements("intensity_forward", N * K, B, *patches(r, patch), *dense(gamma))


def intensity_backward(dpatch, dlog_gamma, dr, r, gamma):
    B, N, K = dpatch.shape
    _sums(
        "intensity_backward", N * K, B,
        *patches(dpatch), *dense(dlog_gamma), *patches(dr, r), *dense(gamma),
    )  # fmt: skip


def stroke_forward(patch, w, bias, gamma):
    B, N, K = patch.shape
    _elements("stroke_forward", N * K, B, *patches(patch, w), *dense(bias, gamma))


def stroke_backward(dw, dlog_gamma, dpatch, patch, gamma):
    B, N, K = patch.shape
    _sums(
        "stroke_backward", N * K, B,
        *patches(dw), *dense(dlog_gamma), *patches(dpatch, patch), *dense(gamma),
    )  # fmt: skip


def read_forward(patch, half, x, x_hat, Fy, Fx):
    alone = x_hat is None  # and what stands for it is not touched
    arrays = (patch, half, x, x if alone else x_hat, Fy, Fx)
    _products("read_forward", x, Fy, Fx, *arrays, more=(1 if alone else 2,))


def read_backward(dx_hat, dFy, dFx, dhalf, dpatch, half, x, x_hat, Fy, Fx):
    alone = x_hat is None
    given = (dpatch, half, x, x if alone else x_hat, Fy, Fx)
    arrays = (dhalf if alone else dx_hat, dFy, dFx, dhalf, *given)
    _products("read_backward", x, Fy, Fx, *arrays, more=(1 if alone else 2,))


def write_forward(image, work, half, patch, Fy, Fx):
    _products("write_forward", image, Fy, Fx, image, half, patch, Fy, Fx)


def write_backward(dpatch, dFy, dFx, dhalf, dimage, half, patch, Fy, Fx):
    arrays = (dpatch, dFy, dFx, dhalf, dimage, half, patch, Fy, Fx)
    _products("write_backward", dimage, Fy, Fx, *arrays)


def _products(name, image, Fy, Fx, *arrays, more=()):
    """Launch one block for each example; the sizes follow from an image and its filters."""
    (B, N, H), W = Fy.shape, Fx.shape[2]
    C = image.shape[1] // H if H else 0
    _refuse_large(image)
    _launch(name, (B,), PRODUCTS, *dense(*arrays), *more, H, C, W, N)


def attentive_read_forward(r, x_hat, bank, bias, grid, x, canvas):
    alone = canvas is None  # and what stands for it is not touched
    near = (bank.Fx, bank.Fy, bank.half, *(() if alone else (x_hat,)))
    _glimpse(
        "attentive_read_forward", x, grid, near,
        *patches(r), *dense(x if alone else x_hat),
        *rows(bank.a), *_filters(bank, "F", "e"), *dense(bank.half), *rows(bank.p),
        *dense(bias, grid.centre), float(grid.stride),
        *dense(grid.offsets, grid.columns, grid.rows, x, x if alone else canvas),
        1 if alone else 2,
    )  # fmt: skip


def attentive_read_backward(dp, dcanvas_prev, work, dr, dcanvas, bank, grid, r, x_hat, x):
    alone = x_hat is None
    _glimpse(
        "attentive_read_backward", x, grid, (bank.dFx, bank.dFy, bank.dhalf, bank.dpatch),
        *rows(dp), *dense(bank.dhalf if alone else dcanvas_prev), *patches(dr),
        *dense(x if alone else dcanvas),
        *_filters(bank, "dF"), *dense(bank.dhalf, bank.dpatch),
        *rows(bank.a), *_filters(bank, "F", "e"), *dense(bank.half),
        *dense(grid.centre, grid.offsets, grid.columns, grid.rows),
        *patches(r), *dense(x if alone else x_hat, x), 1 if alone else 2,
    )  # fmt: skip


def attentive_write_forward(canvas, work, bank, w, bias_w, bias, grid):
    _glimpse(
        "attentive_write_forward", canvas, grid, (bank.Fx, bank.Fy, bank.half, bank.patch),
        *dense(canvas), *rows(bank.a), *_filters(bank, "F", "e"),
        *dense(bank.half, bank.patch), *rows(bank.p), *patches(w),
        *dense(bias_w, bias, grid.centre), float(grid.stride),
        *dense(grid.offsets, grid.columns, grid.rows),
    )  # fmt: skip


def attentive_write_backward(dp, dw, dcanvas, bank, grid):
    _glimpse(
        "attentive_write_backward", dcanvas, grid, (bank.dFx, bank.dFy, bank.dhalf),
        *rows(dp), *patches(dw), *dense(dcanvas), *_filters(bank, "dF"), *dense(bank.dhalf),
        *rows(bank.a), *_filters(bank, "F", "e"), *dense(bank.half, bank.patch),
        *dense(grid.centre, grid.offsets, grid.columns, grid.rows),
    )  # fmt: skip


def _filters(bank, *names):
    """Return what a bank has of both axes, x first, under each name."""
    return dense(*(getattr(bank, f"{name}{axis}") for name in names for axis in "xy"))


def _glimpse(name, image, grid, near, *arguments):
    """Launch one block for each example; the sizes follow from an image and its grid.

    `near` names what the block's threads read of each other's: its own arrays of the bank, (B, ...)
    each, or others that lie so. It is in shared memory if there is room for all of it.
    """
    (B, height, W), (H,), (N,) = image.shape, grid.rows.shape, grid.offsets.shape
    _refuse_large(image)
    shared = sum(array[:1].nbytes for array in near)
    shared *= shared <= SHARED
    _launch(
        name, (B,), GLIMPSE, *arguments, int(shared > 0), H, height // H if H else 0, W, N,
        shared=shared,
    )  # fmt: skip


def _refuse_large(image):
    """Refuse pictures (B, H*C, W) that are too large for the kernels with a block for each."""
    _, height, W = image.shape
    if height * W > LARGEST:
        raise MindrawError(
            f"a picture of {height * W:,} numbers is too large for the CUDA kernels of attention, "
            f"which take {LARGEST:,}: give a smaller --size, or use --backend numpy"
        )
