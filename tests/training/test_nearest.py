"""The nearest training image: the same as by brute force, with few images held at once."""

import numpy as np
import pytest

from mindraw.training import nearest as module
from mindraw.training.nearest import nearest


class Split:
    """Images in memory that remember how many were asked for at once."""

    def __init__(self, images):
        self.pixels, self.most = images, 0

    def __len__(self):
        return len(self.pixels)

    def images(self, indices, epoch):
        assert epoch == 0
        self.most = max(self.most, len(indices))
        return self.pixels[indices]


@pytest.mark.parametrize("held", [24, 24 * 7, 4_000_000])
def test_it_is_the_nearest(monkeypatch, held):
    monkeypatch.setattr(module, "HELD", held)
    rng = np.random.default_rng(0)
    split = Split(rng.random((30, 24), dtype=np.float32))
    pictures = rng.random((5, 1, 4, 6))
    neighbours, distances = nearest(pictures, split)
    assert neighbours.shape == pictures.shape and split.most <= held / 24
    far = np.sqrt(((pictures.reshape(5, 1, 24) - split.pixels) ** 2).sum(axis=-1))
    np.testing.assert_array_equal(neighbours.reshape(5, 24), split.pixels[far.argmin(axis=1)])
    np.testing.assert_allclose(distances, far.min(axis=1), rtol=1e-5)


def test_a_training_image_finds_itself():
    split = Split(np.random.default_rng(0).random((30, 24), dtype=np.float32))
    neighbours, distances = nearest(split.pixels[[3, 29]], split)
    np.testing.assert_array_equal(neighbours, split.pixels[[3, 29]])
    assert not distances.any()
