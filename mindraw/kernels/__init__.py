"""The element-wise mathematics and the glimpses: `reference` in NumPy, `fused` in CUDA C++.

Both hold the same functions with the same signatures, and `compiled` some of them once more, for
Numba to compile for a CPU. Outputs come first, then what is overwritten, then inputs. Arrays are
(rows, columns) with the batch in the columns; rows may lie apart (slices of a larger array), the
columns of a row lie side by side.
"""
