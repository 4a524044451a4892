// Noise from N(0, 1), from a generator that counts: Philox4x64-10 (Salmon et al. 2011), as NumPy has
// it, and Box and Muller's transform.
#include "common.cuh"

typedef unsigned long long word;

// Block number `count` of the words that belong to a key.
__device__ inline void philox(word words[4], word count, word number, word key0, word key1)
{
    const word multiply0 = 0xD2E7470EE14C6C93, multiply1 = 0xCA5A826395121157;
    words[0] = count, words[1] = 0, words[2] = number, words[3] = 0;
    for (int round = 0; round < 10; ++round) {
        const word high0 = __umul64hi(multiply0, words[0]), low0 = multiply0 * words[0];
        const word high1 = __umul64hi(multiply1, words[2]), low1 = multiply1 * words[2];
        words[0] = high1 ^ words[1] ^ key0, words[1] = low1;
        words[2] = high0 ^ words[3] ^ key1, words[3] = low0;
        key0 += 0x9E3779B97F4A7C15, key1 += 0xBB67AE8584CAA73B;
    }
}

// Integer j of as many bits as a real has.
__device__ inline real integer_of(const word words[4], int j)
{
    if (sizeof(real) == sizeof(word)) return real(words[j]);
    return real(unsigned(words[j / 2] >> 32 * (j % 2)));
}

// The first half of eps: sqrt(-2 log u) cos(2 pi v); the second: sqrt(-2 log u) sin(2 pi v).
KERNEL standard_normal(DENSE(eps), integer key0, integer key1, integer number, integer n)
{
    const int pairs = 2 * sizeof(word) / sizeof(real);  // of a block of words
    const real unit = sizeof(real) == sizeof(word) ? real(0x1p-64) : real(0x1p-32);
    const integer k = integer(blockIdx.x) * blockDim.x + threadIdx.x, half = (n + 1) / 2;
    word words[4];
    philox(words, k + 1, number, key0, key1);
    for (int pair = 0; pair < pairs; ++pair) {
        const integer j = k * pairs + pair;
        if (j >= half) return;
        const real u = (integer_of(words, 2 * pair) + real(0.5)) * unit;
        const real angle = integer_of(words, 2 * pair + 1) * (2 * unit);  // over pi
        const real radius = sqrt(real(-2) * log(u));
        eps[j] = radius * cospi(angle);
        if (half + j < n) eps[half + j] = radius * sinpi(angle);
    }
}
