// The sums of a matrix's rows.
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
