"""Timings of mindraw beside other engines that run the same model."""
