"""The whole engine under the stand-in: the same bits as on NumPy, and nothing read or allocated."""

from types import SimpleNamespace

import numpy as np
import pytest
from standin import get_standin

from mindraw import Adam, Draw, DrawConfig, get_backend
from mindraw.backend import why_no_cupy
from mindraw.centring import Centring
from mindraw.gradcheck.operations import OPERATIONS
from mindraw.gradcheck.suite import compare_with
from mindraw.training import DrawTask, Plan, Run, Session

CONFIGS = {
    "whole": DrawConfig(H=5, W=4, C=2, T=2, h_enc=6, h_dec=5, z=3),
    "zeros": DrawConfig(H=5, W=4, T=2, h_enc=6, h_dec=5, z=3, initial="zeros"),
    "whole, recompute": DrawConfig(H=5, W=4, T=3, h_enc=6, h_dec=5, z=3),
    "attentive": DrawConfig(H=5, W=4, C=2, T=2, h_enc=6, h_dec=5, z=3, read_n=3, write_n=2),
    "attentive, recompute": DrawConfig(
        H=5, W=4, C=2, T=5, h_enc=6, h_dec=5, z=3, read_n=3, write_n=2
    ),
    "attentive, zeros": DrawConfig(
        H=5, W=4, T=2, h_enc=6, h_dec=5, z=3, read_n=1, write_n=2, initial="zeros"
    ),
}
BATCH = 4
every_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def built(config, ops):
    model = Draw(config, ops, batch=BATCH, threads=1, recompute=2 if config.T > 2 else None)
    model.initialise(1, scale=0.4)
    return model, Adam(model.parameters, ops, lr=0.05, clip=0.5, coordinates=[Centring(model)])


def minibatch(model, step=0, b=BATCH):
    ops = model.ops
    rng = np.random.default_rng((7, step))
    x = ops.asarray(rng.random((model.config.D, b)))
    return x, ops.standard_normal(model.noise_shape(b), (7, step))


@every_dtype
@every_config
def test_the_same_bits(config, dtype):
    results = []
    for ops in (get_backend("numpy", dtype), get_standin(dtype)):
        model, adam = built(config, ops)
        found = []
        for step in range(3):
            losses = model.loss_and_gradient(*minibatch(model, step))
            adam.step(model.gradients, lr=0.05 / (1 + step))
            arrays = (*losses, model.gradients.flat, adam.m, adam.v)
            found += [ops.to_numpy(array) for array in arrays]
        found += model.parameters.to_dict().values()
        x, eps = minibatch(model, 9, b=3)
        for array in (*model.loss(x, eps), model.generate(eps), model.reconstruct(x, eps)):
            found.append(ops.to_numpy(array))
        found += [adam.norm(), adam.failed_step() or 0]
        results.append(found)
    for expected, got in zip(*results, strict=True):
        np.testing.assert_array_equal(got, expected)
        assert np.isfinite(got).all()


@every_config
def test_a_step_reads_and_allocates_nothing(config):
    ops = get_standin("float32")
    model, adam = built(config, ops)
    x, eps = minibatch(model)
    for _ in range(2):
        before = tuple(ops.xp.counts)
        model.loss_and_gradient(x, eps)
        adam.step(model.gradients)
        assert tuple(ops.xp.counts) == before  # from the first step on


def test_the_first_bad_update_is_noticed_late():
    ops = get_standin("float32")
    model, adam = built(CONFIGS["whole"], ops)
    x, eps = minibatch(model)
    model.loss_and_gradient(x, eps)
    adam.step(model.gradients)
    model.gradients.flat[5:6].fill(np.nan)
    parameters, reads = model.parameters.to_dict(), ops.xp.counts.reads
    adam.step(model.gradients)
    adam.step(model.gradients)
    assert ops.xp.counts.reads == reads
    assert adam.failed_step() == 2
    for name, array in model.parameters.to_dict().items():
        np.testing.assert_array_equal(array, parameters[name])


def test_parameters_cross_only_when_asked():
    ops = get_standin("float32")
    model, adam = built(CONFIGS["whole"], ops)
    flat = np.arange(model.parameters.flat.size, dtype=np.float64)
    model.parameters.load(flat)
    merged = np.concatenate([part.ravel() for part in model.parameters.to_dict().values()])
    np.testing.assert_array_equal(merged, flat.astype(np.float32))
    adam.load(flat, flat, 17)
    np.testing.assert_array_equal(ops.to_numpy(adam.m), flat.astype(np.float32))
    with pytest.raises(TypeError):
        model.parameters.load(model.gradients.flat)
    with pytest.raises(TypeError):
        ops.asarray(model.gradients.flat)
    with pytest.raises(TypeError):
        model.loss_and_gradient(*(ops.to_numpy(array) for array in minibatch(model)))


def dataset():
    rng = np.random.default_rng(7)

    def split(n):
        pixels = rng.random((n, 20), dtype=np.float32) ** 4
        images = lambda indices, epoch: pixels[indices]  # noqa: E731
        members = {"__len__": lambda _: n, "images": staticmethod(images), "slow": False}
        return type("Split", (), members)()

    return SimpleNamespace(name="toy", shape=(1, 4, 5), train=split(30), test=split(9), valid=None)


def trained_in_two_pieces(tmp_path, read_n, device):
    """Train on NumPy, on a device, and crossing over in between; return what came of each."""
    config = DrawConfig(H=4, W=5, T=2, h_enc=4, h_dec=3, z=2, read_n=read_n, write_n=read_n)
    host, results = (lambda: get_backend("numpy")), []
    crossings = [(host, host), (device, device), (host, device), (device, host)]
    for number, backends in enumerate(crossings):
        folder = tmp_path / str(number)
        for piece, backend in enumerate(backends):
            model, adam = built(config, backend())
            task = DrawTask(model, dataset(), seed=3)
            plan = Plan(5 + 6 * piece, report=3, evaluate=4, checkpoint=2)
            opened = Run.open(folder) if piece else Run.create(folder, {})
            with opened as run, Session(task, adam, plan, run) as session:
                outcome = session.train()
            assert outcome.step == plan.steps
        pictures = (task.generations(), *task.reconstructions())
        results.append((model.parameters.to_dict(), outcome.rows, pictures))
    return results


reading = pytest.mark.parametrize("read_n", [None, 2], ids=["whole", "attentive"])


@reading
def test_training_and_resuming(tmp_path, read_n):
    results = trained_in_two_pieces(tmp_path, read_n, get_standin)
    for parameters, rows, pictures in results[1:]:
        assert rows == results[0][1]
        for name, array in parameters.items():
            np.testing.assert_array_equal(array, results[0][0][name])
        for got, expected in zip(pictures, results[0][2], strict=True):
            np.testing.assert_array_equal(got, expected)


@pytest.mark.skipif(why_no_cupy() is not None, reason=str(why_no_cupy()))
@reading
def test_a_checkpoint_moves_to_a_gpu_and_back(tmp_path, read_n):
    results = trained_in_two_pieces(tmp_path, read_n, lambda: get_backend("cupy"))
    for parameters, _, pictures in results[1:]:
        for name, array in parameters.items():
            np.testing.assert_allclose(array, results[0][0][name], rtol=0, atol=5e-3)
        for got, expected in zip(pictures, results[0][2], strict=True):
            np.testing.assert_allclose(got, expected, rtol=0, atol=5e-3)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_the_gradient_checks_run(operation):
    ops = get_standin("float64")
    for result in compare_with(operation, get_backend("numpy", "float64"), ops):
        assert result.error == 0, result
