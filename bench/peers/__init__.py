"""The same DRAW in other engines, with their automatic differentiation.

Each module is written on its own from the paper, shares no code with mindraw, and takes mindraw's
parameter dictionary: it is an opponent for the bench and an oracle for the tests.
"""
