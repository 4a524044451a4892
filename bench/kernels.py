"""What each operation of a training step costs by itself: microseconds, bytes, GB/s, GFLOP/s.

python bench/kernels.py --configs noattn attn

Every product and every kernel is timed where it stands in the step, in one process, by
shape. On a GPU (`--backend cupy`) each is waited for, so that its launch counts, too.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.configs import BATCH, CONFIGS, build, make_problem
from bench.engines import choose_own_kernels
from bench.options import at_least_one, new_file
from bench.step import machine
from mindraw import Adam, get_backend
from mindraw.commands import Parser, guarded
from mindraw.models.attention import ARRAYS
from mindraw.nn.filterbank import Bank


class Timed:
    """Something like a module whose functions are timed by name and shape."""

    def __init__(self, module, notes, wait):
        self._module, self._notes, self._wait = module, notes, wait

    def __getattr__(self, name):
        function = getattr(self._module, name)
        if not callable(function):
            return function

        def call(*arguments, **options):
            arrays = list(arrays_of(name, (*arguments, *options.values())))
            largest = max(arrays, key=lambda a: a.size, default=np.empty(0))
            shape = " by ".join(describe(a) for a in arrays[:2]) if name == "matmul" else ""
            self._wait()
            start = time.perf_counter()
            result = function(*arguments, **options)
            self._wait()
            note = self._notes[name, shape or describe(largest)]
            note["seconds"].append(time.perf_counter() - start)
            note["bytes"] = sum(a.nbytes for a in arrays)
            if name == "matmul":
                note["flops"] = 2.0 * options["out"].size * arrays[0].shape[-1]
            return result

        return call


def arrays_of(name, arguments):
    """List the arrays that a function is given, those of a glimpse among them."""
    for argument in arguments:
        if isinstance(argument, Bank):  # what is called d... flows back
            names = [key for key in ARRAYS if name.endswith("backward") or key[0] != "d"]
            yield from (getattr(argument, key) for key in names)
        elif hasattr(argument, "nbytes"):
            yield argument


def describe(array) -> str:
    """The shape of an array, in words."""
    return " x ".join(map(str, array.shape))


def measure(name: str, backend: str, steps: int) -> list[dict]:
    """One row for each operation and shape of a configuration, the most expensive first."""
    ops, notes = get_backend(backend), defaultdict(lambda: {"seconds": [], "flops": 0.0})
    wait = (lambda: None) if ops.name == "numpy" else ops.xp.cuda.get_current_stream().synchronize
    xp, kernels = ops.xp, ops.kernels
    params, x, other = make_problem(CONFIGS[name], minibatches=1)
    model = build(CONFIGS[name], ops, BATCH, 1)
    model.parameters.load(np.concatenate([params[n].ravel() for n in model.parameters.names]))
    adam = Adam(model.parameters, ops)
    columns = ops.asarray(x[0].reshape(BATCH, -1).T)
    minibatch = columns, ops.asarray(other[0])

    def step():
        model.loss_and_gradient(*minibatch)
        adam.step(model.gradients)

    ops.records = False  # a CUDA graph would be one operation
    step()
    ops.xp, ops.kernels = Timed(xp, notes, wait), Timed(kernels, notes, wait)
    for _ in range(steps):
        step()
    ops.xp, ops.kernels = xp, kernels
    rows = []
    for (operation, shape), note in notes.items():
        seconds = float(np.median(note["seconds"]))
        rows.append(
            {
                "config": name,
                "operation": operation,
                "shape": shape,
                "calls": len(note["seconds"]) // steps,
                "us": 1e6 * seconds,
                "ms_per_step": 1e3 * sum(note["seconds"]) / steps,
                "bytes": note["bytes"],
                "gb_per_s": note["bytes"] / seconds / 1e9,
                "gflops": note["flops"] / seconds / 1e9,
                "backend": ops.name,
                "machine": machine(),
            }
        )
    return sorted(rows, key=lambda row: -row["ms_per_step"])


def main() -> int:
    return guarded(_main)


def _main() -> None:
    parser = Parser(description=__doc__.partition("\n")[0])
    parser.add_argument("--configs", nargs="+", choices=CONFIGS, default=["noattn", "attn"])
    parser.add_argument("--backend", choices=["numpy", "numba", "cupy"], default="numpy")
    parser.add_argument("--steps", type=at_least_one, default=10)
    parser.add_argument(
        "--json", type=new_file, metavar="FILE", help="keep the rows as a JSON list"
    )
    options = parser.parse_args()
    if choose_own_kernels():  # what NumPy has loaded cannot choose again
        os.execv(sys.executable, [sys.executable, *sys.argv])
    rows = []
    for name in options.configs:
        found = measure(name, options.backend, options.steps)
        rows += found
        print(f"\n{name}, one process on {options.backend}; {found[0]['machine']}\n")
        print("| operation | shape | calls | us | ms a step | MB | GB/s | GFLOP/s |")
        print("|---|---|---|---|---|---|---|---|")
        for row in found:
            rate = f"{row['gflops']:.0f}" if row["gflops"] else ""
            print(
                f"| {row['operation']} | {row['shape']} | {row['calls']} | {row['us']:.1f} "
                f"| {row['ms_per_step']:.2f} | {row['bytes'] / 1e6:.2f} | {row['gb_per_s']:.1f} "
                f"| {rate} |"
            )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
