// Products of small dense matrices, row by row, by all threads of a block. What becomes of number e
// of a product, counted row by row, is up to `store(e, number)`.
#ifndef MINDRAW_PRODUCTS
#define MINDRAW_PRODUCTS
#include "common.cuh"

struct Into {
    real *out;
    __device__ void operator()(int e, real number) const { out[e] = number; }
};

struct Onto {
    real *out;
    __device__ void operator()(int e, real number) const { out[e] += number; }
};

// A (n, k) B (k, m). One thread for each number.
template <class Store>
__device__ inline void product(Store store, const real *A, const real *B, int n, int k, int m)
{
    for (int e = THREAD; e < n * m; e += THREADS) {
        const real *row = A + e / m * k, *column = B + e % m;
        real sum = 0;
        for (int j = 0; j < k; ++j) sum += row[j] * column[j * m];
        store(e, sum);
    }
}

// A^T B, with A (k, n) and B (k, m). One thread for each number.
template <class Store>
__device__ inline void product_tn(Store store, const real *A, const real *B, int n, int k, int m)
{
    for (int e = THREAD; e < n * m; e += THREADS) {
        const real *row = A + e / m, *column = B + e % m;
        real sum = 0;
        for (int j = 0; j < k; ++j) sum += row[j * n] * column[j * m];
        store(e, sum);
    }
}

// A B^T, with A (n, k) and B (m, k). One warp for each number, along both rows.
template <class Store>
__device__ inline void product_nt(Store store, const real *A, const real *B, int n, int k, int m)
{
    for (int e = WARP; e < n * m; e += WARPS) {
        const real *row = A + e / m * k, *column = B + e % m * k;
        real sum = 0;
        for (int j = LANE; j < k; j += 32) sum += row[j] * column[j];
        sum = warp_sum(sum);
        if (LANE == 0) store(e, sum);
    }
}

#endif
