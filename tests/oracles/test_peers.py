"""mindraw beside the same model in PyTorch and JAX, whose gradients are automatic."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from mindraw.backend import get_backend
from mindraw.experiment.options import COORDINATES
from mindraw.models.config import DrawConfig
from mindraw.models.draw import Draw
from mindraw.optim import Adam, decay
from mindraw.training import DrawTask, Plan, Run, Session

CONFIG = DrawConfig(H=5, W=4, C=2, T=4, h_enc=7, h_dec=6, z=3)
ATTENTIVE = replace(CONFIG, read_n=2, write_n=3)
EITHER = pytest.mark.parametrize("config", [CONFIG, ATTENTIVE], ids=["whole", "attentive"])
CASES = {
    "learned initial states": (CONFIG, 6),
    "zero initial states": (DrawConfig(H=3, W=6, T=3, h_enc=4, h_dec=9, z=2, initial="zeros"), 5),
    "one example, one step": (DrawConfig(H=2, W=3, T=1, h_enc=3, h_dec=2, z=1), 1),
    "all sizes one": (DrawConfig(H=1, W=1, T=2, h_enc=1, h_dec=1, z=1), 3),
    "all sizes one, by attention": (
        DrawConfig(H=1, W=1, T=2, h_enc=1, h_dec=1, z=1, read_n=1, write_n=1),
        3,
    ),
}


def attentive_cases():
    """Every pair of glimpses in grey and in colour; what else there is to choose is drawn."""
    rng = np.random.default_rng(5)
    sides = (1, 2, 5, 12)
    for read_n, write_n, C in itertools.product(sides, sides, (1, 3)):
        H, W = map(int, rng.choice(np.arange(3, 14), 2, replace=False))
        T, initial = int(rng.integers(1, 7)), str(rng.choice(["learned", "zeros"]))
        config = DrawConfig(
            H=H, W=W, C=C, T=T, h_enc=5, h_dec=6, z=2,
            read_n=read_n, write_n=write_n, initial=initial,
        )  # fmt: skip
        yield config, int(rng.integers(1, 5))


def describe(value):
    if isinstance(value, DrawConfig):
        c = value
        return f"{c.C}x{c.H}x{c.W}-read{c.read_n}-write{c.write_n}-T{c.T}-{c.initial}"
    return f"B{value}"


ATTENTIVE_CASES = list(attentive_cases())


def make(config, batch, dtype="float64", spread=0.4, threads=1):
    """A model with random parameters, and x (D, B) and eps (T, z, B) for it."""
    model = Draw(config, get_backend("numpy", dtype=dtype), batch=batch, threads=threads)
    rng = np.random.default_rng(3)
    model.parameters.load(spread * rng.standard_normal(model.parameters.flat.shape))
    x = rng.random((config.D, batch)).astype(dtype)
    return model, x, rng.standard_normal(model.noise_shape()).astype(dtype)


def images(config, x):
    """x (D, B) as (B, C, H, W)."""
    return x.T.reshape(-1, config.C, config.H, config.W)


def distance(found, expected):
    """Largest difference, relative to the largest number expected; any from all zeros is far."""
    difference, largest = np.max(np.abs(found - expected)), np.max(np.abs(expected))
    return difference / (largest or np.finfo(float).tiny)


def compare(model, x, eps, expected_losses, expected, tolerance):
    """Require the losses and every gradient of `model` to be the expected ones."""
    losses = model.loss_and_gradient(x, eps)
    for found, other in zip(losses, expected_losses, strict=True):
        assert distance(found, np.asarray(other)) < tolerance
    assert set(expected) == set(model.parameters.names)
    for name in expected:
        assert distance(model.gradients[name], expected[name]) < tolerance, name


@pytest.mark.parametrize("case", CASES)
def test_losses_and_gradients_are_those_of_autograd(case):
    peer = pytest.importorskip("bench.peers.torch_draw", exc_type=ImportError)
    config, batch = CASES[case]
    model, x, eps = make(config, batch)
    expected = peer.gradients(model.parameters.to_dict(), images(config, x), eps)
    compare(model, x, eps, *expected, 1e-10)


def test_peers_that_read_x_at_every_step_compute_the_same():
    torch = pytest.importorskip("torch", exc_type=ImportError)
    from bench.peers.torch_draw import TorchDraw, Trainer

    model, x, eps = make(CONFIG, 6)
    params = model.parameters.to_dict()
    peer = TorchDraw(params, torch.float64, project_once=False)
    assert peer.encoder.in_features == 2 * CONFIG.D + CONFIG.h_enc + CONFIG.h_dec
    arguments = torch.tensor(images(CONFIG, x)), torch.tensor(eps).transpose(1, 2)
    losses = [part.numpy() for part in Trainer(peer).backward(*arguments)]
    compare(model, x, eps, losses, peer.to_mindraw(gradients=True), 1e-10)
    assert all(np.array_equal(params[name], peer.to_mindraw()[name]) for name in params)

    jax = pytest.importorskip("jax", exc_type=ImportError)
    from bench.peers import jax_draw

    with jax.enable_x64(True):
        own = jax_draw.from_mindraw(params, "float64", project_once=False)
        assert own["encoder.W_u"].shape[1] == peer.encoder.in_features and "encoder.W_x" not in own
        arguments = images(CONFIG, x), eps.swapaxes(1, 2)
        losses, gradients = jax.jit(jax_draw.loss_and_gradient)(own, *arguments)
        compare(model, x, eps, losses, jax_draw.to_mindraw(gradients), 1e-10)


@pytest.mark.parametrize("config, batch", ATTENTIVE_CASES, ids=describe)
def test_attention_has_the_losses_and_gradients_of_autograd(config, batch):
    peer = pytest.importorskip("bench.peers.torch_draw", exc_type=ImportError)
    model, x, eps = make(config, batch, threads=min(batch, 2))
    expected = peer.gradients(model.parameters.to_dict(), images(config, x), eps)
    compare(model, x, eps, *expected, 1e-10)


@EITHER
@pytest.mark.parametrize("clip", [0.1, 1e6])
def test_updates_are_those_of_torch(clip, config):
    torch = pytest.importorskip("torch", exc_type=ImportError)
    from bench.peers.torch_draw import TorchDraw, Trainer

    model, x, eps = make(config, 6)
    adam = Adam(model.parameters, model.ops, lr=1e-2, clip=clip)
    peer = TorchDraw(model.parameters.to_dict(), torch.float64)
    trainer = Trainer(peer, lr=1e-2, clip=clip, exact_clip=True)
    for _ in range(20):
        model.loss_and_gradient(x, eps)
        adam.step(model.gradients)
        trainer.step(torch.tensor(images(config, x)), torch.tensor(eps).transpose(1, 2))
    for name, expected in peer.to_mindraw().items():
        assert distance(model.parameters[name], expected) < 1e-10, name


@pytest.mark.parametrize(
    "config, dtype, tolerance",
    [(CONFIG, "float32", 2e-5), (ATTENTIVE, "float32", 2e-5), (ATTENTIVE, "float64", 1e-10)],
    ids=["whole, single", "attentive, single", "attentive, double"],
)
def test_losses_and_gradients_are_those_of_jax(config, dtype, tolerance):
    jax = pytest.importorskip("jax", exc_type=ImportError)
    from bench.peers import jax_draw as peer

    model, x, eps = make(config, 6, dtype=dtype)
    with jax.enable_x64(dtype == "float64"):
        params = peer.from_mindraw(model.parameters.to_dict(), dtype)
        program = jax.jit(peer.loss_and_gradient)
        losses, gradients = program(params, images(config, x), eps.swapaxes(1, 2))
        compare(model, x, eps, losses, peer.to_mindraw(gradients), tolerance)


class Pixels:
    """A split of random black and white pictures."""

    def __init__(self, size, D):
        self.rows = (np.random.default_rng(size).random((size, D)) < 0.3).astype(np.float64)

    def __len__(self):
        return len(self.rows)

    def images(self, indices, epoch):
        return self.rows[indices]


@pytest.mark.parametrize("updates", COORDINATES)
@EITHER
def test_the_loop_trains_the_reference_along_the_same_curve_and_resumes_it(
    tmp_path, config, updates
):
    pytest.importorskip("torch", exc_type=ImportError)
    from bench.reference import TorchAdam, torch_model

    train, valid, test = (Pixels(n, config.D) for n in (60, 7, 13))
    dataset = SimpleNamespace(name="pixels", train=train, valid=valid, test=test)

    def history(folder, steps, torch):
        model, _, _ = make(config, 10, spread=0.05)
        aiming = model.aiming  # with a rate and a clip of its own; empty without attention
        rates = dict.fromkeys(aiming, 0.3)
        changes = COORDINATES[updates][: 2 if config.attention else 1]
        coordinates = [change(model) for change in changes]
        adam = Adam(
            model.parameters, model.ops, clip=0.5, rates=rates, apart=aiming,
            coordinates=coordinates, weight_decay=3.0,
            decayed=(*model.gating, *(name for name in aiming if ".W" in name)),
        )  # fmt: skip
        if torch:
            model = torch_model(model)
            adam = TorchAdam(model, adam)
        opened = Run.open(folder) if folder.exists() else Run.create(folder, {})
        with opened as run:
            plan = Plan(steps=steps, report=5, evaluate=10, checkpoint=7)
            task = DrawTask(model, dataset, seed=1)
            with Session(task, adam, plan, run, decay(0.01, 0.9, every=1)) as session:
                rows = session.train().rows
        return np.array([[row[key] or 0.0 for key in row] for row in rows])

    expected = history(tmp_path / "mindraw", 20, torch=False)
    found = history(tmp_path / "torch", 20, torch=True)
    assert distance(found, expected) < 1e-12
    history(tmp_path / "resumed", 9, torch=True)
    assert np.array_equal(history(tmp_path / "resumed", 20, torch=True)[-2:], found[-2:])
