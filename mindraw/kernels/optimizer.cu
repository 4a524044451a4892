// The norm of the flat gradient, Adam with clipping by it, and weight decay. One thread for each
// parameter.
#include "common.cuh"

#define NORM_THREADS 256
#define MOST_PARTS 1024

// One sum for each block, and how many blocks have written theirs; 0 between launches.
__device__ volatile double parts[MOST_PARTS];
__device__ unsigned written;

// The sum over the block's threads, in thread 0; always in one order.
__device__ inline double sum_over_block(double value)
{
    __shared__ double shared[NORM_THREADS];
    shared[threadIdx.x] = value;
    for (unsigned half = NORM_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
    }
    return shared[threadIdx.x];
}

// state[0] = the norm; state[1] = the number of the first update at which it was not finite.
// Every block sums its share; the last to finish adds up the blocks' sums, in their order.
KERNEL gradient_norm(DENSE(state), CONST_DENSE(gradient), integer count, integer P)
{
    __shared__ bool last;
    double total = 0;
    const integer stride = integer(gridDim.x) * blockDim.x;
    for (integer k = integer(blockIdx.x) * blockDim.x + threadIdx.x; k < P; k += stride) {
        const double g = gradient[k];
        total += g * g;
    }
    total = sum_over_block(total);
    if (threadIdx.x == 0) {
        parts[blockIdx.x] = total;
        __threadfence();  // the sum is seen before the count
        last = atomicInc(&written, gridDim.x - 1) == gridDim.x - 1;
    }
    __syncthreads();
    if (!last) return;
    __threadfence();
    total = 0;
    for (unsigned k = threadIdx.x; k < gridDim.x; k += blockDim.x) total += parts[k];
    total = sum_over_block(total);
    if (threadIdx.x == 0) {
        state[0] = real(sqrt(total));
        if (state[1] == 0 && !isfinite(state[0])) state[1] = real(count);
    }
}

// m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
// theta -= rate m / (root sqrt(v) + eps), with rate and root correcting for the start at 0.
KERNEL adam(DENSE(theta), DENSE(m), DENSE(v), CONST_DENSE(gradient), CONST_DENSE(state),
            double clip, double rate, double root, double beta1, double beta2, double eps,
            integer P)
{
    const integer k = integer(blockIdx.x) * blockDim.x + threadIdx.x;
    if (k >= P || state[1] != 0) return;
    const real g = gradient[k] * real(clip / fmax(double(state[0]), clip));
    const real m_ = real(beta1) * m[k] + real(1 - beta1) * g;
    const real v_ = real(beta2) * v[k] + real(1 - beta2) * (g * g);
    m[k] = m_;
    v[k] = v_;
    theta[k] -= real(rate) * (m_ / (real(root) * sqrt(v_) + real(eps)));
}

// theta = (1 - part) theta
KERNEL decay(DENSE(theta), CONST_DENSE(state), double part, integer P)
{
    const integer k = integer(blockIdx.x) * blockDim.x + threadIdx.x;
    if (k >= P || state[1] != 0) return;
    theta[k] *= real(1 - part);
}
