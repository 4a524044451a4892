// How far a glimpse is from what it should see, forward and backward. One thread for each example.
#include "common.cuh"

// loss += weight log(1 + |g - place|^2 / within^2).
KERNEL aim_forward(DENSE(loss), CONST_ROWS(a), CONST_ROWS(place), double weight, double within,
                   integer B)
{
    EACH(one, 1, b, B)
    const real x = (AT(a, 0, b) - AT(place, 0, b)) / real(within);
    const real y = (AT(a, 1, b) - AT(place, 1, b)) / real(within);
    loss[b] += real(weight) * log1p(x * x + y * y);
}

// The gradient at gx~ and gy~ besides.
KERNEL aim_backward(ROWS(dp), CONST_ROWS(a), CONST_ROWS(place), CONST_DENSE(centre), double scale,
                    double within, integer B)
{
    EACH(one, 1, b, B)
    const real x = AT(a, 0, b) - AT(place, 0, b), y = AT(a, 1, b) - AT(place, 1, b);
    const real rate = 2 * real(scale) / (real(within) * real(within) + x * x + y * y);
    AT(dp, 0, b) += rate * centre[0] * x;
    AT(dp, 1, b) += rate * centre[1] * y;
}
