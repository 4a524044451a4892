// The canvas as a picture, and the error image, forward and backward. One thread for each pixel.
#include "common.cuh"

// y = sigma(x); they may be the same array.
KERNEL sigmoid(real *y, integer y_row, const real *x, integer x_row, integer n, integer B)
{
    EACH(j, n, b, B)
    AT(y, j, b) = sigma(AT(x, j, b));
}

// y += x + b, one b for each row.
KERNEL add_with_bias(ROWS(y), CONST_ROWS(x), CONST_DENSE(bias), integer n, integer B)
{
    EACH(j, n, b, B)
    AT(y, j, b) += AT(x, j, b) + bias[j];
}

// x_hat = x - sigma(canvas).
KERNEL error_image_forward(ROWS(x_hat), CONST_ROWS(x), CONST_ROWS(canvas), integer n, integer B)
{
    EACH(j, n, b, B)
    AT(x_hat, j, b) = AT(x, j, b) - sigma(AT(canvas, j, b));
}

// dcanvas_prev = dcanvas - dx_hat s (1 - s), with s = sigma(canvas) = x - x_hat.
KERNEL error_image_backward(ROWS(dcanvas_prev), CONST_ROWS(dx_hat), CONST_ROWS(dcanvas),
                            CONST_ROWS(x_hat), CONST_ROWS(x), integer n, integer B)
{
    EACH(j, n, b, B)
    const real s = AT(x, j, b) - AT(x_hat, j, b);
    AT(dcanvas_prev, j, b) = AT(dcanvas, j, b) - AT(dx_hat, j, b) * s * (1 - s);
}
