// One unit of an LSTM for one example, forward and backward.
#ifndef MINDRAW_LSTM
#define MINDRAW_LSTM
#include "common.cuh"

// i, f, o = sigma(.), g = tanh(.) of W u + constant; cell = f cell_prev + i g; h = o tanh(cell).
// `a` is W u, of the four gates.
__device__ inline void unit_forward(ROWS(h), ROWS(cell), ROWS(gates), CONST_ROWS(constant),
                                    integer constant_column, CONST_ROWS(cell_prev),
                                    const real (&a)[4], integer n, integer j, integer b)
{
    const integer c = b * constant_column;  // 0 where one column serves all
    const real i = sigma(a[0] + AT(constant, j, c));
    const real f = sigma(a[1] + AT(constant, n + j, c));
    const real o = sigma(a[2] + AT(constant, 2 * n + j, c));
    const real g = tanh(a[3] + AT(constant, 3 * n + j, c));
    const real s = f * AT(cell_prev, j, b) + i * g;
    AT(gates, j, b) = i;
    AT(gates, n + j, b) = f;
    AT(gates, 2 * n + j, b) = o;
    AT(gates, 3 * n + j, b) = g;
    AT(cell, j, b) = s;
    AT(h, j, b) = o * tanh(s);
}

// d is the gradient at h, less what dh_u and dh_v add where they are there.
__device__ inline void unit_backward(ROWS(dgates), ROWS(dcell), CONST_ROWS(gates), real d,
                                     CONST_ROWS(dh_u), CONST_ROWS(dh_v), CONST_ROWS(cell),
                                     CONST_ROWS(cell_prev), integer u_there, integer v_there,
                                     integer n, integer j, integer b)
{
    if (u_there) d += AT(dh_u, j, b);
    if (v_there) d += AT(dh_v, j, b);
    const real i = AT(gates, j, b), f = AT(gates, n + j, b);
    const real o = AT(gates, 2 * n + j, b), g = AT(gates, 3 * n + j, b);
    const real t = tanh(AT(cell, j, b));
    // h = o tanh(cell)
    const real ds = AT(dcell, j, b) + d * o * (1 - t * t);
    // i, f, o = sigma(a): da = d. s (1 - s);  g = tanh(a): da = dg (1 - g^2)
    AT(dgates, j, b) = ds * g * i * (1 - i);
    AT(dgates, n + j, b) = ds * AT(cell_prev, j, b) * f * (1 - f);
    AT(dgates, 2 * n + j, b) = d * t * o * (1 - o);
    AT(dgates, 3 * n + j, b) = ds * i * (1 - g * g);
    AT(dcell, j, b) = ds * f;
}

#endif
