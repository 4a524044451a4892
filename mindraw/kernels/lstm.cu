// The gates and the state of an LSTM, forward and backward. One thread for each unit.
#include "lstm.cuh"

KERNEL lstm_forward(ROWS(h), ROWS(cell), ROWS(gates), CONST_ROWS(constant),
                    integer constant_column, CONST_ROWS(cell_prev), integer n, integer B)
{
    EACH(j, n, b, B)
    const real a[4] = {AT(gates, j, b), AT(gates, n + j, b), AT(gates, 2 * n + j, b),
                       AT(gates, 3 * n + j, b)};
    unit_forward(h, h_row, cell, cell_row, gates, gates_row, constant, constant_row,
                 constant_column, cell_prev, cell_prev_row, a, n, j, b);
}

// dh_u and dh_v, where they are there, are added to dh.
KERNEL lstm_backward(ROWS(dgates), ROWS(dcell), CONST_ROWS(gates), CONST_ROWS(dh),
                     CONST_ROWS(dh_u), CONST_ROWS(dh_v), CONST_ROWS(cell), CONST_ROWS(cell_prev),
                     integer u_there, integer v_there, integer n, integer B)
{
    EACH(j, n, b, B)
    unit_backward(dgates, dgates_row, dcell, dcell_row, gates, gates_row, AT(dh, j, b), dh_u,
                  dh_u_row, dh_v, dh_v_row, cell, cell_row, cell_prev, cell_prev_row, u_there,
                  v_there, n, j, b);
}
