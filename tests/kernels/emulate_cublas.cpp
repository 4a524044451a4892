// What the engine calls of cuBLAS, on the host: matrices column by column, and the same refusals.
#include <stddef.h>

struct Handle {
    void *stream, *workspace;
    size_t size;
    int math;
};

enum { SUCCESS = 0, NOT_INITIALIZED = 1, INVALID_VALUE = 7 };

template <class real>
static int gemm(Handle *handle, int turn_a, int turn_b, int m, int n, int k, const real *alpha,
                const real *a, int lda, const real *b, int ldb, const real *beta, real *c, int ldc)
{
    if (!handle) return NOT_INITIALIZED;
    const int rows_a = turn_a ? k : m, rows_b = turn_b ? n : k;
    if (m < 0 || n < 0 || k < 0 || lda < (rows_a > 1 ? rows_a : 1) ||
        ldb < (rows_b > 1 ? rows_b : 1) || ldc < (m > 1 ? m : 1))
        return INVALID_VALUE;
    for (int j = 0; j < n; ++j)
        for (int i = 0; i < m; ++i) {
            real sum = 0;
            for (int l = 0; l < k; ++l)
                sum += (turn_a ? a[l + size_t(i) * lda] : a[i + size_t(l) * lda]) *
                       (turn_b ? b[j + size_t(l) * ldb] : b[l + size_t(j) * ldb]);
            real &to = c[i + size_t(j) * ldc];
            to = *alpha * sum + (*beta == 0 ? 0 : *beta * to);
        }
    return SUCCESS;
}

extern "C" {
int cublasCreate_v2(Handle **handle)
{
    *handle = new Handle();
    return SUCCESS;
}

int cublasSetStream_v2(Handle *handle, void *stream)
{
    handle->stream = stream;
    handle->workspace = nullptr;  // cuBLAS forgets it as well
    return SUCCESS;
}

int cublasSetWorkspace_v2(Handle *handle, void *workspace, size_t size)
{
    if (size_t(workspace) % 256) return INVALID_VALUE;
    handle->workspace = workspace;
    handle->size = size;
    return SUCCESS;
}

int cublasSetMathMode(Handle *handle, int math)
{
    handle->math = math;
    return SUCCESS;
}

int cublasSgemm_v2(Handle *handle, int turn_a, int turn_b, int m, int n, int k, const float *alpha,
                   const float *a, int lda, const float *b, int ldb, const float *beta, float *c,
                   int ldc)
{
    return gemm(handle, turn_a, turn_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

int cublasDgemm_v2(Handle *handle, int turn_a, int turn_b, int m, int n, int k, const double *alpha,
                   const double *a, int lda, const double *b, int ldb, const double *beta,
                   double *c, int ldc)
{
    return gemm(handle, turn_a, turn_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
}
