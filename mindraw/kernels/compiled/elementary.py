"""exp and tanh that a compiler can vectorise, and rows of matrices as it reads them fastest.

In float32 they are rational and polynomial approximations, right to some 3e-7 of the result; in
float64 the C library's. What is not a number stays so.
"""

import math

import numpy as np
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic, overload

#: How every kernel is compiled: sums may be reordered, and what is not finite stays so.
COMPILED = {
    "fastmath": {"contract", "reassoc", "arcp", "nsz"},
    "error_model": "numpy",
    "nogil": True,
}
F = np.float32


def _can_cache():
    """Tell whether there is a folder, beside the source or the user's, to keep compiled code in."""
    try:
        njit(cache=True)(_can_cache)
    except RuntimeError:
        return False
    return True


COMPILED["cache"] = _can_cache()


@intrinsic
def _as_float(typingctx, bits):
    """See the bits of an int32 as a float32."""

    def codegen(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(types.float32))

    return types.float32(types.int32), codegen


@intrinsic
def _as_pointer(typingctx, address):
    def codegen(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.intp), codegen


@njit(**COMPILED)
def row(matrix, j):
    """Return row j, whose numbers lie side by side, as the compiler cannot know by itself."""
    address = matrix.ctypes.data + j * matrix.strides[0]
    return carray(_as_pointer(address), (matrix.shape[1],), matrix.dtype)


def refuse_apart(*matrices):
    """Raise a ValueError if the columns of a row do not lie side by side."""
    for matrix in matrices:
        if matrix.strides[-1] != matrix.itemsize and matrix.shape[-1] > 1:
            raise ValueError("the compiled kernels take rows with contiguous columns")


def exp(x):
    """e^x, only in compiled code."""
    raise NotImplementedError


def tanh(x):
    """tanh(x), only in compiled code."""
    raise NotImplementedError


@overload(exp, jit_options=COMPILED)
def _exp(x):
    return _exp_32 if x == types.float32 else lambda x: math.exp(x)


@overload(tanh, jit_options=COMPILED)
def _tanh(x):
    return _tanh_32 if x == types.float32 else lambda x: math.tanh(x)


def _exp_32(x):
    """2^n e^y with |y| <= log(2)/2, as in the Cephes library's expf."""
    low = F(-87.33) if x < F(-87.33) else x
    z = F(88.72) if low > F(88.72) else low
    n = np.floor(z * F(1.44269504) + F(0.5))
    y = z - n * F(0.693359375) - n * F(-2.12194440e-4)
    p = F(1.9875691500e-4)
    p = p * y + F(1.3981999507e-3)
    p = p * y + F(8.3334519073e-3)
    p = p * y + F(4.1665795894e-2)
    p = p * y + F(1.6666665459e-1)
    p = p * y + F(5.0000001201e-1)
    p = p * (y * y) + y + F(1)
    return p * _as_float((np.int32(n) + np.int32(127)) << np.int32(23))


def _tanh_32(x):
    """An odd polynomial by an even one, as in Eigen and XLA; beyond 7.9 tanh is 1 in float32."""
    low = F(-7.90531110763549805) if x < F(-7.90531110763549805) else x
    y = F(7.90531110763549805) if low > F(7.90531110763549805) else low
    q = y * y
    p = F(-2.76076847742355e-16)
    p = p * q + F(2.00018790482477e-13)
    p = p * q + F(-8.60467152213735e-11)
    p = p * q + F(5.12229709037114e-08)
    p = p * q + F(1.48572235717979e-05)
    p = p * q + F(6.37261928875436e-04)
    p = p * q + F(4.89352455891786e-03)
    d = F(1.19825839466702e-06)
    d = d * q + F(1.18534705686654e-04)
    d = d * q + F(2.26843463243900e-03)
    d = d * q + F(4.89352518554385e-03)
    return y * p / d
