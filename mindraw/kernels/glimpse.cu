// The intensity of glimpses and strokes, forward and backward.
#include "common.cuh"

// r = gamma patch.
KERNEL intensity_forward(PATCH(r), CONST_PATCH(patch), CONST_DENSE(gamma), integer M, integer B)
{
    EACH(k, M, b, B)
    OF(r, b, k) = OF(patch, b, k) * gamma[b];
}

// dpatch = gamma dr;  dlog gamma = sum_k dr r.
KERNEL WIDE intensity_backward(PATCH(dpatch), DENSE(dlog_gamma), CONST_PATCH(dr), CONST_PATCH(r),
                          CONST_DENSE(gamma), integer M, integer B)
{
    COLUMN(b)
    real sum = 0;
    for (integer k = threadIdx.y; k < M && b < B; k += blockDim.y) {
        sum += OF(dr, b, k) * OF(r, b, k);
        OF(dpatch, b, k) = OF(dr, b, k) * gamma[b];
    }
    sum = sum_over_y(sum);
    if (b < B && threadIdx.y == 0) dlog_gamma[b] = sum;
}

// patch = (w + bias) / gamma.
KERNEL stroke_forward(PATCH(patch), CONST_PATCH(w), CONST_DENSE(bias), CONST_DENSE(gamma),
                      integer M, integer B)
{
    EACH(k, M, b, B)
    OF(patch, b, k) = (OF(w, b, k) + bias[k]) / gamma[b];
}

// dw = dpatch / gamma;  dlog gamma = -sum_k dpatch patch.
KERNEL WIDE stroke_backward(PATCH(dw), DENSE(dlog_gamma), CONST_PATCH(dpatch), CONST_PATCH(patch),
                       CONST_DENSE(gamma), integer M, integer B)
{
    COLUMN(b)
    real sum = 0;
    for (integer k = threadIdx.y; k < M && b < B; k += blockDim.y) {
        sum += OF(dpatch, b, k) * OF(patch, b, k);
        OF(dw, b, k) = OF(dpatch, b, k) / gamma[b];
    }
    sum = sum_over_y(sum);
    if (b < B && threadIdx.y == 0) dlog_gamma[b] = -sum;
}
