// Pictures through a pair of filterbanks, forward and backward. One block for each example takes
// its few small products one after the other; what one of them leaves in `half`, the next reads.
#include "common.cuh"

// Every array is dense, and a matrix row by row. The threads of a block, as one line of them.
#define THREAD (integer(threadIdx.y) * blockDim.x + threadIdx.x)
#define THREADS (integer(blockDim.x) * blockDim.y)
// Where example b of matrices of n numbers begins.
#define OWN(a, n) ((a) + integer(blockIdx.x) * (n))

// out (n, m) = A (n, k) B (k, m). One thread for each number.
__device__ inline void product(real *out, const real *A, const real *B, integer n, integer k,
                               integer m)
{
    for (integer e = THREAD; e < n * m; e += THREADS) {
        const real *row = A + e / m * k, *column = B + e % m;
        real sum = 0;
        for (integer j = 0; j < k; ++j) sum += row[j] * column[j * m];
        out[e] = sum;
    }
}

// out (n, m) = A^T B, with A (k, n) and B (k, m). One thread for each number.
__device__ inline void product_tn(real *out, const real *A, const real *B, integer n, integer k,
                                  integer m)
{
    for (integer e = THREAD; e < n * m; e += THREADS) {
        const real *row = A + e / m, *column = B + e % m;
        real sum = 0;
        for (integer j = 0; j < k; ++j) sum += row[j * n] * column[j * m];
        out[e] = sum;
    }
}

// out (n, m) = A B^T, with A (n, k) and B (m, k). One warp for each number, along both rows.
__device__ inline void product_nt(real *out, const real *A, const real *B, integer n, integer k,
                                  integer m)
{
    for (integer e = threadIdx.y; e < n * m; e += blockDim.y) {
        const real *row = A + e / m * k, *column = B + e % m * k;
        real sum = 0;
        for (integer j = threadIdx.x; j < k; j += 32) sum += row[j] * column[j];
        sum = warp_sum(sum);
        if (threadIdx.x == 0) out[e] = sum;
    }
}

// half = Fy image;  patch = half Fx^T.
KERNEL read_forward(DENSE(patch), DENSE(half), CONST_DENSE(image), CONST_DENSE(Fy),
                    CONST_DENSE(Fx), integer H, integer C, integer W, integer N)
{
    product(OWN(half, N * C * W), OWN(Fy, N * H), OWN(image, H * C * W), N, H, C * W);
    __syncthreads();
    product_nt(OWN(patch, N * C * N), OWN(half, N * C * W), OWN(Fx, N * W), N * C, W, N);
}

// dFx = dpatch^T half;  dhalf = dpatch Fx;  dFy = dhalf image^T;  dimage = Fy^T dhalf if wanted.
KERNEL read_backward(DENSE(dimage), DENSE(dFy), DENSE(dFx), DENSE(dhalf), CONST_DENSE(dpatch),
                     CONST_DENSE(half), CONST_DENSE(image), CONST_DENSE(Fy), CONST_DENSE(Fx),
                     integer wanted, integer H, integer C, integer W, integer N)
{
    product_tn(OWN(dFx, N * W), OWN(dpatch, N * C * N), OWN(half, N * C * W), N, N * C, W);
    product(OWN(dhalf, N * C * W), OWN(dpatch, N * C * N), OWN(Fx, N * W), N * C, N, W);
    __syncthreads();
    product_nt(OWN(dFy, N * H), OWN(dhalf, N * C * W), OWN(image, H * C * W), N, C * W, H);
    if (wanted)
        product_tn(OWN(dimage, H * C * W), OWN(Fy, N * H), OWN(dhalf, N * C * W), H, N, C * W);
}

// half = patch Fx;  image = Fy^T half.
KERNEL write_forward(DENSE(image), DENSE(half), CONST_DENSE(patch), CONST_DENSE(Fy),
                     CONST_DENSE(Fx), integer H, integer C, integer W, integer N)
{
    product(OWN(half, N * C * W), OWN(patch, N * C * N), OWN(Fx, N * W), N * C, N, W);
    __syncthreads();
    product_tn(OWN(image, H * C * W), OWN(Fy, N * H), OWN(half, N * C * W), H, N, C * W);
}

// dFy = half dimage^T;  dhalf = Fy dimage;  dFx = patch^T dhalf;  dpatch = dhalf Fx^T.
KERNEL write_backward(DENSE(dpatch), DENSE(dFy), DENSE(dFx), DENSE(dhalf), CONST_DENSE(dimage),
                      CONST_DENSE(half), CONST_DENSE(patch), CONST_DENSE(Fy), CONST_DENSE(Fx),
                      integer H, integer C, integer W, integer N)
{
    product_nt(OWN(dFy, N * H), OWN(half, N * C * W), OWN(dimage, H * C * W), N, C * W, H);
    product(OWN(dhalf, N * C * W), OWN(Fy, N * H), OWN(dimage, H * C * W), N, H, C * W);
    __syncthreads();
    product_tn(OWN(dFx, N * W), OWN(patch, N * C * N), OWN(dhalf, N * C * W), N, N * C, W);
    product_nt(OWN(dpatch, N * C * N), OWN(dhalf, N * C * W), OWN(Fx, N * W), N * C, W, N);
}
