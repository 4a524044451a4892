"""The element-wise mathematics and the glimpses, twice: `reference` in NumPy, `fused` in CUDA C++.

Both hold the same functions with the same signatures. Outputs come first, then what
is overwritten, then inputs. Arrays are (rows, columns) with the batch in the columns;
rows may lie apart (slices of a larger array), the columns of a row lie side by side.
"""
