"""How fast two trainings part that begin a hair from each other: whether rounding can tell.

    python examples/mnist_attn.py --preset paper --minibatches 1 --out runs/paper
    python bench/chaos.py runs/paper --minibatches 1000

Trains twice in lockstep as the run was trained from its beginning, on the same minibatches and
noise, in double precision. All parameters of one are moved by a tiny random vector first; the
difference of both is measured and made as small again every 50 minibatches (Benettin et al. 1980,
for the largest Lyapunov exponent). Where it stays small, so will what rounding does.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.options import at_least_one
from mindraw.backend import get_backend
from mindraw.commands import Parser, guarded
from mindraw.experiment import Experiment

#: Euclidean norm of the difference to begin with: far above rounding, far below anything else.
SIZE = 1e-9


class Training(NamedTuple):
    """One of the two: its optimizer has `params`, `m` and `v`, and `advance(k)` trains on k."""

    optimizer: object
    advance: object


def begin(experiment: Experiment, dataset) -> Training:
    """A training as the experiment says; `advance` returns the minibatch's mean loss, nats."""
    task = experiment.build(dataset, get_backend("numpy", experiment.dtype))
    optimizer = experiment.optimizer(task.model)
    rates = experiment.learning_rates(task.minibatches.per_epoch)

    def advance(k: int) -> float:
        loss = sum(float(part.mean()) for part in task.step(k))
        optimizer.step(task.model.gradients, rates(k))
        return loss

    return Training(optimizer, advance)


def move(training: Training, size: float) -> None:
    """Move all parameters by a random vector of this norm."""
    flat = training.optimizer.params.flat
    step = np.random.default_rng(0).standard_normal(flat.shape)
    flat += step * (size / np.linalg.norm(step))


def bring_back(one: Training, other: Training, size: float) -> float:
    """Make the difference this small again; return its norm before, over this."""
    ours, theirs = one.optimizer, other.optimizer
    shrink = size / np.linalg.norm(theirs.params.flat - ours.params.flat)
    for near, far in (
        (ours.params.flat, theirs.params.flat),
        (ours.m, theirs.m),
        (ours.v, theirs.v),
    ):
        far[...] = near + (far - near) * shrink
    np.maximum(theirs.v, 0, out=theirs.v)
    return 1 / shrink


def part(one: Training, other: Training, minibatches: int, every: int, size: float = SIZE):
    """Train both, and measure every so many minibatches.

    Yields
    ------
    k : int
        Minibatches so far.
    loss : float
        Mean over the minibatches since the last measurement, nats.
    growth : float
        What the difference was multiplied by in them.
    """
    move(other, size)
    losses = []
    for k in range(minibatches):
        losses.append(one.advance(k))
        other.advance(k)
        if (k + 1) % every == 0:
            yield k + 1, float(np.mean(losses)), bring_back(one, other, size)
            losses.clear()


def main() -> int:
    return guarded(_main)


def _main() -> None:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a run that draws, finished or not")
    parser.add_argument("--minibatches", type=at_least_one, default=1000)
    parser.add_argument("--every", type=at_least_one, default=50)
    options = parser.parse_args()
    experiment = Experiment.of(options.run)
    experiment = dataclasses.replace(experiment, dtype="float64", threads=1)
    dataset = experiment.load()
    pair = begin(experiment, dataset), begin(experiment, dataset)
    print("| minibatches | train bound, nats | growth, power of 10 | in all |")
    print("|---|---|---|---|")
    total = 0.0
    for k, loss, growth in part(*pair, options.minibatches, options.every):
        total += math.log10(growth)
        print(f"| {k} | {loss:.2f} | {math.log10(growth):.2f} | {total:.2f} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
