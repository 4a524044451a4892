"""Train the PyTorch reference as a run of mindraw was trained, and show both curves.

    python examples/mnist_attn.py --preset seed --out runs/seed
    python bench/curve.py runs/seed

The run is of any script in examples/ that trains, the classifier's too. The reference takes its
configuration from it and has the same initial weights, minibatches, noise and learning rates, and
is measured on the test set with the same noise: what differs is who computes. Its own run stands in
runs/seed-torch, with curve.csv and curve.png that join both. Stop it as you like (Ctrl-C): the same
command goes on.

A training with attention can be chaotic, so that rounding alone takes the two apart: chaos.py says
how fast. A rate that rises slowly and --dtype float64 keep them together. With --follow 100 mindraw
trains beside the reference, which takes over mindraw's parameters and moments every 100
minibatches: so both are compared all along the way, and only what 100 minibatches make of rounding
is between them.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import os
import sys
from contextlib import ExitStack
from pathlib import Path

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.engines import available_cores
from bench.options import at_least_one
from mindraw.commands import Parser, guarded
from mindraw.errors import MindrawError
from mindraw.experiment import Classification, Experiment
from mindraw.files import read_json
from mindraw.training.run import find_config, is_run

#: The splits that are measured.
COLOURS = {"train": "tab:blue", "valid": "tab:green", "test": "tab:orange"}
#: What is measured of each split, the first of it what is drawn, and its unit.
MEASURES = {
    Experiment: {"total": "nats", "reconstruction": "nats", "latent": "nats"},
    Classification: {"loss": "nats", "error": "%"},
}


def experiment_of(folder: Path):
    """The experiment that a run was made from, of either kind."""
    kind = Classification if "glimpses" in read_json(find_config(folder)) else Experiment
    experiment = kind.of(folder)
    if experiment.start_from is not None or experiment.stages()[0] is not None:
        raise MindrawError(
            f"{folder} started from the parameters of another run: compare one that began anew"
        )
    return experiment


def read_history(folder: Path) -> list[dict]:
    """The history of a run so far."""
    from mindraw.training.history import parse

    try:
        return parse((folder / "history.csv").read_text(encoding="utf-8"))
    except OSError as error:
        raise MindrawError(f"{folder} has no history: {error}") from error


def train_reference(
    experiment: Experiment | Classification,
    beside: Path,
    folder: Path,
    minibatches: int | None,
    compiled: bool,
    threads: int,
    follow: int | None = None,
):
    """Train the reference, or go on with it.

    Returns
    -------
    outcome : mindraw.training.Outcome
        The reference's.
    leader : list of dict or None
        With `follow`, the history of mindraw beside it.
    """
    # OpenMP threads that spin while they wait are many times slower beside another busy process
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import torch

    from bench.reference import Follower, TorchAdam, torch_model
    from mindraw.backend import get_backend
    from mindraw.training import Plan, Run, Session

    torch.set_num_threads(threads)
    dataset = experiment.load()
    one = dataclasses.replace(experiment, threads=1)
    leading = one.build(dataset, get_backend("numpy", experiment.dtype))
    numbers = experiment.optimizer(leading.model)
    model = torch_model(leading.model, compiled)
    optimizer = TorchAdam(model, numbers)
    kind = type(leading)
    task = kind(model, dataset, experiment.seed)
    plan = Plan(
        steps=minibatches or experiment.steps(task.minibatches.per_epoch),
        report=experiment.report,
        evaluate=experiment.evaluate,
        checkpoint=experiment.checkpoint,
    )
    rates = experiment.learning_rates(task.minibatches.per_epoch)

    def opened(folder, engine):
        what = {"engine": engine, "beside": beside.resolve().name, "follow": follow}
        if not is_run(folder):
            return Run.create(folder, what)
        if read_json(find_config(folder)) != what:
            raise MindrawError(
                f"{folder} holds another run than {engine}'s beside {beside} with --follow "
                f"{follow}: choose another --out"
            )
        return Run.open(folder)

    with ExitStack() as stack:
        run, leader = stack.enter_context(opened(folder, "torch")), None
        if follow:
            own = stack.enter_context(opened(folder / "mindraw", "mindraw"))
            leader = stack.enter_context(Session(leading, numbers, plan, own, rates))
            follower = type("Follower", (Follower, kind), {})
            task = follower(model, dataset, experiment.seed, optimizer, leader, follow)
        outcome = stack.enter_context(Session(task, optimizer, plan, run, rates)).train()
        if leader is None:
            return outcome, None
        leader.save()
        return outcome, leader.history.rows


def join(ours: list[dict], theirs: list[dict], measures) -> list[dict]:
    """Rows of both histories at the steps that both have, with what both measured there."""
    names = [f"{split}_{name}" for split in COLOURS for name in measures]
    names = [name for name in names if all(name in row for row in (*ours[:1], *theirs[:1]))]
    reference = {row["step"]: row for row in theirs}
    joined = []
    for row in ours:
        other = reference.get(row["step"])
        if other is None:
            continue
        line = {"step": row["step"], "epoch": row["epoch"]}
        for name in names:
            both = row[name] is not None and other[name] is not None
            line[f"mindraw_{name}"] = row[name] if both else None
            line[f"torch_{name}"] = other[name] if both else None
        joined.append(line)
    return joined


def write_csv(path: Path, rows: list[dict]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def measured(row: dict, measure: str) -> list[str]:
    """Of which splits a joined row has the measure."""
    return [split for split in COLOURS if f"mindraw_{split}_{measure}" in row]


def differences(rows: list[dict], name: str) -> list[tuple[float, float]]:
    """(epoch, mindraw - torch) wherever `name` was measured."""
    ours, theirs = f"mindraw_{name}", f"torch_{name}"
    return [(r["epoch"], r[ours] - r[theirs]) for r in rows if r[ours] is not None]


def draw(path: Path, rows: list[dict], measure: str, title: str) -> None:
    """Both curves of a measure in nats, one upon the other, and below them their difference."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 6), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    for split in measured(rows[0], measure):
        colour = COLOURS[split]
        known = [row for row in rows if row[f"mindraw_{split}_{measure}"] is not None]
        epochs = [row["epoch"] for row in known]
        for engine, style in (("mindraw", {"lw": 3, "alpha": 0.4}), ("torch", {"ls": "--"})):
            values = [row[f"{engine}_{split}_{measure}"] for row in known]
            above.plot(epochs, values, color=colour, label=f"{engine}, {split}", **style)
        gaps = differences(rows, f"{split}_{measure}")
        below.plot(epochs, [gap for _, gap in gaps], color=colour, marker=".", ms=3, lw=1)
    above.set(ylabel=f"{'bound' if measure == 'total' else measure}, nats", title=title)
    if measure == "total":  # the first rows stand far above all others
        totals = sorted(row[f"mindraw_train_{measure}"] for row in rows)
        above.set_ylim(totals[0] - 5, totals[int(0.95 * (len(totals) - 1))] + 5)
    above.legend()
    below.axhline(0, color="black", lw=0.5)
    below.set(xlabel="epoch", ylabel="difference, nats")
    figure.savefig(path, dpi=120)


def main() -> int:
    return guarded(_main)


def _main() -> int:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a run of mindraw, finished or not")
    parser.add_argument("--out", type=Path, help="folder of the reference (RUN-torch)")
    parser.add_argument("--minibatches", type=at_least_one, help="end early, after so many")
    parser.add_argument(
        "--follow", type=int, metavar="K", help="take over mindraw's parameters every K minibatches"
    )
    parser.add_argument("--compile", action="store_true", help="train through torch.compile")
    parser.add_argument("--threads", type=at_least_one, default=available_cores())
    options = parser.parse_args()
    suffix = "-torch" if options.follow is None else "-torch-follows"
    folder = options.out or options.run.with_name(options.run.name + suffix)
    if options.follow is not None and options.follow < 1:
        raise MindrawError(f"--follow is {options.follow}: it must be at least 1")
    experiment = experiment_of(options.run)
    measures = MEASURES[type(experiment)]
    first = next(iter(measures))
    try:
        outcome, leader = train_reference(
            experiment, options.run, folder, options.minibatches, options.compile, options.threads,
            options.follow,
        )  # fmt: skip
    except ImportError as error:
        raise MindrawError(
            f"the reference needs PyTorch: pip install 'mindraw[bench]' ({error})"
        ) from error
    if leader is None:
        leader = read_history(options.run)  # it may have gone on meanwhile
    rows = join(leader, outcome.rows, measures)
    if not rows:
        raise MindrawError(f"{options.run} and {folder} have no row at the same minibatch yet")
    write_csv(folder / "curve.csv", rows)
    draw(folder / "curve.png", rows, first, f"{options.run.name}: the same run in two engines")
    told = [first] if first == "total" else list(measures)
    known = measured(rows[0], first)
    for name in (f"{split}_{measure}" for split in known for measure in told):
        gaps = differences(rows, name)
        if gaps:
            last = next(r for r in reversed(rows) if r[f"mindraw_{name}"] is not None)
            split, _, measure = name.partition("_")
            print(
                f"{split}{'' if measure == 'total' else ' ' + measure}: "
                f"mindraw {last[f'mindraw_{name}']:.3f}, torch {last[f'torch_{name}']:.3f} "
                f"{measures[measure]} at minibatch {last['step']}; "
                f"apart by at most {max(abs(gap) for _, gap in gaps):.1e}"
            )
    print(f"{outcome.seconds / 60:.1f} minutes in PyTorch; {folder}/curve.csv and curve.png")
    return 0 if outcome.signal is None else 128 + outcome.signal


if __name__ == "__main__":
    sys.exit(main())
