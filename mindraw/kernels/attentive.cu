// Attentive reading and writing as one launch each: the filters, the products, the intensity, and
// the error image, one after the other, by one block for each example. Nothing crosses between
// examples, so that barriers of a block are all it takes. What its threads read of each other's lies
// in shared memory if there is enough (`there`); what the backward pass reads is written elsewhere,
// too, and fetched ahead there, since after so many steps it has left every cache.
#include "filters.cuh"
#include "products.cuh"

// An axis of one example: its N filters over A pixels.
struct Axis {
    real *F, *e, *copy;  // of F
    const real *pixels;
    int A;
};

struct AxisBackward {
    const real *dF, *F, *e, *pixels;
    int A;
};

// The filters of both axes, one warp for each in turn.
__device__ inline void filters(const Axis &x, const Axis &y, const Place &at, const real *offsets,
                               int N)
{
    for (int k = WARP; k < 2 * N; k += WARPS) {
        const int i = k % N;
        const Axis &axis = k < N ? x : y;
        const real mu = (k < N ? at.gx : at.gy) + at.d * offsets[i];
        const int row = i * axis.A;
        filter(axis.F + row, axis.e + row, axis.copy + row, mu, at.s2, axis.pixels, axis.A);
    }
}

// dp from the gradients at the filters and this thread's share of that at log gamma. All threads
// of the block call it, once in a kernel.
__device__ inline void look_backward(real *dp, integer dp_row, const AxisBackward &x,
                                     const AxisBackward &y, real dlog_gamma, const real *a,
                                     integer a_row, const real *centre, const real *offsets,
                                     int N)
{
    __shared__ real warps[5][MOST_THREADS / 32];
    const integer b = blockIdx.x;
    real dgx = 0, dgy = 0, dwidth = 0, dd = 0;
    for (int k = WARP; k < 2 * N; k += WARPS) {
        const int i = k % N;
        const AxisBackward &axis = k < N ? x : y;
        const int row = i * axis.A;
        const real dmu = filter_backward(dwidth, axis.dF + row, axis.F + row, axis.e + row,
                                         axis.pixels, axis.A) / AT(a, 2, b);
        (k < N ? dgx : dgy) += dmu;
        dd += dmu * offsets[i];
    }
    dwidth = warp_sum(dwidth);
    dlog_gamma = warp_sum(dlog_gamma);
    if (LANE == 0) {
        warps[0][WARP] = dgx;
        warps[1][WARP] = dgy;
        warps[2][WARP] = dwidth;
        warps[3][WARP] = dd;
        warps[4][WARP] = dlog_gamma;
    }
    __syncthreads();
    for (int k = WARP; k < 5; k += WARPS) {
        const real sum = warp_sum(LANE < WARPS ? warps[k][LANE] : real(0));
        if (LANE > 0) continue;
        AT(dp, k, b) = k < 2 ? sum * centre[k] : k == 2 ? -sum : k == 3 ? sum * AT(a, 3, b) : sum;
    }
}

// r = gamma [Fy x; Fy x_hat] Fx^T, x_hat = x - sigma(canvas). Of P = 1 pictures, x alone.
KERNEL WIDE attentive_read_forward(PATCH(r), DENSE(x_hat), ROWS(a), DENSE(Fx), DENSE(Fy), DENSE(ex),
                              DENSE(ey), DENSE(half), CONST_ROWS(p), CONST_DENSE(bias),
                              CONST_DENSE(centre), double stride, CONST_DENSE(offsets),
                              CONST_DENSE(columns), CONST_DENSE(rows), CONST_DENSE(x),
                              CONST_DENSE(canvas), integer P, integer there, integer H, integer C,
                              integer W, integer N)
{
    SHARED(shared);
    Room room{there ? shared : nullptr};
    const integer b = blockIdx.x;
    const int D = H * C * W;
    real *near_Fx = room.take(OWN(Fx, N * W), N * W), *near_Fy = room.take(OWN(Fy, N * H), N * H);
    real *of_x = OWN(half, P * N * C * W), *of_x_hat = of_x + N * C * W;
    real *near_x = room.take(of_x, P * N * C * W), *near_x_hat = near_x + N * C * W;
    const Place at = place(p, p_row, bias, centre, stride, b);
    if (THREAD == 0) keep(a, a_row, at, b);
    filters({OWN(Fx, N * W), OWN(ex, N * W), near_Fx, columns, int(W)},
            {OWN(Fy, N * H), OWN(ey, N * H), near_Fy, rows, int(H)}, at, offsets, N);
    real *errors = P == 2 ? room.take(OWN(x_hat, D), D) : nullptr;
    if (P == 2)
        for (int e = THREAD; e < D; e += THREADS)
            OWN(x_hat, D)[e] = errors[e] = OWN(x, D)[e] - sigma(OWN(canvas, D)[e]);
    __syncthreads();
    product(Both{of_x, near_x}, near_Fy, OWN(x, D), N, H, C * W);
    if (P == 2) product(Both{of_x_hat, near_x_hat}, near_Fy, errors, N, H, C * W);
    __syncthreads();
    product_nt([=](int e, real number) { OF(r, b, e) = at.gamma * number; }, near_x, near_Fx,
               P * N * C, W, N);
}

// dcanvas_prev = dcanvas - dx_hat s (1 - s), with s = sigma(canvas) = x - x_hat.
KERNEL WIDE attentive_read_backward(ROWS(dp), DENSE(dcanvas_prev), CONST_PATCH(dr), CONST_DENSE(dcanvas),
                               DENSE(dFx), DENSE(dFy), DENSE(dhalf), DENSE(dpatch), CONST_ROWS(a),
                               CONST_DENSE(Fx), CONST_DENSE(Fy), CONST_DENSE(ex), CONST_DENSE(ey),
                               CONST_DENSE(half), CONST_DENSE(centre), CONST_DENSE(offsets),
                               CONST_DENSE(columns), CONST_DENSE(rows), CONST_PATCH(r),
                               CONST_DENSE(x_hat), CONST_DENSE(x), integer P, integer there,
                               integer H, integer C, integer W, integer N)
{
    SHARED(shared);
    Room room{there ? shared : nullptr};
    const integer b = blockIdx.x;
    const int D = H * C * W, M = P * N * C * N;
    ahead(OWN(half, P * N * C * W), P * N * C * W);
    ahead(OWN(Fx, N * W), N * W);
    ahead(OWN(Fy, N * H), N * H);
    ahead(OWN(ex, N * W), N * W);
    ahead(OWN(ey, N * H), N * H);
    real *near_dFx = room.take(OWN(dFx, N * W), N * W);
    real *near_dFy = room.take(OWN(dFy, N * H), N * H);
    real *of_x = room.take(OWN(dhalf, P * N * C * W), P * N * C * W), *of_x_hat = of_x + N * C * W;
    real *drows = room.take(OWN(dpatch, M), M);
    const real gamma = AT(a, 4, b);
    real dlog_gamma = 0;
    for (int k = THREAD; k < M; k += THREADS) {
        drows[k] = OF(dr, b, k) * gamma;
        dlog_gamma += OF(dr, b, k) * OF(r, b, k);
    }
    if (P == 2) ahead(OWN(x_hat, D), D);
    __syncthreads();
    product_tn(Into{near_dFx}, drows, OWN(half, P * N * C * W), N, P * N * C, W);
    product(Into{of_x}, drows, OWN(Fx, N * W), P * N * C, N, W);
    __syncthreads();
    product_nt(Into{near_dFy}, of_x, OWN(x, D), N, C * W, H);
    if (P == 2) {
        product_nt(Onto{near_dFy}, of_x_hat, OWN(x_hat, D), N, C * W, H);
        product_tn(
            [=](int e, real number) {
                const real s = OWN(x, D)[e] - OWN(x_hat, D)[e];
                OWN(dcanvas_prev, D)[e] = OWN(dcanvas, D)[e] - number * s * (1 - s);
            },
            OWN(Fy, N * H), of_x_hat, H, N, C * W);
    }
    __syncthreads();
    look_backward(dp, dp_row, {near_dFx, OWN(Fx, N * W), OWN(ex, N * W), columns, int(W)},
                  {near_dFy, OWN(Fy, N * H), OWN(ey, N * H), rows, int(H)}, dlog_gamma, a, a_row,
                  centre, offsets, N);
}

// patch = (w + bias_w) / gamma;  canvas += Fy^T patch Fx.
KERNEL WIDE attentive_write_forward(DENSE(canvas), ROWS(a), DENSE(Fx), DENSE(Fy), DENSE(ex), DENSE(ey),
                               DENSE(half), DENSE(patch), CONST_ROWS(p), CONST_PATCH(w),
                               CONST_DENSE(bias_w), CONST_DENSE(bias), CONST_DENSE(centre),
                               double stride, CONST_DENSE(offsets), CONST_DENSE(columns),
                               CONST_DENSE(rows), integer there, integer H, integer C, integer W,
                               integer N)
{
    SHARED(shared);
    Room room{there ? shared : nullptr};
    const integer b = blockIdx.x;
    const int M = N * C * N;
    real *near_Fx = room.take(OWN(Fx, N * W), N * W), *near_Fy = room.take(OWN(Fy, N * H), N * H);
    real *near_half = room.take(OWN(half, N * C * W), N * C * W);
    real *near_patch = room.take(OWN(patch, M), M);
    const Place at = place(p, p_row, bias, centre, stride, b);
    if (THREAD == 0) keep(a, a_row, at, b);
    for (int k = THREAD; k < M; k += THREADS)
        OWN(patch, M)[k] = near_patch[k] = (OF(w, b, k) + bias_w[k]) / at.gamma;
    filters({OWN(Fx, N * W), OWN(ex, N * W), near_Fx, columns, int(W)},
            {OWN(Fy, N * H), OWN(ey, N * H), near_Fy, rows, int(H)}, at, offsets, N);
    __syncthreads();
    product(Both{OWN(half, N * C * W), near_half}, near_patch, near_Fx, N * C, N, W);
    __syncthreads();
    product_tn(Onto{OWN(canvas, H * C * W)}, near_Fy, near_half, H, N, C * W);
}

KERNEL WIDE attentive_write_backward(ROWS(dp), PATCH(dw), CONST_DENSE(dcanvas), DENSE(dFx), DENSE(dFy),
                                DENSE(dhalf), CONST_ROWS(a), CONST_DENSE(Fx), CONST_DENSE(Fy),
                                CONST_DENSE(ex), CONST_DENSE(ey), CONST_DENSE(half),
                                CONST_DENSE(patch), CONST_DENSE(centre), CONST_DENSE(offsets),
                                CONST_DENSE(columns), CONST_DENSE(rows), integer there, integer H,
                                integer C, integer W, integer N)
{
    SHARED(shared);
    Room room{there ? shared : nullptr};
    const integer b = blockIdx.x;
    const int D = H * C * W, M = N * C * N;
    ahead(OWN(Fx, N * W), N * W);
    ahead(OWN(patch, M), M);
    ahead(OWN(ex, N * W), N * W);
    ahead(OWN(ey, N * H), N * H);
    real *near_dFx = room.take(OWN(dFx, N * W), N * W);
    real *near_dFy = room.take(OWN(dFy, N * H), N * H);
    real *drows = room.take(OWN(dhalf, N * C * W), N * C * W);
    const real gamma = AT(a, 4, b);
    real dlog_gamma = 0;
    product_nt(Into{near_dFy}, OWN(half, N * C * W), OWN(dcanvas, D), N, C * W, H);
    product(Into{drows}, OWN(Fy, N * H), OWN(dcanvas, D), N, H, C * W);
    __syncthreads();
    product_tn(Into{near_dFx}, OWN(patch, M), drows, N, N * C, W);
    product_nt(
        [=, &dlog_gamma](int e, real number) {
            OF(dw, b, e) = number / gamma;
            dlog_gamma -= number * OWN(patch, M)[e];
        },
        drows, OWN(Fx, N * W), N * C, W, N);
    __syncthreads();
    look_backward(dp, dp_row, {near_dFx, OWN(Fx, N * W), OWN(ex, N * W), columns, int(W)},
                  {near_dFy, OWN(Fy, N * H), OWN(ey, N * H), rows, int(H)}, dlog_gamma, a, a_row,
                  centre, offsets, N);
}
