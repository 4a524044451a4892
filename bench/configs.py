"""What is timed: a model configuration under each name, its data, and the products it needs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mindraw.backend import get_backend
from mindraw.models.classify import Classifier
from mindraw.models.config import ClassifierConfig, DrawConfig
from mindraw.models.draw import Draw

BATCH = 100
MNIST = {"H": 28, "W": 28, "C": 1, "h_enc": 256, "h_dec": 256}
COLOUR = {"H": 32, "W": 32, "C": 3}
CONFIGS = {
    "noattn": DrawConfig(**MNIST, T=20, z=10),
    "attn": DrawConfig(**MNIST, T=20, z=10, read_n=5, write_n=5),
    "paper": DrawConfig(**MNIST, T=64, z=100, read_n=2, write_n=5),
    "svhn": DrawConfig(**COLOUR, T=20, h_enc=800, h_dec=800, z=100, read_n=12, write_n=12),
    "cifar": DrawConfig(**COLOUR, T=64, h_enc=400, h_dec=400, z=200, read_n=5, write_n=5),
    "cluttered": ClassifierConfig(H=100, W=100, T=8, h=256, read_n=12),
}
Config = DrawConfig | ClassifierConfig


def build(config: Config, ops, batch: int, threads: int | None):
    """mindraw's model of this configuration."""
    model = Classifier if isinstance(config, ClassifierConfig) else Draw
    return model(config, ops, batch, threads)


def parameter_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Name and shape of every parameter, in mindraw's order."""
    return dict(build(config, get_backend("numpy"), batch=1, threads=1).parameters.shapes)


def make_problem(config: Config, batch: int = BATCH, minibatches: int = 4, seed: int = 0):
    """Weights, pictures, and noise or targets, the same for every engine.

    Returns
    -------
    params : dict of str to np.ndarray
        All from 0.05 * N(0, 1), the biases and initial states too, so that no gradient is trivial.
    x : np.ndarray (minibatches, B, C, H, W)
        Grey values in [0, 1], four fifths of them black.
    other : np.ndarray (minibatches, T, z, B) or (minibatches, K, B)
        Noise, or 1 for the class of each picture and 0 for the others.
    """
    rng = np.random.default_rng(seed)
    params = {
        name: 0.05 * rng.standard_normal(shape, np.float32)
        for name, shape in parameter_shapes(config).items()
    }
    shape = (minibatches, batch, config.C, config.H, config.W)
    x = rng.random(shape, np.float32) * (rng.random(shape, np.float32) < 0.2)
    if isinstance(config, ClassifierConfig):
        labels = rng.integers(config.classes, size=(minibatches, 1, batch))
        return params, x, (labels == np.arange(config.classes)[:, None]).astype(np.float32)
    return params, x, rng.standard_normal((minibatches, config.T, config.z, batch), np.float32)


def flops_needed(config: Config, batch: int = BATCH) -> float:
    """Floating-point operations in the matrix products that one training step needs.

    A product of (n, m) by (m, b) counts 2 n m b. Per step of time each weight takes part in three:
    forward, the gradient of its input, the gradient of itself; the softmax's in as many, but once.
    W_x meets x once per minibatch, and x needs no gradient. At the first step of time the encoder's
    inputs that are initial states need none per example: what they need comes from one product with
    a sum over the batch. Forward, where mindraw saves as much, and for the weights they count.
    """
    T = config.T
    shapes = parameter_shapes(config)
    size = {name: float(np.prod(shapes[name])) for name in shapes if ".W" in name}
    if isinstance(config, ClassifierConfig):
        last = size.pop("classify.W")
        initial = size["encoder.W_u"] - 4 * config.h * config.R
        filtering = T * read_products(config)
        return 2 * batch * (3 * last + 3 * T * sum(size.values()) - initial + filtering)
    once = size.pop("encoder.W_x", 0.0)
    glimpse = 2 * config.C * config.read_n**2 if config.attention else 0  # differs by example
    initial = size["encoder.W_u"] - 4 * config.h_enc * glimpse
    filtering = T * filter_products(config) if config.attention else 0.0
    return 2 * batch * (2 * once + 3 * T * sum(size.values()) - initial + filtering)


def bytes_needed(config: Config, batch: int = BATCH) -> float:
    """Bytes of float32 that a training step moves at least, were nothing left in a cache.

    What mindraw holds of all steps of time for the backward pass is written once and read once;
    a parameter, its gradient and Adam's two moments are read and written, but for the gradient,
    which is written and read.
    """
    ops, steps = get_backend("numpy"), (1, 17)  # 16 apart, since arrays are aligned
    few, more = (held(build(replace(config, T=T), ops, batch, threads=1)) for T in steps)
    parameters = sum(float(np.prod(shape)) for shape in parameter_shapes(config).values())
    return 2.0 * config.T * (more - few) / 16 + 4 * 8 * parameters


def held(model) -> int:
    """Bytes that a model of mindraw lays out for a training step."""
    return sum(part.buffer.nbytes for part in (model.tape, *model.shards))


def filter_products(config: DrawConfig) -> float:
    """Multiplications in the products with filterbanks, for one example and one step of time.

    A picture passes through F_X, then F_Y, or back: (HC, W) by (W, N) and (N, H) by (H, CN). Each
    of the two has two gradients, but the x that is read needs none.
    """

    read_x, read_y = two_products(config, config.read_n)
    write_x, write_y = two_products(config, config.write_n)
    return read_products(config) + 3 * (read_x + read_y) + 3 * (write_x + write_y)


def read_products(config: Config) -> int:
    """The same for reading a glimpse of x, which needs no gradient."""
    x, y = two_products(config, config.read_n)
    return 3 * (x + y) - x


def two_products(config: Config, N: int) -> tuple[int, int]:
    """The same for one picture that passes through F_X, then F_Y."""
    return config.C * config.H * config.W * N, config.C * config.H * N**2
