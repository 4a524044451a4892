"""The classifier beside the same model in PyTorch and JAX, whose gradients are automatic."""

import itertools

import numpy as np
import pytest

from mindraw.backend import get_backend
from mindraw.models.classify import Classifier
from mindraw.models.config import ClassifierConfig
from mindraw.nn.aim import AimLoss
from mindraw.optim import Adam

CHOICES = list(itertools.product((1, 2, 5), (1, 3), ("learned", "zeros"), ("state", "learned")))


def distance(found, expected):
    """Largest difference, relative to the largest number expected."""
    difference, largest = np.max(np.abs(found - expected)), np.max(np.abs(expected))
    return difference / (largest or 1.0)


def cases():
    """Every size of glimpse, colour and way to begin; what else there is to choose is drawn."""
    rng = np.random.default_rng(5)
    for read_n, C, initial, first in CHOICES:
        H, W = map(int, rng.choice(np.arange(3, 14), 2, replace=False))
        T, K = int(rng.integers(1, 5)), int(rng.integers(2, 6))
        every = int(rng.integers(1, 4)) if first == "learned" else None
        yield (
            ClassifierConfig(
                H=H, W=W, C=C, T=T, h=5, read_n=read_n, classes=K, initial=initial, first=first,
                first_every=every,
            ),
            int(rng.integers(1, 5)),
        )  # fmt: skip


def make(config, batch, dtype="float64", threads=1, aim_loss=None):
    """A model with random parameters, and x (D, B), classes (B,) and targets (K, B) for it."""
    model = Classifier(config, get_backend("numpy", dtype), batch, threads, aim_loss)
    rng = np.random.default_rng(3)
    model.parameters.load(0.4 * rng.standard_normal(model.parameters.flat.shape))
    x = rng.random((config.D, batch)).astype(dtype)
    labels = rng.integers(config.classes, size=batch)
    return model, x, labels, (np.arange(config.classes)[:, None] == labels).astype(dtype)


def images(config, x):
    """x (D, B) as (B, C, H, W)."""
    return x.T.reshape(-1, config.C, config.H, config.W)


def compare(model, found, losses, gradients, tolerance):
    assert distance(found.loss, np.asarray(losses)) < tolerance
    assert set(gradients) == set(model.parameters.names)
    for name, expected in gradients.items():
        assert distance(model.gradients[name], expected) < tolerance, name


@pytest.mark.parametrize("config, batch", list(cases()), ids=lambda value: str(value)[-70:])
def test_losses_and_gradients_are_those_of_autograd(config, batch):
    peer = pytest.importorskip("bench.peers.torch_classify", exc_type=ImportError)
    model, x, labels, target = make(config, batch, threads=min(batch, 2))
    found = model.loss_and_gradient(x, target)
    expected = peer.gradients(
        model.parameters.to_dict(), images(config, x), labels, config.T,
        first_every=config.first_every,
    )  # fmt: skip
    compare(model, found, *expected, 1e-10)
    guesses = model.probabilities().argmax(axis=0)
    assert np.array_equal(found.wrong, guesses != labels)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("first, every", [("state", None), ("learned", None), ("learned", 2)])
def test_the_aim_loss_is_that_of_autograd(first, every, threads):
    peer = pytest.importorskip("bench.peers.torch_classify", exc_type=ImportError)
    config = ClassifierConfig(
        H=11, W=8, T=4, h=6, read_n=3, classes=4, first=first, first_every=every
    )
    aim = AimLoss(0.8, 2.5)
    model, x, labels, target = make(config, 3, threads=threads, aim_loss=aim)
    places = np.array([[0.5, 7.0, 3.0], [9.0, 1.5, 4.0]])
    found = model.loss_and_gradient(x, target, places)
    losses, gradients = peer.gradients(
        model.parameters.to_dict(), images(config, x), labels, config.T,
        first_every=config.first_every, aim_loss=aim, places=places.T,
    )  # fmt: skip
    found = found._replace(loss=found.loss + model.aim_losses())
    compare(model, found, losses, gradients, 1e-10)


@pytest.mark.parametrize("first", ["state", "learned"])
@pytest.mark.parametrize("dtype, tolerance", [("float32", 2e-5), ("float64", 1e-10)])
def test_losses_and_gradients_are_those_of_jax(dtype, tolerance, first):
    jax = pytest.importorskip("jax", exc_type=ImportError)
    from functools import partial

    from bench.peers import jax_classify, jax_draw

    config = ClassifierConfig(H=7, W=9, C=2, T=4, h=6, read_n=3, classes=4, first=first)
    model, x, labels, target = make(config, 5, dtype)
    with jax.enable_x64(dtype == "float64"):
        params = jax_draw.from_mindraw(model.parameters.to_dict(), dtype)
        losses = partial(jax_classify.losses, T=config.T)
        program = jax.jit(partial(jax_draw.loss_and_gradient, losses=losses))
        (loss,), gradients = program(params, images(config, x), labels)
        found = model.loss_and_gradient(x, target)
        compare(model, found, loss, jax_draw.to_mindraw(gradients), tolerance)


def test_updates_are_those_of_torch():
    torch = pytest.importorskip("torch", exc_type=ImportError)
    from bench.peers.torch_classify import TorchClassifier
    from bench.peers.torch_draw import Trainer

    config = ClassifierConfig(H=7, W=9, T=3, h=6, read_n=3, classes=4, first="learned")
    model, x, labels, target = make(config, 6)
    adam = Adam(model.parameters, model.ops, lr=1e-2, clip=0.1)
    peer = TorchClassifier(model.parameters.to_dict(), config.T, torch.float64)
    trainer = Trainer(peer, lr=1e-2, clip=0.1, exact_clip=True)
    for _ in range(20):
        model.loss_and_gradient(x, target)
        adam.step(model.gradients)
        trainer.step(torch.tensor(images(config, x)), torch.tensor(labels))
    for name, expected in peer.to_mindraw().items():
        assert distance(model.parameters[name], expected) < 1e-10, name
