// What the kernels share: how arrays are passed, which thread works where, and sums.
//
// `real` is float or double, set by the compiler's -D. A two-dimensional array passes as its
// first element and the distance of its rows, counted in elements; its columns lie side by side,
// and neighbouring threads work on neighbouring columns.
#ifndef MINDRAW_COMMON
#define MINDRAW_COMMON

typedef long long integer;  // what a Python int is passed as; a Python float is a double

#define KERNEL extern "C" __global__ void
#define MOST_THREADS 1024                        // of a block
#define WIDE __launch_bounds__(MOST_THREADS, 1)  // a kernel whose registers let so many run
#define ROWS(a) real *__restrict__ a, integer a##_row
#define CONST_ROWS(a) const real *__restrict__ a, integer a##_row
#define DENSE(a) real *__restrict__ a
#define CONST_DENSE(a) const real *__restrict__ a
#define AT(a, j, b) a[(j) * a##_row + (b)]

// One thread for each element: row j of n, column b of B; the others leave.
#define EACH(j, n, b, B)                                            \
    const integer j = integer(blockIdx.x) * blockDim.y + threadIdx.y; \
    const integer b = integer(blockIdx.y) * blockDim.x + threadIdx.x; \
    if (j >= (n) || b >= (B)) return;

// Some threads for each column: thread y of a block takes rows y, y + blockDim.y, ...
#define COLUMN(b) const integer b = integer(blockIdx.x) * blockDim.x + threadIdx.x;

// A patch for each example, N rows of K columns: number k of N K of example b, wherever each lies.
// Beside the filterbanks it lies as (B, N, K), beside the rest of the model as (N, K, B).
#define PATCH(a) real *__restrict__ a, integer a##_b, integer a##_k
#define CONST_PATCH(a) const real *__restrict__ a, integer a##_b, integer a##_k
#define OF(a, b, k) a[(b) * a##_b + (k) * a##_k]

// A block for each example: where its numbers begin, n of them each; its threads, as one line.
// Within an example 32 bits count everything: a division of 64 takes as long as a short product.
#define OWN(a, n) ((a) + integer(blockIdx.x) * (n))
#define THREAD int(threadIdx.y * blockDim.x + threadIdx.x)
#define THREADS int(blockDim.x * blockDim.y)
#define WARP int(threadIdx.y)
#define WARPS int(blockDim.y)
#define LANE int(threadIdx.x)

#ifndef EMULATED
// Shared memory, as much of it as a launch gives.
#define SHARED(name) extern __shared__ real name[]

// Have the line of 128 bytes at an address fetched from memory, without waiting for it.
#define PREFETCH(address) asm volatile("prefetch.global.L1 [%0];" ::"l"(address))
#endif

// Have n numbers fetched, by all threads of a block.
__device__ inline void ahead(const real *a, int n)
{
    constexpr int LINE = 128 / sizeof(real);
    for (int i = LINE * THREAD; i < n; i += LINE * THREADS) PREFETCH(a + i);
}

// What a block keeps between its barriers: in shared memory where a launch gives it, else where the
// caller has room for it.
struct Room {
    real *next;
    __device__ real *take(real *elsewhere, int n)
    {
        if (next == nullptr) return elsewhere;
        real *taken = next;
        next += n;
        return taken;
    }
};

// No overflow, and the same formula as the reference's.
__device__ inline real sigma(real a)
{
    return real(0.5) * tanh(real(0.5) * a) + real(0.5);
}

// The sum over threadIdx.y for each threadIdx.x, where threadIdx.y is 0; always in one order.
// All threads of the block call it, at most once in a kernel; blockDim.y is a power of two.
__device__ inline real sum_over_y(real value)
{
    __shared__ real parts[MOST_THREADS];
    const unsigned here = threadIdx.y * blockDim.x + threadIdx.x;
    parts[here] = value;
    for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.y < half) parts[here] += parts[here + half * blockDim.x];
    }
    return parts[here];
}

// The sum over the 32 threads of a warp, in all of them; always in one order.
__device__ inline real warp_sum(real value)
{
    for (int distance = 16; distance > 0; distance /= 2)
        value += __shfl_xor_sync(0xffffffff, value, distance);
    return value;
}

#endif
