// A glimpse's place and its filters, as one example has them: what kernels of both kinds share.
#ifndef MINDRAW_FILTERS
#define MINDRAW_FILTERS
#include "common.cuh"

// The grid's centre, the filters' variance, the stride, the intensity.
struct Place {
    real gx, gy, s2, d, gamma;
};

// gx, gy, s2, d, gamma of example b from p + bias.
__device__ inline Place place(const real *p, integer p_row, const real *bias, const real *centre,
                              double stride, integer b)
{
    return {(AT(p, 0, b) + bias[0] + 1) * centre[0] - 1,
            (AT(p, 1, b) + bias[1] + 1) * centre[1] - 1,
            exp(AT(p, 2, b) + bias[2]),
            exp(AT(p, 3, b) + bias[3]) * real(stride),
            exp(AT(p, 4, b) + bias[4])};
}

__device__ inline void keep(real *a, integer a_row, const Place &at, integer b)
{
    AT(a, 0, b) = at.gx;
    AT(a, 1, b) = at.gy;
    AT(a, 2, b) = at.s2;
    AT(a, 3, b) = at.d;
    AT(a, 4, b) = at.gamma;
}

// F_a = exp(e_a)/sum_a exp(e_a), e_a = (a* - a)(a + a* - 2 mu)/(2 s2). One warp; `copy` is another
// place for F, or the same.
__device__ inline void filter(real *F, real *e, real *copy, real mu, real s2, const real *pixels, int A)
{
    const real width = real(0.5) / s2;
    const real nearest = fmin(fmax(rint(mu), real(0)), real(A - 1));
    real sum = 0;
#pragma unroll 1
    for (int a = LANE; a < A; a += 32) {
        const real e_a = (nearest - pixels[a]) * (pixels[a] + (nearest - 2 * mu)) * width;
        const real weight = exp(e_a);
        e[a] = fmax(e_a, real(-1e30));  // finite, for products with a weight of 0
        copy[a] = weight;
        sum += weight;
    }
    sum = warp_sum(sum);
    for (int a = LANE; a < A; a += 32) F[a] = copy[a] /= sum;
}

// de = F (dF - sum_a F dF): returns sum_a de a, which is s2 dmu, in all threads of the warp, and
// adds this thread's share of sum_a de e, which is -dlog s2, to dwidth.
__device__ inline real filter_backward(real &dwidth, const real *dF, const real *F, const real *e,
                                       const real *pixels, int A)
{
    real mean = 0, moment = 0;
    for (int a = LANE; a < A; a += 32) mean += F[a] * dF[a];
    mean = warp_sum(mean);
    for (int a = LANE; a < A; a += 32) {
        const real de = F[a] * (dF[a] - mean);
        moment += de * pixels[a];
        dwidth += de * e[a];
    }
    return warp_sum(moment);
}

#endif
