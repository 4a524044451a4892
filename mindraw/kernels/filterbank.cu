// The Gaussian filterbanks of the attention: their places and the filters, forward and backward.
#include "common.cuh"

// gx, gy, s2, d, gamma from p + bias, and mu_i = g + d offsets_i. One thread for each filter i of
// each example b; the first of them sets a.
KERNEL place_forward(DENSE(mu), ROWS(a), CONST_ROWS(p), CONST_DENSE(bias), CONST_DENSE(centre),
                     double stride, CONST_DENSE(offsets), integer B, integer N)
{
    EACH(b, B, i, N)
    const real gx = (AT(p, 0, b) + bias[0] + 1) * centre[0] - 1;
    const real gy = (AT(p, 1, b) + bias[1] + 1) * centre[1] - 1;
    const real d = exp(AT(p, 3, b) + bias[3]) * real(stride);
    mu[b * N + i] = gx + d * offsets[i];
    mu[(B + b) * N + i] = gy + d * offsets[i];
    if (i > 0) return;
    AT(a, 0, b) = gx;
    AT(a, 1, b) = gy;
    AT(a, 2, b) = exp(AT(p, 2, b) + bias[2]);
    AT(a, 3, b) = d;
    AT(a, 4, b) = exp(AT(p, 4, b) + bias[4]);
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

// F[i, a] = exp(e)/sum_a exp(e), e = (a* - a)(a + a* - 2 mu)/(2 s2). One warp for each filter, of
// one axis or of both.
KERNEL filterbank_forward(DENSE(F), DENSE(e), CONST_DENSE(mu), CONST_DENSE(s2),
                          CONST_DENSE(pixels), integer axes, integer B, integer N, integer A)
{
    const integer row = integer(blockIdx.x) * blockDim.y + threadIdx.y;
    if (row >= axes * B * N) return;  // a whole warp leaves
    const real m = mu[row], width = real(0.5) / s2[row / N % B];
    const real nearest = fmin(fmax(rint(m), real(0)), real(A - 1));
    real sum = 0;
    for (integer a = threadIdx.x; a < A; a += 32) {
        const real e_a = (nearest - pixels[a]) * (pixels[a] + (nearest - 2 * m)) * width;
        e[row * A + a] = e_a;
        F[row * A + a] = exp(e_a);
        sum += exp(e_a);
    }
    sum = warp_sum(sum);
    for (integer a = threadIdx.x; a < A; a += 32) F[row * A + a] /= sum;
}

// de = F (dF - sum_a F dF);  dmu = sum_a de a / s2;  dlog s2 = -sum_{i, a} de e.
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
        real mean = 0, moment = 0;
        for (integer a = threadIdx.x; a < A; a += 32) mean += F[row + a] * dF[row + a];
        mean = warp_sum(mean);
        for (integer a = threadIdx.x; a < A; a += 32) {
            const real de = F[row + a] * (dF[row + a] - mean);
            moment += de * pixels[a];
            dwidth += de * e[row + a];
        }
        moment = warp_sum(moment);
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
