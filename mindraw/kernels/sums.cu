// Sums over the columns of a matrix: over all of them, or over the steps that they run over.
#include "common.cuh"

// sums_j = sum_b a_jb. One warp for each row.
KERNEL row_sums(DENSE(sums), CONST_ROWS(a), integer n, integer B)
{
    const integer j = integer(blockIdx.x) * blockDim.y + threadIdx.y;
    if (j >= n) return;
    real sum = 0;
    for (integer b = threadIdx.x; b < B; b += 32) sum += AT(a, j, b);
    sum = warp_sum(sum);
    if (threadIdx.x == 0) sums[j] = sum;
}

// sums_jb = sum_t a_jtb, with T matrices of B columns side by side. One thread for each number.
KERNEL step_sums(ROWS(sums), CONST_ROWS(a), integer T, integer n, integer B)
{
    EACH(j, n, b, B)
    real sum = 0;
    for (integer t = 0; t < T; ++t) sum += AT(a, j, t * B + b);
    AT(sums, j, b) = sum;
}
