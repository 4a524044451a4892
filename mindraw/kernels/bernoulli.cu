// The reconstruction loss from logits, forward and backward.
#include "common.cuh"

// loss = the sum over pixels of max(c, 0) - x c + log(1 + exp(-|c|)).
KERNEL WIDE bernoulli_forward(DENSE(loss), CONST_ROWS(logits), CONST_ROWS(x), integer n, integer B)
{
    COLUMN(b)
    real nats = 0;
    for (integer j = threadIdx.y; j < n && b < B; j += blockDim.y) {
        const real c = AT(logits, j, b);
        nats += (c > 0 ? c : 0) - AT(x, j, b) * c + log1p(exp(-fabs(c)));
    }
    nats = sum_over_y(nats);
    if (b < B && threadIdx.y == 0) loss[b] = nats;
}

// dlogits = scale (sigma(c) - x).
KERNEL bernoulli_backward(ROWS(dlogits), CONST_ROWS(logits), CONST_ROWS(x), double scale,
                          integer n, integer B)
{
    EACH(j, n, b, B)
    AT(dlogits, j, b) = real(scale) * (sigma(AT(logits, j, b)) - AT(x, j, b));
}
