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

// out (n, m) = A^T B, or out += A^T B, with A (k, n) and B (k, m). One thread for each number.
__device__ inline void product_tn(real *out, const real *A, const real *B, integer n, integer k,
                                  integer m, bool add = false)
{
    for (integer e = THREAD; e < n * m; e += THREADS) {
        const real *row = A + e / m, *column = B + e % m;
        real sum = 0;
        for (integer j = 0; j < k; ++j) sum += row[j * n] * column[j * m];
        out[e] = add ? out[e] + sum : sum;
    }
}

// out (n, m) = A B^T, or out += A B^T, with A (n, k) and B (m, k). One warp for each number, along
// both rows.
__device__ inline void product_nt(real *out, const real *A, const real *B, integer n, integer k,
                                  integer m, bool add = false)
{
    for (integer e = threadIdx.y; e < n * m; e += blockDim.y) {
        const real *row = A + e / m * k, *column = B + e % m * k;
        real sum = 0;
        for (integer j = threadIdx.x; j < k; j += 32) sum += row[j] * column[j];
        sum = warp_sum(sum);
        if (threadIdx.x == 0) out[e] = add ? out[e] + sum : sum;
    }
}

// half = [Fy x; Fy x_hat];  patch = half Fx^T. Of P = 1 pictures, x alone.
KERNEL read_forward(DENSE(patch), DENSE(half), CONST_DENSE(x), CONST_DENSE(x_hat), CONST_DENSE(Fy),
                    CONST_DENSE(Fx), integer P, integer H, integer C, integer W, integer N)
{
    real *of_x = OWN(half, P * N * C * W), *of_x_hat = of_x + N * C * W;
    product(of_x, OWN(Fy, N * H), OWN(x, H * C * W), N, H, C * W);
    if (P == 2) product(of_x_hat, OWN(Fy, N * H), OWN(x_hat, H * C * W), N, H, C * W);
    __syncthreads();
    product_nt(OWN(patch, P * N * C * N), of_x, OWN(Fx, N * W), P * N * C, W, N);
}

// dFx = dpatch^T half;  dhalf = dpatch Fx;  dFy = dhalf [x; x_hat]^T;  dx_hat = Fy^T dhalf.
KERNEL read_backward(DENSE(dx_hat), DENSE(dFy), DENSE(dFx), DENSE(dhalf), CONST_DENSE(dpatch),
                     CONST_DENSE(half), CONST_DENSE(x), CONST_DENSE(x_hat), CONST_DENSE(Fy),
                     CONST_DENSE(Fx), integer P, integer H, integer C, integer W, integer N)
{
    real *of_x = OWN(dhalf, P * N * C * W), *of_x_hat = of_x + N * C * W;
    const real *drows = OWN(dpatch, P * N * C * N);
    product_tn(OWN(dFx, N * W), drows, OWN(half, P * N * C * W), N, P * N * C, W);
    product(of_x, drows, OWN(Fx, N * W), P * N * C, N, W);
    __syncthreads();
    product_nt(OWN(dFy, N * H), of_x, OWN(x, H * C * W), N, C * W, H);
    if (P == 2) {
        product_nt(OWN(dFy, N * H), of_x_hat, OWN(x_hat, H * C * W), N, C * W, H, true);
        product_tn(OWN(dx_hat, H * C * W), OWN(Fy, N * H), of_x_hat, H, N, C * W);
    }
}

// half = patch Fx;  image += Fy^T half.
KERNEL write_forward(DENSE(image), DENSE(half), CONST_DENSE(patch), CONST_DENSE(Fy),
                     CONST_DENSE(Fx), integer H, integer C, integer W, integer N)
{
    product(OWN(half, N * C * W), OWN(patch, N * C * N), OWN(Fx, N * W), N * C, N, W);
    __syncthreads();
    product_tn(OWN(image, H * C * W), OWN(Fy, N * H), OWN(half, N * C * W), H, N, C * W, true);
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
