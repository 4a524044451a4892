"""Estimate log p(x) of a trained DRAW with importance samples (Burda et al. 2016).

python examples/likelihood.py runs/mnist_attn-paper              # 100 samples per test picture
python examples/likelihood.py runs/mnist_attn-paper --samples 1000 --images 1000

The bound, which is trained, and which alone compares with the paper's figures, stands beside it.
Stop it as you like (Ctrl-C): the same command goes on.
"""

import argparse
import sys
from contextlib import closing
from pathlib import Path

from mindraw import MindrawError, get_backend
from mindraw.backend import NAMES
from mindraw.commands import Parser, guarded
from mindraw.data.dataset import announce, likeness
from mindraw.errors import require_whole
from mindraw.experiment import Experiment
from mindraw.training.draw import load_model
from mindraw.training.likelihood import Survey, estimate
from mindraw.training.progress import progress
from mindraw.training.signals import Signals

#: Pictures at once.
BATCH = 100


def measure(given):
    """Estimate what was asked for; return the summary, None if stopped before the end."""
    for name, least in (("samples", 1), ("images", 1), ("seed", 0)):
        value = getattr(given, name)
        if value is not None:
            require_whole(name, value, least)
    experiment = Experiment.of(given.run)
    ops = get_backend(given.backend, experiment.dtype)
    model, checkpoint = load_model(given.run, ops, BATCH)
    dataset = experiment.but(data=given.data or experiment.data).load()
    split = getattr(dataset, given.split)
    if split is None:
        raise MindrawError(f"{dataset.name} has no split {given.split}: choose test or train")
    trained, found = checkpoint.training["training images"], len(dataset.train)
    if found != trained:
        announce(
            f"the run was trained on {trained:,} pictures, and here there are {found:,}: these are "
            "not its data; --data names the folder of those that are"
        )
    elif not checkpoint.knows(likeness(dataset.train)):
        announce(
            "the run was trained on as many other pictures: these are not its data; --data names "
            "the folder of those that are"
        )
    n = min(given.images or len(split), len(split))
    what = {
        "step": checkpoint.step,
        **checkpoint.training,
        **checkpoint.config,
        "parameters": checkpoint.digest(),
        "split": given.split,
        "pictures": len(split),
        "measured pictures": likeness(split),
        "samples": given.samples,
        "noise seed": given.seed,
    }
    out = given.out or given.run / f"likelihood-{given.split}-{given.samples}.csv"
    with closing(Survey(out, what)) as survey, Signals() as signals:
        blocks = -(-n // BATCH)
        with closing(progress(blocks, survey.done // BATCH)) as bar:
            while survey.done < n and signals.received is None:
                stop = min((survey.done // BATCH + 1) * BATCH, n)
                survey.add(estimate(model, split, survey.done, stop, given.samples, given.seed))
                summary = survey.summary()  # kept at every block: a killed process leaves it
                bar.advance()
                bar.report({f"{name}_nats": summary[name] for name in ("bound", "estimate")})
        if survey.done < n:
            print(f"stopped by {signals.received.name} at picture {survey.done} of {n}, all saved")
            return 128 + signals.received
        summary, done = survey.summary(), survey.done
    for name in ("bound", "estimate"):
        print(f"{name:12} {summary[name]:.2f} nats, +- {summary[f'{name}, standard error']:.2f}")
    print(
        f"on {done} images of {given.split}, {given.samples} samples each, of which "
        f"{summary['effective samples, median']:.1f} count in the median; {out}"
    )
    return 0


def main(argv=None):
    """Run the command; return the exit code."""
    return guarded(_main, argv)


def _main(argv):
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a run")
    parser.add_argument("--samples", type=int, default=100, help="for each picture (100)")
    parser.add_argument("--images", type=int, help="the first so many of the split (all)")
    parser.add_argument("--split", default="test", choices=["test", "valid", "train"])
    parser.add_argument("--data", help="folder to look for the data in first (the run's)")
    parser.add_argument("--seed", type=int, default=0, help="of the noise (0)")
    parser.add_argument("--out", type=Path, help="table (RUN/likelihood-SPLIT-SAMPLES.csv)")
    parser.add_argument("--backend", default="auto", choices=NAMES)
    return measure(parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
