// The Gaussian filterbanks of the attention: their places and the filters, forward and backward.
#include "filters.cuh"

// gx, gy, s2, d, gamma from p + bias, and mu_i = g + d offsets_i. One thread for each filter i of
// each example b; the first of them sets a.
KERNEL place_forward(DENSE(mu), ROWS(a), CONST_ROWS(p), CONST_DENSE(bias), CONST_DENSE(centre),
                     double stride, CONST_DENSE(offsets), integer B, integer N)
{
    EACH(b, B, i, N)
    const Place at = place(p, p_row, bias, centre, stride, b);
    mu[b * N + i] = at.gx + at.d * offsets[i];
    mu[(B + b) * N + i] = at.gy + at.d * offsets[i];
    if (i == 0) keep(a, a_row, at, b);
}

// One thread for each example.
KERNEL place_backward(ROWS(dp), CONST_DENSE(dmu), CONST_DENSE(dlog_s2), CONST_DENSE(dlog_gamma),
                      CONST_ROWS(a), CONST_DENSE(centre), CONST_DENSE(offsets), integer B,
                      integer N)
{
    EACH(one, 1, b, B)
    real dgx = 0, dgy = 0, dd = 0;
    for (integer i = 0; i < N; ++i) {
        const real dx = dmu[b * N + i], dy = dmu[(B + b) * N + i];
        dgx += dx;
        dgy += dy;
        dd += (dx + dy) * offsets[i];
    }
    AT(dp, 0, b) = dgx * centre[0];
    AT(dp, 1, b) = dgy * centre[1];
    AT(dp, 2, b) = dlog_s2[b] + dlog_s2[B + b];
    AT(dp, 3, b) = dd * AT(a, 3, b);
    AT(dp, 4, b) = dlog_gamma[b];
}

// One warp for each filter, of one axis or of both.
KERNEL filterbank_forward(DENSE(F), DENSE(e), CONST_DENSE(mu), CONST_DENSE(s2),
                          CONST_DENSE(pixels), integer axes, integer B, integer N, integer A)
{
    const integer row = integer(blockIdx.x) * blockDim.y + threadIdx.y;
    if (row >= axes * B * N) return;  // a whole warp leaves
    filter(F + row * A, e + row * A, F + row * A, mu[row], s2[row / N % B], pixels, A);
}

// One block for each example and axis, one warp for each filter in turn.
KERNEL filterbank_backward(DENSE(dmu), DENSE(dlog_s2), CONST_DENSE(dF), CONST_DENSE(F),
                           CONST_DENSE(e), CONST_DENSE(s2), CONST_DENSE(pixels), integer B,
                           integer N, integer A)
{
    __shared__ real warps[MOST_THREADS / 32];
    const integer b = blockIdx.x;
    real dwidth = 0;
    for (integer i = threadIdx.y; i < N; i += blockDim.y) {
        const integer row = (b * N + i) * A;
        const real moment = filter_backward(dwidth, dF + row, F + row, e + row, pixels, A);
        if (threadIdx.x == 0) dmu[b * N + i] = moment / s2[b % B];
    }
    dwidth = warp_sum(dwidth);
    if (threadIdx.x == 0) warps[threadIdx.y] = dwidth;
    __syncthreads();
    if (threadIdx.x > 0 || threadIdx.y > 0) return;
    real sum = 0;
    for (unsigned y = 0; y < blockDim.y; ++y) sum += warps[y];
    dlog_s2[b] = -sum;
}
