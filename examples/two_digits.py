"""DRAW with attention draws two digits (Gregor et al. 2015; Arslan's replication in Knet.jl).

python examples/two_digits.py                    # quick: some minutes on two cores
python examples/two_digits.py --preset seed      # the replication's: single digits, two pasted
python examples/two_digits.py --preset paper     # the paper's: trained on pairs, 60 x 60
python examples/two_digits.py --help             # every number is an option
"""

import sys

import numpy as np

from mindraw import figures
from mindraw.experiment import Experiment, main, title
from mindraw.training.draw import windows

PRESETS = {
    # pairs on 60 x 60 pixels, as in the paper, with fewer steps
    "quick": Experiment(
        name="two_digits",
        dataset="two-digits",
        T=12,
        z=20,
        read_n=5,
        write_n=5,
        canvas="mean",
        filters="broad",
        schedule="cosine",
        minibatches=5000,
        evaluate=1000,
    ),
    # the replication: trained on single digits, see `paste`
    "seed": Experiment(
        name="two_digits",
        dataset="mnist",
        T=20,
        z=10,
        read_n=5,
        write_n=5,
        initial="zeros",
        minibatches=10_000,
    ),
    # the numbers of MNIST; the length is ours: the paper does not give it
    "paper": Experiment(
        name="two_digits",
        dataset="two-digits",
        T=64,
        z=100,
        read_n=2,
        write_n=5,
        epochs=100,
    ),
}
#: Side of the grid that two digits are pasted on, in pixels.
GRID = 60


def paste(task, run, pairs=8):
    """Draw two digits of a model of one: two sequences, at random places of a larger grid."""
    config = task.model.config
    if task.dataset.name == "two-digits" or task.batch < 2 or max(config.H, config.W) > GRID:
        return
    digits = task.generations(2 * pairs)
    pairs = digits.shape[1] // 2
    boxes = windows(task.model, 2 * pairs, ["write"])
    places = np.random.default_rng(task.seed).integers(
        0, [GRID - config.W + 1, GRID - config.H + 1], (2 * pairs, 2)
    )
    grids = np.zeros((config.T, pairs, config.C, GRID, GRID), np.float32)
    for k, (left, top) in enumerate(places):
        grids[:, k // 2, :, top : top + config.H, left : left + config.W] += digits[:, k]
    np.minimum(grids, 1, out=grids)
    for name in boxes:
        boxes[name][..., :2] += places
        boxes[name] = boxes[name].reshape(config.T, pairs, 2, 4)
    words = title(task.training, "Two digits, generated one by one")
    figures.canvases(run.figures / "two_digits.png", grids, words, windows=boxes)
    figures.animate(run.figures / "two_digits.gif", grids, title=words, windows=boxes)


if __name__ == "__main__":
    sys.exit(main(PRESETS, finish=paste))
