// Products of small dense matrices, row by row, by all threads of a block. What becomes of number e
// of a product, counted row by row, is up to `store(e, number)`.
#ifndef MINDRAW_PRODUCTS
#define MINDRAW_PRODUCTS
#include "common.cuh"

struct Into {
    real *out;
    __device__ void operator()(int e, real number) const { out[e] = number; }
};

struct Both {
    real *out, *copy;
    __device__ void operator()(int e, real number) const { out[e] = copy[e] = number; }
};

struct Onto {
    real *out;
    __device__ void operator()(int e, real number) const { out[e] += number; }
};

// Divides whole numbers from 0 to 4 million by m, in three instructions instead of twenty.
struct Divider {
    int m;
    float inverse;
    __device__ explicit Divider(int m) : m(m), inverse(1 / float(m)) {}
    __device__ int quotient(int e) const { return int((float(e) + 0.5f) * inverse); }
};

// A (n, k) B (k, m). One thread for each number.
template <class Store>
__device__ inline void product(Store store, const real *A, const real *B, int n, int k, int m)
{
    const Divider divide(m);
    for (int e = THREAD; e < n * m; e += THREADS) {
        const int i = divide.quotient(e);
        const real *row = A + i * k, *column = B + (e - i * m);
        real sum = 0;
        for (int j = 0; j < k; ++j) sum += row[j] * column[j * m];
        store(e, sum);
    }
}

// A^T B, with A (k, n) and B (k, m). One thread for each number.
template <class Store>
__device__ inline void product_tn(Store store, const real *A, const real *B, int n, int k, int m)
{
    const Divider divide(m);
    for (int e = THREAD; e < n * m; e += THREADS) {
        const int i = divide.quotient(e);
        const real *row = A + i, *column = B + (e - i * m);
        real sum = 0;
        for (int j = 0; j < k; ++j) sum += row[j * n] * column[j * m];
        store(e, sum);
    }
}

// A B^T, with A (n, k) and B (m, k). Some threads of a warp for each number, along both rows.
template <class Store>
__device__ inline void product_nt(Store store, const real *A, const real *B, int n, int k, int m)
{
    constexpr int TOGETHER = 8, AT_ONCE = 32 / TOGETHER;
    const Divider divide(m);
    for (int first = AT_ONCE * WARP; first < n * m; first += AT_ONCE * WARPS) {
        const int e = first + LANE / TOGETHER, i = divide.quotient(e);
        const real *row = A + i * k, *column = B + (e - i * m) * k;
        real sum = 0;
        if (e < n * m)
            for (int j = LANE % TOGETHER; j < k; j += TOGETHER) sum += row[j] * column[j];
        for (int distance = TOGETHER / 2; distance > 0; distance /= 2)
            sum += __shfl_xor_sync(0xffffffff, sum, distance);
        if (LANE % TOGETHER == 0 && e < n * m) store(e, sum);
    }
}

#endif
