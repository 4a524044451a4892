"""All of a glimpse, one example after the other, so that an example's arrays stay in the cache.

`reference.attentive_read_forward` and its like say what goes in and comes out, and the files beside
them the mathematics. Of one example, Fx is (N, W), Fy (N, H), a picture (H, C, W), what is half
filtered (P*N, C*W) and a patch (P*N, C*N).
"""

import math

import numpy as np
from numba import njit

from .. import reference
from ..reference.filterbank import NARROW
from .canvas import error_image, undo_error_image
from .elementary import COMPILED, exp

#: Multiplications of a filterbank with a picture, above which BLAS is faster.
LARGEST = 40_000


def attentive_read_forward(r, x_hat, bank, bias, grid, x, canvas):
    """The same as `reference.attentive_read_forward`, but that bank.p stays as it is."""
    if _large(bank, x):
        return reference.attentive_read_forward(r, x_hat, bank, bias, grid, x, canvas)
    with_canvas = canvas is not None
    return _read_forward(
        r, x_hat if with_canvas else x, *_places(bank, bias, grid),
        bank.half, bank.patch, x, canvas if with_canvas else x, with_canvas,
    )  # fmt: skip


def attentive_read_backward(dp, dcanvas_prev, work, dr, dcanvas, bank, grid, r, x_hat, x):
    """The same as `reference.attentive_read_backward`, but that it overwrites less."""
    if _large(bank, x):
        return reference.attentive_read_backward(
            dp, dcanvas_prev, work, dr, dcanvas, bank, grid, r, x_hat, x
        )
    pictures = (dcanvas_prev, dcanvas, x_hat)
    with_canvas = x_hat is not None
    return _read_backward(
        dp, *(pictures if with_canvas else (x, x, x)), with_canvas, dr,
        bank.a, bank.Fx, bank.Fy, bank.ex, bank.ey, bank.half, grid.centre, grid.offsets, r, x,
    )  # fmt: skip


def attentive_write_forward(canvas, work, bank, w, bias_w, bias, grid):
    """The same as `reference.attentive_write_forward`, but that bank.p stays as it is."""
    if _large(bank, canvas):
        return reference.attentive_write_forward(canvas, work, bank, w, bias_w, bias, grid)
    bias_w = bias_w.reshape(w.shape[1:])
    return _write_forward(canvas, *_places(bank, bias, grid), bank.half, bank.patch, w, bias_w)


def attentive_write_backward(dp, dw, dcanvas, bank, grid):
    """The same as `reference.attentive_write_backward`, but that it overwrites less."""
    if _large(bank, dcanvas):
        return reference.attentive_write_backward(dp, dw, dcanvas, bank, grid)
    return _write_backward(
        dp, dw, dcanvas, bank.a, bank.Fx, bank.Fy, bank.ex, bank.ey, bank.half, bank.patch,
        grid.centre, grid.offsets,
    )  # fmt: skip


def _large(bank, pictures):
    """Tell whether the products of a glimpse are for BLAS."""
    return bank.Fx.shape[1] * pictures.size > LARGEST * len(pictures)


def _places(bank, bias, grid):
    """Return what `_place` takes."""
    return (
        bank.a, bank.Fx, bank.Fy, bank.ex, bank.ey,
        bank.p, bias, grid.centre, bank.p.dtype.type(grid.stride), grid.offsets,
    )  # fmt: skip


# ------------------------------------------------------------------ the filters


@njit(**COMPILED)
def _place(a, Fx, Fy, ex, ey, p, bias, centre, stride, offsets, b):
    """Build the filters of example b where p and a bias say, and return its gamma."""
    one = Fx.dtype.type(1)
    for axis in range(2):
        a[axis, b] = centre[axis, 0] * (p[axis, b] + bias[axis, 0] + one) - one
    for k in range(2, 5):
        a[k, b] = exp(p[k, b] + bias[k, 0])
    a[3, b] *= stride
    _filters(Fx[b], ex[b], a[0, b], a[3, b], a[2, b], offsets)
    _filters(Fy[b], ey[b], a[1, b], a[3, b], a[2, b], offsets)
    return a[4, b]


@njit(**COMPILED)
def _filters(F, e, g, d, s2, offsets):
    N, A = F.shape
    real = F.dtype.type
    # no weight so small that a product of two is subnormal, see `reference.filterbank_forward`
    least = real(0.45) * real(math.log(np.finfo(F.dtype).tiny))
    width = real(0.5) / s2
    for i in range(N):
        mu = g + d * offsets[i]
        nearest = min(max(np.rint(mu), real(0)), real(A - 1))
        beyond = nearest - real(2) * mu
        F_i, e_i, total = F[i], e[i], real(0)
        for k in range(A):
            pixel = real(k)
            y = (nearest - pixel) * (pixel + beyond) * width
            e_i[k] = y
            weight = exp(y if not y < least else least)
            F_i[k] = weight
            total += weight
        if s2 < real(NARROW):  # such a weight times so steep an exponent would count
            total = real(0)
            for k in range(A):
                if e_i[k] < least:
                    F_i[k] = real(0)
                e_i[k] = max(e_i[k], real(-1e30))
                total += F_i[k]
        share = real(1) / total
        for k in range(A):
            F_i[k] *= share


@njit(**COMPILED)
def _filters_backward(dF, F, e, offsets):
    """Return the sums over the filters of dmu, of o dmu, both times s2, and dlog s2."""
    N, A = F.shape
    real = F.dtype.type
    shift, spread, dlog_s2 = real(0), real(0), real(0)
    for i in range(N):
        dF_i, F_i, e_i, mean = dF[i], F[i], e[i], real(0)
        for k in range(A):
            mean += dF_i[k] * F_i[k]
        dmu, de_e = real(0), real(0)
        for k in range(A):
            de = F_i[k] * (dF_i[k] - mean)
            dmu += de * real(k)
            de_e += de * e_i[k]
        shift += dmu
        spread += dmu * offsets[i]
        dlog_s2 -= de_e
    return shift, spread, dlog_s2


@njit(**COMPILED)
def _place_backward(dp, dFx, dFy, dlog_gamma, a, Fx, Fy, ex, ey, centre, offsets, b):
    shift_x, spread_x, dlog_s2_x = _filters_backward(dFx, Fx[b], ex[b], offsets)
    shift_y, spread_y, dlog_s2_y = _filters_backward(dFy, Fy[b], ey[b], offsets)
    s2 = a[2, b]
    dp[0, b] = centre[0, 0] * shift_x / s2
    dp[1, b] = centre[1, 0] * shift_y / s2
    dp[2, b] = dlog_s2_x + dlog_s2_y
    dp[3, b] = a[3, b] * (spread_x + spread_y) / s2
    dp[4, b] = dlog_gamma


# ------------------------------------------------------------------ the products of one example


@njit(**COMPILED)
def _add_products(out, weights, rows):
    """out[i] += sum_h weights[i, h] rows[h]."""
    for i in range(len(out)):
        out_i = out[i]
        for h in range(len(rows)):
            weight, row = weights[i, h], rows[h]
            for k in range(row.size):
                out_i[k] += weight * row[k]


@njit(**COMPILED)
def _set_inner(out, left, right):
    """out[i, h] = sum_k left[i, k] right[h, k]."""
    for i in range(len(left)):
        left_i = left[i]
        for h in range(len(right)):
            right_h, total = right[h], left.dtype.type(0)
            for k in range(left_i.size):
                total += left_i[k] * right_h[k]
            out[i, h] = total


# ------------------------------------------------------------------ reading and writing


@njit(**COMPILED)
def _read_forward(
    r, x_hat, a, Fx, Fy, ex, ey, p, bias, centre, stride, offsets, half, patch, x, canvas, both
):
    B, N, W = Fx.shape
    H = Fy.shape[2]
    C = x.shape[1] // H
    for b in range(B):
        gamma = _place(a, Fx, Fy, ex, ey, p, bias, centre, stride, offsets, b)
        half[b, :] = 0
        _add_products(half[b, :N], Fy[b], x[b].reshape(H, C * W))
        if both:
            error_image(x_hat[b], x[b], canvas[b])
            _add_products(half[b, N:], Fy[b], x_hat[b].reshape(H, C * W))
        rows = half.shape[1] * C
        _set_inner(patch[b].reshape(rows, N), half[b].reshape(rows, W), Fx[b])
        for i in range(half.shape[1]):
            for k in range(C * N):
                r[b, i, k] = gamma * patch[b, i, k]


@njit(**COMPILED)
def _read_backward(
    dp, dcanvas_prev, dcanvas, x_hat, both, dr, a, Fx, Fy, ex, ey, half, centre, offsets, r, x
):
    B, N, W = Fx.shape
    H = Fy.shape[2]
    C = x.shape[1] // H
    real, P = Fx.dtype.type, 2 if both else 1
    dpatch, dhalf = np.empty((P * N, C * N), Fx.dtype), np.empty((P * N, C * W), Fx.dtype)
    dFx, dFy = np.empty((N, W), Fx.dtype), np.empty((N, H), Fx.dtype)
    more, dx_hat = np.empty((N, H), Fx.dtype), np.empty((H, C * W), Fx.dtype)
    for b in range(B):
        dlog_gamma, gamma = real(0), a[4, b]
        for i in range(P * N):
            for k in range(C * N):
                dlog_gamma += dr[b, i, k] * r[b, i, k]
                dpatch[i, k] = gamma * dr[b, i, k]
        drows, rows = dpatch.reshape(P * N * C, N), half[b].reshape(P * N * C, W)
        dFx[:] = 0
        dhalf[:] = 0
        _add_products(dFx, drows.T, rows)
        _add_products(dhalf.reshape(P * N * C, W), drows, Fx[b])
        _set_inner(dFy, dhalf[:N], x[b].reshape(H, C * W))
        if both:
            _set_inner(more, dhalf[N:], x_hat[b].reshape(H, C * W))
            dFy += more
            dx_hat[:] = 0
            _add_products(dx_hat, Fy[b].T, dhalf[N:])
            flow = dx_hat.reshape(H * C, W)
            undo_error_image(dcanvas_prev[b], flow, dcanvas[b], x_hat[b], x[b])
        _place_backward(dp, dFx, dFy, dlog_gamma, a, Fx, Fy, ex, ey, centre, offsets, b)


@njit(**COMPILED)
def _write_forward(
    canvas, a, Fx, Fy, ex, ey, p, bias, centre, stride, offsets, half, patch, w, bias_w
):
    B, N, W = Fx.shape
    H = Fy.shape[2]
    C = canvas.shape[1] // H
    for b in range(B):
        gamma = _place(a, Fx, Fy, ex, ey, p, bias, centre, stride, offsets, b)
        for i in range(N):
            for k in range(C * N):
                patch[b, i, k] = (w[b, i, k] + bias_w[i, k]) / gamma
        half[b, :] = 0
        _add_products(half[b].reshape(N * C, W), patch[b].reshape(N * C, N), Fx[b])
        _add_products(canvas[b].reshape(H, C * W), Fy[b].T, half[b])


@njit(**COMPILED)
def _write_backward(dp, dw, dcanvas, a, Fx, Fy, ex, ey, half, patch, centre, offsets):
    B, N, W = Fx.shape
    H = Fy.shape[2]
    C = dcanvas.shape[1] // H
    real = Fx.dtype.type
    dpatch, dhalf = np.empty((N, C * N), Fx.dtype), np.empty((N, C * W), Fx.dtype)
    dFx, dFy = np.empty((N, W), Fx.dtype), np.empty((N, H), Fx.dtype)
    for b in range(B):
        flow, dlog_gamma, gamma = dcanvas[b].reshape(H, C * W), real(0), a[4, b]
        _set_inner(dFy, half[b], flow)
        dhalf[:] = 0
        _add_products(dhalf, Fy[b], flow)
        dFx[:] = 0
        _add_products(dFx, patch[b].reshape(N * C, N).T, dhalf.reshape(N * C, W))
        _set_inner(dpatch.reshape(N * C, N), dhalf.reshape(N * C, W), Fx[b])
        for i in range(N):
            for k in range(C * N):
                dlog_gamma -= patch[b, i, k] * dpatch[i, k]
                dw[b, i, k] = dpatch[i, k] / gamma
        _place_backward(dp, dFx, dFy, dlog_gamma, a, Fx, Fy, ex, ey, centre, offsets, b)
