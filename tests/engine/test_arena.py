"""Flat buffers and their views."""

import numpy as np
import pytest

from mindraw import MindrawError, get_backend
from mindraw.arena import Params, carve

OPS = get_backend("numpy", "float64")
SHAPES = {"a.W": (2, 3), "a.b": (2, 1), "c.W": (4,), "c.nothing": (0, 5)}


def test_views_share_the_flat_vector():
    p = Params(SHAPES, OPS)
    assert p.flat.shape == (12,) and len(p) == 4
    p.load(np.arange(12.0))
    assert p.a.W.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert p["a.b"] is p.a.b and p.c.W.tolist() == [8, 9, 10, 11]
    p.a.b[1] = -1
    assert p.flat[7] == -1


def test_the_host_copy_is_a_copy():
    p = Params(SHAPES, OPS)
    p.load(np.arange(12.0))
    host = p.to_dict()
    assert list(host) == list(SHAPES) and host["a.b"].shape == (2, 1)
    host["c.W"][0] = 99
    assert p.c.W[0] == 8


def test_a_gradient_has_the_same_layout():
    p = Params(SHAPES, OPS)
    q = p.like()
    assert q.shapes == p.shapes and not np.shares_memory(q.flat, p.flat)


@pytest.mark.parametrize("shape", [(11,), (12, 1), (13,)])
def test_a_vector_of_another_length_is_refused(shape):
    with pytest.raises(MindrawError, match="a vector of 12 numbers, not an array of shape"):
        Params(SHAPES, OPS).load(np.zeros(shape))


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
def test_carved_views_are_aligned_and_apart(dtype):
    ops = get_backend("numpy", dtype)
    views = carve(ops, {"a": (3, 5), "b": (1,), "c": (2, 2)})
    first = views.a.__array_interface__["data"][0]
    for view in (views.b, views.c):
        assert (view.__array_interface__["data"][0] - first) % 64 == 0
    views.a.fill(1)
    views.b.fill(2)
    assert views.c.sum() == 0 and views.a.sum() == 15
