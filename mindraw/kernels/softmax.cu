// The classes' probabilities and their cross-entropy from logits, forward and backward.
#include "common.cuh"

// p = exp(logits) / sum exp(logits); loss = -sum target log p; wrong where the largest differ.
// There are few classes: one thread for each column.
KERNEL softmax_forward(DENSE(loss), DENSE(wrong), ROWS(p), CONST_ROWS(logits), CONST_ROWS(target),
                       integer n, integer B)
{
    const integer b = integer(blockIdx.x) * blockDim.x + threadIdx.x;
    if (b >= B) return;
    integer guess = 0, truth = 0;
    for (integer k = 1; k < n; ++k) {
        const real here = AT(logits, k, b), best = AT(logits, guess, b);
        if (here > best || (isnan(here) && !isnan(best))) guess = k;  // a NaN is no right answer
        if (AT(target, k, b) > AT(target, truth, b)) truth = k;
    }
    const real high = AT(logits, guess, b);
    real total = 0, expected = 0;
    for (integer k = 0; k < n; ++k) {
        const real shifted = AT(logits, k, b) - high;
        expected += AT(target, k, b) * shifted;
        total += AT(p, k, b) = exp(shifted);
    }
    for (integer k = 0; k < n; ++k) AT(p, k, b) /= total;
    loss[b] = log(total) - expected;
    wrong[b] = guess == truth ? 0 : 1;
}

// dlogits = scale (p - target).
KERNEL softmax_backward(ROWS(dlogits), CONST_ROWS(p), CONST_ROWS(target), double scale,
                        integer n, integer B)
{
    EACH(j, n, b, B)
    AT(dlogits, j, b) = real(scale) * (AT(p, j, b) - AT(target, j, b));
}
