"""Arrays as the kernels take them: their first element, and how far apart their numbers lie."""


def rows(*arrays):
    """Return each array and, behind it, the distance of its rows; leading axes count as one.

    Columns lie side by side, which is checked here and only here.
    """
    arguments = []
    for array in arrays:
        if array.shape[-1] > 1 and array.strides[-1] != array.itemsize and array.size:
            raise ValueError(f"no contiguous columns: {array.shape}, strides {array.strides}")
        arguments += (array, _stride(array, array.shape[:-1], array.strides))
    return arguments


def patches(*arrays):
    """Return each array (B, N, K) and the distances of its examples and of its N K numbers."""
    arguments = []
    for array in arrays:
        distance = _stride(array, array.shape[1:], array.strides[1:])
        arguments += (array, array.strides[0] // array.itemsize, distance)
    return arguments


def _stride(array, shape, strides):
    """Return the distance of neighbours, in elements, along axes that lie like one."""
    distance, following = None, None
    for n, stride in zip(reversed(shape), reversed(strides[: len(shape)]), strict=True):
        if n == 1:
            continue
        if following is not None and stride != following and array.size:
            raise ValueError(f"more than one stride: {array.shape}, strides {array.strides}")
        distance, following = stride if distance is None else distance, n * stride
    return (distance or 0) // array.itemsize


def dense(*arrays):
    """Return the arrays, which must be contiguous."""
    for array in arrays:
        if not array.flags.c_contiguous:
            raise ValueError(f"not contiguous: {array.shape}, strides {array.strides}")
    return arrays
