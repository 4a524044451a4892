"""What a GPU does in one of mindraw's training steps, launch by launch.

python bench/timeline.py --config paper --picture timeline.png

The step is made twice: launched kernel by kernel, and recorded as a CUDA graph. Both are timed
alone; the GPU's own profiler, which PyTorch brings, then says when each kernel of a step began and
ended. Watched by it kernels take as long as else, and the pauses between them a little longer.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.configs import CONFIGS, make_problem
from bench.engines import Mindraw, Setting, durations, prepare_environment, watched
from bench.options import at_least_one, new_file
from mindraw.commands import Parser, guarded

WARM_UP, REPEATS = 5, 5
#: How the step is launched, and whether it is recorded for that.
WAYS = {"one by one": False, "as a graph": True}


class Launch(NamedTuple):
    """A kernel, copy or fill: its name, and when it began and ended, in us."""

    name: str
    start: float
    end: float


def watch(runner, x) -> list[Launch]:
    """Return the launches of one step in the order of their beginning."""
    launches = [
        Launch(event.name, event.time_range.start, event.time_range.end)
        for event in watched(runner, x)
    ]
    return sorted(launches, key=lambda launch: launch.start)


def summary(launches: list[Launch]) -> list[tuple[str, int, float]]:
    """Add launches up by name: name, how many, and us in all; the longest first."""
    found = defaultdict(lambda: [0, 0.0])
    for name, start, end in launches:
        found[name][0] += 1
        found[name][1] += end - start
    rows = [(name, count, total) for name, (count, total) in found.items()]
    return sorted(rows, key=lambda row: -row[2])


def busy(launches: list[Launch]) -> float:
    """Microseconds in which at least one launch ran."""
    total, until = 0.0, float("-inf")
    for _, start, end in launches:
        total += max(end - max(start, until), 0.0)
        until = max(until, end)
    return total


def short(name: str, width: int = 60) -> str:
    """A kernel's name without what it takes and returns."""
    name = name.removeprefix("void ").partition("(")[0]
    return name if len(name) <= width else name[: width - 3] + "..."


def draw(seen: dict[str, list[Launch]], path: Path, steps_of_time: int) -> None:
    """Draw about two steps of time from the middle of the forward pass, one way above the other."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(seen), 1, figsize=(11, 1.6 * len(seen) + 1.2), sharex=True)
    names = sorted({short(launch.name, 40) for part in seen.values() for launch in part})
    colours = dict(zip(names, plt.cm.tab20(np.linspace(0, 1, len(names))), strict=True))
    used = {}
    for ax, (way, launches) in zip(axes, seen.items(), strict=True):
        first = len(launches) // 4
        count = max(len(launches) // steps_of_time, 1)  # as many as one forward and one backward
        part = launches[first : first + count]
        for name, start, end in part:
            label = short(name, 40)
            bar = ax.barh(0, end - start, left=start - part[0].start, color=colours[label])
            used.setdefault(label, bar)
        ax.set_yticks([])
        ax.set_title(f"launched {way}", loc="left", fontsize=9)
    axes[-1].set_xlabel("microseconds")
    figure.legend(used.values(), used.keys(), loc="lower center", ncols=4, fontsize=7)
    figure.tight_layout(rect=(0, 0.14, 1, 1))
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> int:
    return guarded(_main)


def _main() -> None:
    parser = Parser(description=__doc__.partition("\n")[0])
    parser.add_argument("--config", choices=CONFIGS, default="paper")
    parser.add_argument("--steps", type=at_least_one, default=20)
    parser.add_argument(
        "--tf32", action="store_true", help="let products on the GPU round float32 to 10 bits"
    )
    parser.add_argument("--picture", type=new_file, metavar="FILE", help="draw two steps of time")
    parser.add_argument("--order", action="store_true", help="also list a graph's launches in turn")
    options = parser.parse_args()
    setting = Setting(1, "gpu", options.tf32)
    prepare_environment(setting)
    config = CONFIGS[options.config]
    params, x, other = make_problem(config)
    runner = Mindraw(config, params, x, other, setting)
    print(f"{options.config}, {runner.version}, {'TF32' if options.tf32 else 'float32'}")
    seen = {}
    for way, runner.ops.records in WAYS.items():
        for k in range(WARM_UP):
            runner.step(k % len(x))
        runner.wait()
        found = [
            1e3 * seconds
            for _ in range(REPEATS)
            for seconds in durations(runner, x, options.steps, setting)
        ]
        launches = seen[way] = watch(runner, x)
        span = max(launch.end for launch in launches) - launches[0].start
        print(
            f"launched {way}: {np.median(found):.3f} ms a step ({min(found):.3f} to "
            f"{max(found):.3f}); {len(launches)} launches, watched {span / 1e3:.3f} ms, in "
            f"{busy(launches) / 1e3:.3f} of which a kernel runs"
        )
    print("\n| kernel | times | us each | us |\n|---|---|---|---|")
    for name, count, total in summary(seen["as a graph"]):
        print(f"| {short(name)} | {count} | {total / count:.2f} | {total:.0f} |")
    if options.order:
        launches = seen["as a graph"]
        for name, start, end in launches:
            print(f"{start - launches[0].start:9.1f} {end - start:7.2f}  {short(name)}")
    if options.picture:
        draw(seen, options.picture, config.T)


if __name__ == "__main__":
    sys.exit(main())
