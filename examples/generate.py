"""Draw from a trained model; its run, or no more than the checkpoint, is all that it takes.

python examples/generate.py runs/mnist_attn-quick
python examples/generate.py checkpoint.h5 --n 36 --seed 7 --out pictures
"""

import sys
from pathlib import Path

import numpy as np

from mindraw import MindrawError, figures, get_backend
from mindraw.backend import NAMES
from mindraw.commands import Parser, guarded
from mindraw.experiment import title
from mindraw.training.draw import load_model, pictures, windows
from mindraw.training.streams import GENERATE

#: Pictures drawn at once: enough to be quick, few enough for any memory.
BATCH = 25
#: Pictures that are shown step by step.
ROWS = 10


def generate(run, out, n, seed, backend):
    """Write generations.png, samples.png and samples.gif; return their folder.

    The k-th picture of a seed is the same however many are drawn.
    """
    if n < 1 or seed < 0:
        raise MindrawError(
            f"n is {n} and seed is {seed}: draw at least 1, from a seed of 0 or more"
        )
    ops = get_backend(backend)
    model, trained = load_model(run, ops, min(n, BATCH))
    out.mkdir(parents=True, exist_ok=True)  # before all is drawn, which takes a while
    canvases, boxes = [], []
    for start in range(0, n, BATCH):
        b = min(BATCH, n - start)
        eps = ops.empty(model.noise_shape(b))
        for k in range(b):
            one = ops.standard_normal(model.noise_shape(1), (seed, GENERATE, start + k))
            eps[:, :, k : k + 1] = one
        canvases.append(pictures(model, model.generate(eps)))
        boxes.append(windows(model, b, ["write"]))
    canvases = np.concatenate(canvases, axis=1)
    boxes = {name: np.concatenate([each[name] for each in boxes], axis=1) for name in boxes[0]}
    words = title(trained.training)
    rows = {name: each[:, :ROWS] for name, each in boxes.items()}
    figures.canvases(out / "generations.png", canvases[:, :ROWS], words, windows=rows)
    figures.samples(out / "samples.png", canvases[-1], words)
    figures.animate(out / "samples.gif", canvases, title=words, windows=boxes)
    return out


def main(argv=None):
    """Run the command; return the exit code."""
    return guarded(draw, argv)


def draw(argv):
    """Read the command line, draw, and say where."""
    parser = Parser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path, help="folder of a run, or a checkpoint")
    parser.add_argument("--n", type=int, default=36, help="pictures (36)")
    parser.add_argument("--seed", type=int, default=0, help="of the noise (0)")
    parser.add_argument("--out", type=Path, default=Path("generated"), help="folder (generated)")
    parser.add_argument("--backend", default="auto", choices=NAMES)
    given = parser.parse_args(argv)
    folder = generate(given.run, given.out, given.n, given.seed, given.backend)
    print(f"drawn {given.n}, into {folder}: generations.png, samples.png, samples.gif")


if __name__ == "__main__":
    sys.exit(main())
