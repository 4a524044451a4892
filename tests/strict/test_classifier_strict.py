"""The classifier under the stand-in: the same bits as on NumPy, and nothing read or allocated."""

from types import SimpleNamespace

import numpy as np
import pytest
from standin import get_standin

from mindraw import Adam, get_backend, training
from mindraw.centring import Centring
from mindraw.frequencies import Frequencies
from mindraw.models.attention import Aim
from mindraw.models.classify import Classifier
from mindraw.models.config import ClassifierConfig
from mindraw.nn.aim import AimLoss
from mindraw.training import ClassifyTask, Plan, Run, Session

CONFIGS = {
    "learned": ClassifierConfig(H=5, W=4, C=2, T=3, h=6, read_n=3, classes=4, first="learned"),
    "zeros": ClassifierConfig(H=4, W=5, T=2, h=5, read_n=1, classes=3, initial="zeros"),
    "told": ClassifierConfig(H=6, W=5, T=4, h=5, classes=3, first="learned", first_every=2),
}
every_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


def built(config, ops):
    aim_loss = AimLoss(0.7, 2.0) if config is CONFIGS["told"] else None
    model = Classifier(config, ops, batch=4, threads=1, aim_loss=aim_loss)
    model.initialise(1, 0.4, Aim(0.5, 0.7, 2), Aim(1, 2, 3), forget=1.0)
    coordinates = [Centring(model), Frequencies(model)]
    return model, Adam(
        model.parameters, ops, lr=0.05, clip=0.5, apart=model.aiming, coordinates=coordinates
    )


def minibatch(model, step=0, b=4):
    rng, config = np.random.default_rng((7, step)), model.config
    x, labels = rng.random((b, config.D)), rng.integers(config.classes, size=b)
    target = (np.arange(config.classes)[:, None] == labels).astype(float)
    places = () if model.aim_loss is None else (config.W * rng.random((2, b)),)
    return tuple(map(model.ops.asarray, (x.T, target, *places)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@every_config
def test_the_same_bits(config, dtype):
    results = []
    for ops in (get_backend("numpy", dtype), get_standin(dtype)):
        model, adam = built(config, ops)
        found = []
        for step in range(3):
            losses = model.loss_and_gradient(*minibatch(model, step))
            adam.step(model.gradients)
            arrays = (*losses, model.gradients.flat, adam.m, adam.v)
            found += [ops.to_numpy(array) for array in arrays]
        found += model.parameters.to_dict().values()
        found += map(ops.to_numpy, model.loss(*minibatch(model, 9, b=3)))
        found += map(ops.to_numpy, (model.probabilities(3), model.glimpses(3), model.windows(3)))
        found += map(ops.to_numpy, () if model.aim_loss is None else (model.aim_losses(3),))
        results.append(found)
    for expected, got in zip(*results, strict=True):
        np.testing.assert_array_equal(got, expected)
        assert np.isfinite(got).all()


@every_config
def test_a_step_reads_and_allocates_nothing(config):
    model, adam = built(config, get_standin("float32"))
    given = minibatch(model)
    for _ in range(2):
        before = tuple(model.ops.xp.counts)
        model.loss_and_gradient(*given)
        adam.step(model.gradients)
        assert tuple(model.ops.xp.counts) == before  # from the first step on


class Split:
    """Pictures of noise, another in every epoch, and a class for each."""

    def __init__(self, n, slow=False):
        self.n, self.slow = n, slow

    def __len__(self):
        return self.n

    def images(self, indices, epoch):
        return np.random.default_rng((self.n, epoch)).random((self.n, 20), np.float32)[indices]

    def targets(self, indices, epoch):
        return np.asarray(indices) % 3


@pytest.mark.parametrize("makers", [1, 3])
def test_training_and_resuming(tmp_path, makers, monkeypatch):
    """Trained in two pieces, on one backend, on the other, and crossing over in between."""
    monkeypatch.setattr(training.task, "default_threads", lambda batch, fewest: makers)
    train, test = Split(30, slow=makers > 1), Split(9)
    dataset = SimpleNamespace(name="toy", shape=(1, 4, 5), train=train, valid=None, test=test)
    backends = {"numpy": lambda: get_backend("numpy"), "strict": get_standin}
    results = []
    for number, names in enumerate([("numpy", "numpy"), ("numpy", "strict"), ("strict", "numpy")]):
        folder = tmp_path / str(number)
        for piece, name in enumerate(names):
            model, adam = built(CONFIGS["zeros"], backends[name]())
            task = ClassifyTask(model, dataset, seed=3)
            ours = max(workers.threads for workers in task.teams)
            assert ours == (makers if name == "strict" else 1)
            plan = Plan(5 + 6 * piece, report=3, evaluate=4, checkpoint=2)
            opened = Run.open(folder) if piece else Run.create(folder, {})
            with opened as run, Session(task, adam, plan, run) as session:
                outcome = session.train()
        found = (*task.guesses(), *task.paths([0, 4, 8]))
        results.append((model.parameters.to_dict(), outcome.rows, found))
    for parameters, rows, found in results[1:]:
        assert rows == results[0][1]
        for name, array in parameters.items():
            np.testing.assert_array_equal(array, results[0][0][name])
        for got, expected in zip(found, results[0][2], strict=True):
            np.testing.assert_array_equal(got, expected)
