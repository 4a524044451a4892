// Products with the columns of one minibatch, in float32, on the tensor cores.
//
// They are so short that what counts is how soon all of the GPU works on them. A block takes a tile
// of the product, and each of its warps a part of the sum, so that no two threads of a block read
// the same number: each goes from memory to the registers of the one thread that multiplies it.
//
// Tensor cores multiply numbers of 11 significant bits (TF32). A float32 is, to 22 bits, the sum of
// two such numbers, and a product of two float32 is three products of those parts, added up in
// float32: what is left out is of the order of float32's own rounding.
#include "lstm.cuh"

constexpr int COLUMNS = 32;  // of a tile
constexpr int CHUNK = 16;    // terms of the sum that a warp takes at a time: 4 for each thread

#ifndef EMULATED
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
// d += a b for a tile of 16 x 8, 8 terms: each thread has some numbers of each (PTX ISA, mma.m16n8k8).
__device__ inline void multiply_add(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2])
{
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#else  // no GPU so old is given these kernels
__device__ inline void multiply_add(float (&)[4], const unsigned (&)[4], const unsigned (&)[2]) {}
#endif
#endif

// A number as two of TF32: the upper 19 of 32 bits count, and both are rounded to the nearest. What
// would be rounded to infinity is cut off, and so is a NaN: a GPU's own is 0x7fffffff, of which
// rounding would make a zero.
__device__ inline void split(unsigned &high, unsigned &low, float number)
{
    const unsigned bits = __float_as_uint(number);
    high = (bits + ((bits & 0x7fffffffu) < 0x7f7ff000u ? 0x1000u : 0u)) & 0xffffe000u;
    low = __float_as_uint(number - __uint_as_float(high)) + 0x1000u;
}

// n numbers that lie side by side, `most` at a time; 0 for those that are not `there`, of which the
// first is number 0 or a multiple of `most`.
template <int n, int most>
__device__ inline void load(float *to, const float *from, int there)
{
    constexpr int width = most < n ? most : n;
#pragma unroll
    for (int i = 0; i < n; i += width) {
        float4 some = {0, 0, 0, 0};
        if (i < there) {
            if (width == 4) some = *reinterpret_cast<const float4 *>(from);
            if (width == 2) {
                const float2 two = *reinterpret_cast<const float2 *>(from + i);
                some.x = two.x;
                some.y = two.y;
            }
            if (width == 1) some.x = from[i];
        }
        to[i] = some.x;
        if (width >= 2) to[i + 1] = some.y;
        if (width == 4) {
            to[i + 2] = some.z;
            to[i + 3] = some.w;
        }
    }
}

// Which rows of A a tile takes: row s of lane 4 g + t lies `first` + g + `apart` s rows down, and is
// there where first + g + `step` s is below `end`. What it is for: eight units of an LSTM have four
// gates each, which lie far apart.
struct Rows {
    int first, apart, step, end;
};

// One thread's numbers of a chunk. With lane = 4 g + t it has the terms 4 t to 4 t + 3, of S rows of A
// and of the columns 4 g to 4 g + 3 of B. Where A is turned its rows are those from S g on, which then
// lie side by side.
template <int S, bool TURNED, int A_WIDTH, int B_WIDTH>
struct Chunk {
    float a[4 * S], b[16];  // a: [S][4], or turned [4][S]

    __device__ inline void fetch(const float *A, int A_row, const Rows &rows, const float *B,
                                 int B_row, int n, int N, int k, int K)
    {
        const int g = LANE / 4, first = k + 4 * (LANE % 4);
        if (TURNED) {
#pragma unroll
            for (int i = 0; i < 4; ++i)
                load<S, A_WIDTH>(a + S * i, A + integer(first + i) * A_row + rows.first + S * g,
                                 first + i < K ? rows.end - rows.first - S * g : 0);
        } else {
#pragma unroll
            for (int s = 0; s < S; ++s)
                load<4, A_WIDTH>(
                    a + 4 * s, A + integer(rows.first + g + rows.apart * s) * A_row + first,
                    rows.first + g + rows.step * s < rows.end ? K - first : 0);
        }
#pragma unroll
        for (int i = 0; i < 4; ++i)
            load<4, B_WIDTH>(b + 4 * i, B + integer(first + i) * B_row + n + 4 * g,
                    first + i < K ? N - n - 4 * g : 0);
    }

    __device__ inline float from_a(int s, int i) const { return TURNED ? a[S * i + s] : a[4 * s + i]; }
};

// sum += a b, and small += what the lower parts add. Terms 4 t + 2 q and 4 t + 2 q + 1 are what an
// instruction calls t and t + 4, column 4 g + j is g of its tile j.
template <int S, class C>
__device__ inline void multiply(float (&sum)[S / 2][4][4], float (&small)[S / 2][4][4],
                                const C &chunk, bool exact)
{
#pragma unroll
    for (int q = 0; q < 2; ++q) {
        unsigned a_high[S / 2][4], a_low[S / 2][4];
#pragma unroll
        for (int i = 0; i < S / 2; ++i)
#pragma unroll
            for (int part = 0; part < 4; ++part)
                split(a_high[i][part], a_low[i][part],
                      chunk.from_a(2 * i + part % 2, 2 * q + part / 2));
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            unsigned b_high[2], b_low[2];
#pragma unroll
            for (int part = 0; part < 2; ++part)
                split(b_high[part], b_low[part], chunk.b[4 * (2 * q + part) + j]);
#pragma unroll
            for (int i = 0; i < S / 2; ++i) {
                multiply_add(sum[i][j], a_high[i], b_high);
                if (exact) {
                    multiply_add(small[i][j], a_low[i], b_high);
                    multiply_add(small[i][j], a_high[i], b_low);
                }
            }
        }
    }
}

// Parts of the sum: warps of a block. The more there are the more numbers are on their way from
// memory at a time; of tiles of 32 rows registers allow no more than 8.
template <int S>
constexpr int PARTS = 32 / S;

// What each warp of a block adds to a tile; columns lie 4 more apart, in different banks.
template <int S>
using Parts = float[PARTS<S>][8 * S][COLUMNS + 4];

// Sums up a tile of A B, or of A^T B: each warp its part.
template <int S, bool TURNED, int A_WIDTH, int B_WIDTH>
__device__ inline void sum_up(Parts<S> &parts, const float *A, int A_row, const Rows &rows,
                              const float *B, int B_row, int N, int K, bool exact)
{
    const int n = int(blockIdx.x) * COLUMNS, g = LANE / 4, t = LANE % 4;
    float sum[S / 2][4][4] = {}, small[S / 2][4][4] = {};
    Chunk<S, TURNED, A_WIDTH, B_WIDTH> chunk, next;
    chunk.fetch(A, A_row, rows, B, B_row, n, N, CHUNK * WARP, K);
    for (int k = CHUNK * WARP; k < K; k += CHUNK * PARTS<S>) {
        next.fetch(A, A_row, rows, B, B_row, n, N, k + CHUNK * PARTS<S>, K);
        multiply<S>(sum, small, chunk, exact);
        chunk = next;
    }
#pragma unroll
    for (int i = 0; i < S / 2; ++i)
#pragma unroll
        for (int part = 0; part < 4; ++part) {
            const int s = 2 * i + part / 2, row = TURNED ? S * g + s : g + 8 * s;
#pragma unroll
            for (int j = 0; j < 4; ++j)
                parts[WARP][row][4 * (2 * t + part % 2) + j] = sum[i][j][part] + small[i][j][part];
        }
    __syncthreads();
}

template <int S>
__device__ inline float total(const Parts<S> &parts, int row, int column)
{
    float sum = 0;
#pragma unroll
    for (int warp = 0; warp < PARTS<S>; ++warp) sum += parts[warp][row][column];
    return sum;
}

// C = A B, or A^T B.
template <int S, bool TURNED, int A_WIDTH, int B_WIDTH>
__device__ inline void matmul(float *C, int C_row, const float *A, int A_row, const float *B,
                              int B_row, int M, int N, int K, bool exact)
{
    __shared__ Parts<S> parts;
    const int m = int(blockIdx.y) * 8 * S, n = int(blockIdx.x) * COLUMNS;
    sum_up<S, TURNED, A_WIDTH, B_WIDTH>(parts, A, A_row, {m, 8, 8, M}, B, B_row, N, K, exact);
    for (int e = THREAD; e < 8 * S * COLUMNS; e += THREADS) {
        const int row = e / COLUMNS, column = e % COLUMNS;
        if (m + row < M && n + column < N)
            C[integer(m + row) * C_row + n + column] = total<S>(parts, row, column);
    }
}

// An LSTM's step from its inputs u: all four gates of eight units.
template <int A_WIDTH, int B_WIDTH>
__device__ inline void lstm(ROWS(h), ROWS(cell), ROWS(gates), CONST_ROWS(constant),
                            integer constant_column, CONST_ROWS(cell_prev), CONST_ROWS(W),
                            CONST_ROWS(u), int units, int N, int K, bool exact)
{
    __shared__ Parts<4> parts;
    const int first = int(blockIdx.y) * 8;
    sum_up<4, false, A_WIDTH, B_WIDTH>(parts, W, int(W_row), {first, units, 0, units}, u,
                                       int(u_row), N, K, exact);
    const int j = first + WARP, b = int(blockIdx.x) * COLUMNS + LANE;
    if (j >= units || b >= N) return;
    float a[4];
#pragma unroll
    for (int gate = 0; gate < 4; ++gate) a[gate] = total<4>(parts, WARP + 8 * gate, LANE);
    unit_forward(h, h_row, cell, cell_row, gates, gates_row, constant, constant_row,
                 constant_column, cell_prev, cell_prev_row, a, units, j, b);
}

// The gates' gradients from what W^T dy gives h, and from dh_u and dh_v where they are there.
template <int S, int A_WIDTH, int B_WIDTH>
__device__ inline void lstm_back(ROWS(dgates), ROWS(dcell), CONST_ROWS(gates), CONST_ROWS(dh_u),
                                 CONST_ROWS(dh_v), CONST_ROWS(cell), CONST_ROWS(cell_prev),
                                 integer u_there, integer v_there, CONST_ROWS(W), CONST_ROWS(dy),
                                 int units, int N, int K, bool exact)
{
    __shared__ Parts<S> parts;
    const int first = int(blockIdx.y) * 8 * S, b = int(blockIdx.x) * COLUMNS + LANE;
    sum_up<S, true, A_WIDTH, B_WIDTH>(parts, W, int(W_row), {first, 8, 8, units}, dy, int(dy_row),
                                      N, K, exact);
    for (int row = WARP; row < 8 * S; row += PARTS<S>)
        if (first + row < units && b < N)
            unit_backward(dgates, dgates_row, dcell, dcell_row, gates, gates_row,
                          total<S>(parts, row, LANE), dh_u, dh_u_row, dh_v, dh_v_row, cell,
                          cell_row, cell_prev, cell_prev_row, u_there, v_there, units, first + row,
                          b);
}

#define MATMUL(name, S, TURNED, A_WIDTH, B_WIDTH)                                                 \
    KERNEL __launch_bounds__(32 * PARTS<S>) name(ROWS(C), CONST_ROWS(A), CONST_ROWS(B), integer M,   \
                                              integer N, integer K, integer exact)                \
    {                                                                                             \
        matmul<S, TURNED, A_WIDTH, B_WIDTH>(C, int(C_row), A, int(A_row), B, int(B_row), int(M),  \
                                            int(N), int(K), exact != 0);                          \
    }

#define LSTM(name, A_WIDTH, B_WIDTH)                                                              \
    KERNEL __launch_bounds__(32 * PARTS<4>)                                                          \
        name(ROWS(h), ROWS(cell), ROWS(gates), CONST_ROWS(constant), integer constant_column,     \
             CONST_ROWS(cell_prev), CONST_ROWS(W), CONST_ROWS(u), integer n, integer B,           \
             integer K, integer exact)                                                            \
    {                                                                                             \
        lstm<A_WIDTH, B_WIDTH>(h, h_row, cell, cell_row, gates, gates_row, constant,              \
                               constant_row, constant_column, cell_prev, cell_prev_row, W, W_row, \
                               u, u_row, int(n), int(B), int(K), exact != 0);                     \
    }

#define LSTM_BACK(name, S, A_WIDTH, B_WIDTH)                                                      \
    KERNEL __launch_bounds__(32 * PARTS<S>)                                                          \
        name(ROWS(dgates), ROWS(dcell), CONST_ROWS(gates), CONST_ROWS(dh_u), CONST_ROWS(dh_v),    \
             CONST_ROWS(cell), CONST_ROWS(cell_prev), integer u_there, integer v_there,           \
             CONST_ROWS(W), CONST_ROWS(dy), integer n, integer B, integer K, integer exact)       \
    {                                                                                             \
        lstm_back<S, A_WIDTH, B_WIDTH>(dgates, dgates_row, dcell, dcell_row, gates, gates_row,    \
                                       dh_u, dh_u_row, dh_v, dh_v_row, cell, cell_row, cell_prev, \
                                       cell_prev_row, u_there, v_there, W, W_row, dy, dy_row,     \
                                       int(n), int(B), int(K), exact != 0);                       \
    }

MATMUL(matmul_rows_32_width_4, 4, false, 4, 4)
MATMUL(matmul_rows_32_width_2, 4, false, 2, 4)
MATMUL(matmul_rows_32_width_1, 4, false, 1, 1)
MATMUL(matmul_rows_32_turned_width_4, 4, true, 4, 4)
MATMUL(matmul_rows_32_turned_width_2, 4, true, 2, 4)
MATMUL(matmul_rows_32_turned_width_1, 4, true, 1, 1)
MATMUL(matmul_rows_16_width_4, 2, false, 4, 4)
MATMUL(matmul_rows_16_width_2, 2, false, 2, 4)
MATMUL(matmul_rows_16_width_1, 2, false, 1, 1)
MATMUL(matmul_rows_16_turned_width_4, 2, true, 4, 4)
MATMUL(matmul_rows_16_turned_width_2, 2, true, 2, 4)
MATMUL(matmul_rows_16_turned_width_1, 2, true, 1, 1)
LSTM(lstm_width_4, 4, 4)
LSTM(lstm_width_2, 2, 4)
LSTM(lstm_width_1, 1, 1)
LSTM_BACK(lstm_back_rows_32_width_4, 4, 4, 4)
LSTM_BACK(lstm_back_rows_32_width_2, 4, 2, 4)
LSTM_BACK(lstm_back_rows_32_width_1, 4, 1, 1)
LSTM_BACK(lstm_back_rows_16_width_4, 2, 4, 4)
LSTM_BACK(lstm_back_rows_16_width_2, 2, 2, 4)
LSTM_BACK(lstm_back_rows_16_width_1, 2, 1, 1)
