"""The list of operations that are checked: every layer, the kernels beneath, the whole model.

To register an operation, write its pair in `pairs` and add one entry to `OPERATIONS`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ..backend import get_backend
from ..models.classify import Classifier
from ..models.config import ClassifierConfig, DrawConfig
from ..models.draw import Draw
from ..nn import bernoulli, read, softmax
from ..nn.aim import AimLoss
from . import pairs
from .checker import COMPLEX

#: Small, and no two alike, so that a wrong axis does not fit.
SIZES = {"B": 2, "D": 7, "h": 3, "z": 4, "m": 5, "n": 6, "C": 2, "H": 5, "W": 4, "N": 3, "K": 4}


def between(low, high):
    """Return a way to draw an input: uniformly from [low, high)."""
    return lambda rng, shape: rng.uniform(low, high, shape)


def probabilities(rng, shape):
    """Draw targets: in each column numbers above 0 with a sum of 1."""
    numbers = rng.uniform(0.1, 1, shape)
    return numbers / numbers.sum(axis=0)


def coordinates(rng, shape):
    """Count the pixels of an axis from 0."""
    return np.arange(shape[0], dtype=float)


@dataclass(frozen=True)
class Operation:
    """A forward/backward pair of the engine, and where to check it.

    Parameters
    ----------
    name : str
    inputs : dict of str to str
        The shape of every input in the letters of `SIZES`: ``{"W": "4*h n", "b": "4*h 1"}``.
    forward : callable
        ``forward(ops, **inputs)`` returns a dict of outputs.
    backward : callable
        ``backward(ops, douts, **inputs)`` returns a dict of gradients.
    constants : tuple of str
        Inputs that are not differentiated.
    draws : dict of str to callable
        ``draw(rng, shape)`` for inputs that are not drawn from N(0, 1).
    tolerances : dict of str to float
        In place of the checker's.
    elements : int or None
        As in `mindraw.gradcheck.check`.
    """

    name: str
    inputs: Mapping
    forward: Callable
    backward: Callable
    constants: tuple = ()
    draws: Mapping = field(default_factory=dict)
    tolerances: Mapping = field(default_factory=dict)
    elements: int | None = None

    def sample(self, seed, sizes=None):
        """Draw the inputs.

        Parameters
        ----------
        seed : int
        sizes : dict of str to int, optional
            In place of those of `SIZES`.

        Returns
        -------
        dict of str to numpy.ndarray
        """
        rng = np.random.default_rng((seed, 3))
        sizes = SIZES | (sizes or {})
        shapes = {name: shape_of(text, sizes) for name, text in self.inputs.items()}
        return {
            name: self.draws[name](rng, shape) if name in self.draws else rng.standard_normal(shape)
            for name, shape in shapes.items()
        }

    def on(self, ops):
        """Return forward and backward on a backend, as functions of NumPy arrays."""

        def give(arrays):  # the engine takes single numbers, such as `scale`, as they are
            return {k: ops.asarray(x) if np.ndim(x) else x.item() for k, x in arrays.items()}

        def forward(**inputs):
            outputs = self.forward(ops, **give(inputs))
            return {name: ops.to_numpy(y) for name, y in outputs.items()}

        def backward(douts, **inputs):
            douts = {name: np.asarray(d) for name, d in douts.items()}
            gradients = self.backward(ops, give(douts), **give(inputs))
            return {name: ops.to_numpy(g) for name, g in gradients.items()}

        return forward, backward


@dataclass(frozen=True)
class WholeModel:
    """DRAW as an operation: its parameters are the inputs, the minibatch is a constant.

    Parameters
    ----------
    name : str
    config : DrawConfig
    batch : int
        B.
    threads : int
    elements : int or None
        As in `mindraw.gradcheck.check`.
    options : dict
        More arguments of the model.
    """

    name: str
    config: DrawConfig
    batch: int
    threads: int = 1
    elements: int | None = None
    options: Mapping = field(default_factory=dict)
    constants: tuple = ("x", "eps")
    tolerances: Mapping = field(default_factory=lambda: {COMPLEX: 1e-11})
    model = Draw

    def minibatch(self, rng):
        """Draw the constants."""
        eps = rng.standard_normal((self.config.T, self.config.z, self.batch))
        return {"x": rng.random((self.config.D, self.batch)), "eps": eps}

    def another(self, x, eps):
        """Return a minibatch that is unlike the given one."""
        return 1 - x, -eps

    def nats(self, model, losses):
        """Return the loss of each example, from a model and what it returned."""
        return sum(losses)

    def sample(self, seed):
        """Draw the parameters, biases and initial states included, and a minibatch."""
        rng = np.random.default_rng((seed, 3))
        ops = get_backend("numpy", "float64")
        shapes = self.model(self.config, ops, batch=1, threads=1).parameters.shapes
        inputs = {name: 0.5 * rng.standard_normal(shape) for name, shape in shapes.items()}
        return inputs | self.minibatch(rng)

    def on(self, ops):
        """Return forward and backward of one model on a backend, as functions of NumPy arrays."""
        model = self.model(self.config, ops, batch=self.batch, threads=self.threads, **self.options)

        def take(inputs):
            """Load the parameters; return the minibatch."""
            names = model.parameters.names
            model.parameters.load(np.concatenate([inputs[name].ravel() for name in names]))
            return [inputs[name] for name in self.constants]

        def forward(**inputs):
            losses = model.loss(*map(ops.asarray, take(inputs)))
            return {"loss": ops.to_numpy(self.nats(model, losses)).mean()}

        def backward(douts, **inputs):
            minibatch = take(inputs)
            # another minibatch first: what a step finds in the buffers must not matter
            other = [ops.asarray(array) for array in self.another(*minibatch)]
            model.loss_and_gradient(*other)
            model.loss(*other)
            model.loss_and_gradient(*map(ops.asarray, minibatch))
            return {name: douts["loss"] * g for name, g in model.gradients.to_dict().items()}

        return forward, backward


@dataclass(frozen=True)
class WholeClassifier(WholeModel):
    """The same of a classifier, whose minibatch is pictures, targets and maybe places."""

    config: ClassifierConfig
    constants: tuple = ("x", "target")
    model = Classifier

    def minibatch(self, rng):
        """Draw the constants."""
        target = probabilities(rng, (self.config.classes, self.batch))
        found = {"x": rng.random((self.config.D, self.batch)), "target": target}
        if "place" in self.constants:
            found["place"] = self.config.W * rng.random((2, self.batch))
        return found

    def another(self, x, target, *places):
        """Return a minibatch that is unlike the given one."""
        return 1 - x, target[::-1], *(place + 1 for place in places)

    def nats(self, model, losses):
        """Return the loss of each example, from a model and what it returned."""
        return losses.loss + model.aim_losses()


def shape_of(text, sizes):
    """Return the shape that letters such as "4*h 1" stand for."""
    return tuple(
        math.prod(int(factor) if factor.isdigit() else sizes[factor] for factor in part.split("*"))
        for part in text.split()
    )


def both(pair):
    """Return the two functions of a pair that is an object."""
    return pair.forward, pair.backward


TARGET = {"target": probabilities}
LSTM_KERNEL = (pairs.lstm_kernel_forward, pairs.lstm_kernel_backward)
LSTM = (pairs.lstm_forward, pairs.lstm_backward)
CANVAS = {"canvas": "D B", "x": "D B"}
PIXELS = {"x": between(0, 1)}
AXES = {"mu": "2 B N", "s2": "B", "pixels": "W"}
#: Filters on the image and beside it.
FILTERS = {"mu": between(-1, 5), "s2": between(0.5, 3), "pixels": coordinates}
#: Gates far from saturation, where 1 - g^2 has all its digits.
WEIGHTS = {"W": between(-0.7, 0.7)}
BANKS = {"Fy": "B N H", "Fx": "B N W"}
INTENSITY = {"gamma": between(0.3, 3)}
PATCH_READ = (pairs.patch_read_forward, pairs.patch_read_backward)
GLIMPSE_READ = (pairs.glimpse_read_forward, pairs.glimpse_read_backward)
AIM = {"p": "2 B", "place": "2 B", "centre": "2 1", "weight": "", "within": ""}
AIMED = {"place": between(0, 5), "centre": between(2, 3)}
AIMED |= {"weight": between(0.5, 2), "within": between(1, 3)}
LOOK, IMAGE = {"p": "5 B", "b": "5 1"}, "B H*C W"
PLACES = {"centre": "2 1", "stride": "", "offsets": "N"}
GRID = PLACES | {"rows": "H", "columns": "W"}
#: Filters on a small image, where neither they nor their gradients vanish.
ON_IMAGE = {"p": between(-0.5, 0.5), "b": between(-0.5, 0.5), "offsets": between(-1, 1)}
ON_IMAGE |= {"centre": between(2, 3), "stride": between(0.5, 1.5)}
ON_IMAGE |= {"rows": coordinates, "columns": coordinates}

KERNELS = (
    Operation(
        "kernel lstm",
        {"a": "4*h B", "constant": "4*h B", "cell_prev": "h B"},
        *LSTM_KERNEL,
    ),
    Operation(
        "kernel lstm, bias",
        {"a": "4*h B", "constant": "4*h 1", "cell_prev": "h B"},
        *LSTM_KERNEL,
    ),
    Operation(
        "kernel gaussian",
        {"q": "2*z B", "b": "2*z 1", "eps": "z B"},
        pairs.gaussian_kernel_forward,
        pairs.gaussian_kernel_backward,
        constants=("eps",),
    ),
    Operation(
        "kernel error_image",
        CANVAS,
        *both(pairs.ErrorImage(pairs.Kernel("error_image"))),
        constants=("x",),
        draws=PIXELS,
    ),
    Operation(
        "kernel bernoulli",
        CANVAS,
        *both(pairs.Reconstruction(pairs.Kernel("bernoulli"))),
        constants=("x",),
        draws=PIXELS,
    ),
    Operation(
        "kernel softmax",
        {"logits": "K B", "target": "K B"},
        *both(pairs.Classification(pairs.Kernel("softmax"))),
        constants=("target",),
        draws=TARGET,
    ),
    Operation(
        "kernel aim",
        AIM,
        *both(pairs.Looking(layered=False)),
        constants=tuple(AIM)[1:],
        draws=AIMED,
    ),
    Operation(
        "kernel place",
        LOOK | PLACES,
        pairs.place_forward,
        pairs.place_backward,
        constants=tuple(PLACES),
        draws={"centre": between(1, 6), "stride": between(1, 3)},
    ),
    Operation(
        "kernel filterbank",
        AXES,
        pairs.filterbank_forward,
        pairs.filterbank_backward,
        constants=("pixels",),
        draws=FILTERS,
    ),
    Operation(
        "kernel intensity",
        {"patch": "B N C*N", "gamma": "B"},
        pairs.intensity_forward,
        pairs.intensity_backward,
        draws=INTENSITY,
    ),
    Operation(
        "kernel stroke",
        {"w": "B N C*N", "b": "N*C*N 1", "gamma": "B"},
        pairs.stroke_forward,
        pairs.stroke_backward,
        draws=INTENSITY,
    ),
    Operation("kernel read", {"x": IMAGE, "x_hat": IMAGE} | BANKS, *PATCH_READ, constants=("x",)),
    Operation("kernel read, x alone", {"x": IMAGE} | BANKS, *PATCH_READ, constants=("x",)),
    Operation(
        "kernel write",
        {"image": IMAGE, "patch": "B N C*N"} | BANKS,
        pairs.patch_write_forward,
        pairs.patch_write_backward,
    ),
)
LAYERS = (
    Operation(
        "linear",
        {"x": "n B", "W": "m n", "b": "m 1"},
        pairs.linear_forward,
        pairs.linear_backward,
    ),
    Operation(
        "constant, three steps",
        {"x": "n 3*B", "c": "n B"},
        pairs.constant_forward,
        pairs.constant_backward,
    ),
    Operation(
        "lstm",
        {"u": "n B", "W": "4*h n", "constant": "4*h B", "cell_prev": "h B"},
        *LSTM,
        draws=WEIGHTS,
    ),
    Operation(
        "lstm, bias",
        {"u": "n B", "W": "4*h n", "constant": "4*h 1", "cell_prev": "h B"},
        *LSTM,
        draws=WEIGHTS,
    ),
    Operation(
        "gaussian",
        {"h": "h B", "W": "2*z h", "b": "2*z 1", "eps": "z B"},
        pairs.gaussian_forward,
        pairs.gaussian_backward,
        constants=("eps",),
    ),
    Operation("read", CANVAS, *both(pairs.ErrorImage(read)), constants=("x",), draws=PIXELS),
    Operation(
        "write",
        {"canvas": "D B", "h": "h B", "W": "D h", "b": "D 1"},
        pairs.write_forward,
        pairs.write_backward,
    ),
    Operation(
        "bernoulli", CANVAS, *both(pairs.Reconstruction(bernoulli)), constants=("x",), draws=PIXELS
    ),
    Operation(
        "softmax",
        {"logits": "K B", "target": "K B"},
        *both(pairs.Classification(softmax)),
        constants=("target",),
        draws=TARGET,
    ),
    Operation(
        "aim",
        AIM,
        *both(pairs.Looking(layered=True)),
        constants=tuple(AIM)[1:],
        draws=AIMED,
    ),
    Operation(
        "glimpse read",
        LOOK | GRID | {"x": IMAGE, "canvas": IMAGE},
        *GLIMPSE_READ,
        constants=("x", *GRID),
        draws=PIXELS | ON_IMAGE,
    ),
    Operation(
        "glimpse read, x alone",
        LOOK | GRID | {"x": IMAGE},
        *GLIMPSE_READ,
        constants=("x", *GRID),
        draws=PIXELS | ON_IMAGE,
    ),
    Operation(
        "glimpse write",
        LOOK | GRID | {"canvas": IMAGE, "w": "B N C*N", "bw": "N*C*N 1"},
        pairs.glimpse_write_forward,
        pairs.glimpse_write_backward,
        constants=tuple(GRID),
        draws=ON_IMAGE,
    ),
)
MODELS = (
    WholeModel("draw", DrawConfig(H=2, W=3, T=3, h_enc=4, h_dec=3, z=2), batch=2),
    WholeModel(
        "draw, zeros, C=3",
        DrawConfig(H=3, W=1, C=3, T=4, h_enc=3, h_dec=5, z=2, initial="zeros"),
        batch=3,
        elements=6,
    ),
    WholeModel(
        "draw, T=1, B=1",
        DrawConfig(H=1, W=2, C=3, T=1, h_enc=2, h_dec=3, z=1),
        batch=1,
        elements=6,
    ),
    WholeModel(
        "draw, attention",
        DrawConfig(H=4, W=3, C=2, T=3, h_enc=3, h_dec=4, z=2, read_n=2, write_n=3),
        batch=2,
        elements=6,
    ),
    WholeModel(
        "draw, attention, zeros, N=1",
        DrawConfig(H=2, W=3, T=2, h_enc=3, h_dec=4, z=2, read_n=1, write_n=1, initial="zeros"),
        batch=2,
        elements=6,
    ),
    WholeModel(
        "draw, recompute",
        DrawConfig(H=2, W=3, T=5, h_enc=3, h_dec=3, z=2),
        batch=2,
        elements=6,
        options={"recompute": 2},
    ),
    WholeModel(
        "draw, attention, recompute",
        DrawConfig(H=3, W=2, T=8, h_enc=3, h_dec=3, z=1, read_n=1, write_n=2),
        batch=2,
        elements=6,
        options={"recompute": 3},
    ),
    WholeClassifier(
        "classify",
        ClassifierConfig(H=4, W=3, C=2, T=3, h=3, read_n=2, classes=4),
        batch=2,
        elements=6,
    ),
    WholeClassifier(
        "classify, first learned",
        ClassifierConfig(H=3, W=5, T=3, h=4, read_n=2, classes=3, first="learned"),
        batch=3,
        elements=6,
    ),
    WholeClassifier(
        "classify, first learned, every 2",
        ClassifierConfig(H=3, W=5, T=4, h=4, read_n=2, classes=3, first="learned", first_every=2),
        batch=2,
        elements=6,
    ),
    WholeClassifier(
        "classify, aim loss",
        ClassifierConfig(H=4, W=6, T=4, h=3, read_n=2, classes=3, first="learned", first_every=3),
        batch=2,
        elements=6,
        constants=("x", "target", "place"),
        options={"aim_loss": AimLoss(0.7, 2.0)},
    ),
    WholeClassifier(
        "classify, zeros, T=1, B=1, N=1",
        ClassifierConfig(H=2, W=3, T=1, h=3, read_n=1, classes=2, initial="zeros"),
        batch=1,
        elements=6,
    ),
)
OPERATIONS = KERNELS + LAYERS + MODELS
