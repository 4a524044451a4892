// Pictures through a pair of filterbanks, forward and backward. One block for each example takes
// its few small products one after the other; what one of them leaves in `half`, the next reads.
#include "products.cuh"

// half = [Fy x; Fy x_hat];  patch = half Fx^T. Of P = 1 pictures, x alone.
KERNEL read_forward(DENSE(patch), DENSE(half), CONST_DENSE(x), CONST_DENSE(x_hat), CONST_DENSE(Fy),
                    CONST_DENSE(Fx), integer P, integer H, integer C, integer W, integer N)
{
    real *of_x = OWN(half, P * N * C * W), *of_x_hat = of_x + N * C * W;
    product(Into{of_x}, OWN(Fy, N * H), OWN(x, H * C * W), N, H, C * W);
    if (P == 2) product(Into{of_x_hat}, OWN(Fy, N * H), OWN(x_hat, H * C * W), N, H, C * W);
    __syncthreads();
    product_nt(Into{OWN(patch, P * N * C * N)}, of_x, OWN(Fx, N * W), P * N * C, W, N);
}

// dFx = dpatch^T half;  dhalf = dpatch Fx;  dFy = dhalf [x; x_hat]^T;  dx_hat = Fy^T dhalf.
KERNEL read_backward(DENSE(dx_hat), DENSE(dFy), DENSE(dFx), DENSE(dhalf), CONST_DENSE(dpatch),
                     CONST_DENSE(half), CONST_DENSE(x), CONST_DENSE(x_hat), CONST_DENSE(Fy),
                     CONST_DENSE(Fx), integer P, integer H, integer C, integer W, integer N)
{
    real *of_x = OWN(dhalf, P * N * C * W), *of_x_hat = of_x + N * C * W;
    const real *drows = OWN(dpatch, P * N * C * N);
    product_tn(Into{OWN(dFx, N * W)}, drows, OWN(half, P * N * C * W), N, P * N * C, W);
    product(Into{of_x}, drows, OWN(Fx, N * W), P * N * C, N, W);
    __syncthreads();
    product_nt(Into{OWN(dFy, N * H)}, of_x, OWN(x, H * C * W), N, C * W, H);
    if (P == 2) {
        product_nt(Onto{OWN(dFy, N * H)}, of_x_hat, OWN(x_hat, H * C * W), N, C * W, H);
        product_tn(Into{OWN(dx_hat, H * C * W)}, OWN(Fy, N * H), of_x_hat, H, N, C * W);
    }
}

// half = patch Fx;  image += Fy^T half.
KERNEL write_forward(DENSE(image), DENSE(half), CONST_DENSE(patch), CONST_DENSE(Fy),
                     CONST_DENSE(Fx), integer H, integer C, integer W, integer N)
{
    product(Into{OWN(half, N * C * W)}, OWN(patch, N * C * N), OWN(Fx, N * W), N * C, N, W);
    __syncthreads();
    product_tn(Onto{OWN(image, H * C * W)}, OWN(Fy, N * H), OWN(half, N * C * W), H, N, C * W);
}

// dFy = half dimage^T;  dhalf = Fy dimage;  dFx = patch^T dhalf;  dpatch = dhalf Fx^T.
KERNEL write_backward(DENSE(dpatch), DENSE(dFy), DENSE(dFx), DENSE(dhalf), CONST_DENSE(dimage),
                      CONST_DENSE(half), CONST_DENSE(patch), CONST_DENSE(Fy), CONST_DENSE(Fx),
                      integer H, integer C, integer W, integer N)
{
    real *drows = OWN(dhalf, N * C * W);
    product_nt(Into{OWN(dFy, N * H)}, OWN(half, N * C * W), OWN(dimage, H * C * W), N, C * W, H);
    product(Into{drows}, OWN(Fy, N * H), OWN(dimage, H * C * W), N, H, C * W);
    __syncthreads();
    product_tn(Into{OWN(dFx, N * W)}, OWN(patch, N * C * N), drows, N, N * C, W);
    product_nt(Into{OWN(dpatch, N * C * N)}, drows, OWN(Fx, N * W), N * C, W, N);
}
