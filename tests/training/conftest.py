"""A tiny data set, in memory and as IDX files, and a tiny model to train on it."""

import runpy
import shutil
import struct
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mindraw import Adam, Draw, DrawConfig, get_backend
from mindraw.experiment import main
from mindraw.training import DrawTask, Plan, Run, Session

EXAMPLES = Path(__file__).parents[2] / "examples"


class Split:
    """Images in memory; `spoilt` epochs have a NaN in image 0."""

    labels = None
    slow = False

    def __init__(self, pixels, spoilt=None):
        self.pixels, self.spoilt = pixels, spoilt

    def __len__(self):
        return len(self.pixels)

    def images(self, indices, epoch):
        images = self.pixels[indices]
        if self.spoilt is not None and epoch >= self.spoilt:
            images[indices == 0, 3] = np.nan
        return images


def toy_dataset(spoilt=None):
    rng = np.random.default_rng(7)
    train, test = (rng.random((n, 20), dtype=np.float32) ** 4 for n in (57, 13))
    return SimpleNamespace(
        name="toy", shape=(1, 4, 5), train=Split(train, spoilt), test=Split(test), valid=None
    )


class Toy:
    """Builds a fresh model and trains a run; the latest task and optimizer stay visible."""

    def __init__(self, folder):
        self.folder = folder

    dataset = staticmethod(toy_dataset)

    def build(self, config=None, dataset=None, seed=3, dtype="float32", task=DrawTask, **adam):
        ops = get_backend("numpy", dtype)
        config = config or DrawConfig(H=4, W=5, T=2, h_enc=4, h_dec=3, z=2)
        model = Draw(config, ops, batch=5, threads=1)
        model.initialise(seed)
        self.task = task(model, dataset or toy_dataset(), seed)
        self.optimizer = Adam(model.parameters, ops, **adam)

    @contextmanager
    def session(self, plan, name="run", **session):
        """Create or resume the run with what `build` built."""
        folder = self.folder / name
        opened = Run.open(folder) if folder.exists() else Run.create(folder, {})
        with opened as self.run:
            with Session(self.task, self.optimizer, plan, opened, **session) as made:
                yield made

    def train(self, steps, name="run", draw=None, plan=None, **build):
        """Create or resume the run with fresh objects, as a new process would."""
        self.build(**build)
        plan = plan or Plan(steps, report=7, evaluate=20, checkpoint=9)
        with self.session(plan, name, draw=draw) as session:
            return session.train()


@pytest.fixture
def toy(tmp_path):
    return Toy(tmp_path)


def write_idx(path, array):
    header = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(
        f">{array.ndim}I", *array.shape
    )
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def write_scribbles(folder, **counts):
    """MNIST's four files with small scribbles: train and t10k, so many of each."""
    mnist = folder / "mnist"
    mnist.mkdir()
    rng = np.random.default_rng(5)
    for name, n in counts.items():
        images = np.zeros((n, 28, 28), np.uint8)
        images[:, 8:20, 8:20] = rng.integers(0, 256, (n, 12, 12))
        write_idx(mnist / f"{name}-images-idx3-ubyte", images)
        write_idx(mnist / f"{name}-labels-idx1-ubyte", rng.integers(0, 10, n))
    return folder


@pytest.fixture(scope="session")
def idx_folder(tmp_path_factory):
    """MNIST's four files with 60 and 25 small scribbles."""
    return write_scribbles(tmp_path_factory.mktemp("data"), train=60, t10k=25)


@pytest.fixture(scope="session")
def smaller_idx_folder(tmp_path_factory):
    """The same with 40 and 15."""
    return write_scribbles(tmp_path_factory.mktemp("data"), train=40, t10k=15)


@pytest.fixture
def upside_down(idx_folder, tmp_path):
    """`idx_folder` with its training images from the last to the first, and turned round."""
    shutil.copytree(idx_folder, tmp_path / "upside-down")
    (path,) = (tmp_path / "upside-down").rglob("train-images*")
    file = path.read_bytes()
    path.write_bytes(file[:16] + file[:15:-1])
    return tmp_path / "upside-down"


@pytest.fixture
def attentive_run(idx_folder, tmp_path, monkeypatch):
    """Train a tiny run by examples/mnist_attn.py and return its folder, given more options."""
    monkeypatch.chdir(tmp_path)
    presets = runpy.run_path(str(EXAMPLES / "mnist_attn.py"))["PRESETS"]

    def train(**more):
        options = {
            "data": idx_folder, "T": 2, "h-enc": 4, "h-dec": 4, "z": 2, "batch": 10, "pictures": 0,
            "threads": 1, "out": "run", "backend": "numpy",
        } | more  # fmt: skip
        assert main(presets, [str(w) for k, v in options.items() for w in (f"--{k}", v)]) == 0
        return tmp_path / "run"

    return train
