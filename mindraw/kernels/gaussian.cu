// A sample of the latent Gaussian and its divergence from the prior, forward and backward.
#include "common.cuh"

// mu, log s = q + bias; z = mu + s eps; latent += 1/2 sum_j (mu^2 + s^2 - 2 log s - 1).
KERNEL WIDE gaussian_forward(ROWS(z), DENSE(latent), ROWS(q), CONST_DENSE(bias), CONST_ROWS(eps),
                        integer n, integer B)
{
    COLUMN(b)
    real kl = 0;
    for (integer j = threadIdx.y; j < n && b < B; j += blockDim.y) {
        const real mu = AT(q, j, b) + bias[j];
        const real log_s = AT(q, n + j, b) + bias[n + j];
        const real s = exp(log_s);
        kl += real(0.5) * (mu * mu + s * s - 2 * log_s - 1);
        AT(q, j, b) = mu;
        AT(q, n + j, b) = log_s;
        AT(z, j, b) = mu + s * AT(eps, j, b);
    }
    kl = sum_over_y(kl);
    if (b < B && threadIdx.y == 0) latent[b] += kl;
}

KERNEL gaussian_backward(ROWS(dq), CONST_ROWS(dz), CONST_ROWS(q), CONST_ROWS(z), double scale,
                         integer n, integer B)
{
    EACH(j, n, b, B)
    const real mu = AT(q, j, b), log_s = AT(q, n + j, b);
    // the divergence: dmu = mu, dlog s = s^2 - 1;  the sample z = mu + s eps: dlog s += dz (z - mu)
    AT(dq, j, b) = mu * real(scale) + AT(dz, j, b);
    AT(dq, n + j, b) = expm1(2 * log_s) * real(scale) + AT(dz, j, b) * (AT(z, j, b) - mu);
}
