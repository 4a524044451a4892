"""What holding fewer steps at a time costs: memory and time against `recompute`, interleaved.

python bench/recompute.py --T 256
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.configs import BATCH, CONFIGS, make_problem
from bench.engines import available_cores, choose_own_kernels, numpy_version
from bench.options import at_least_one
from bench.step import machine
from mindraw.backend import get_backend
from mindraw.commands import Parser, guarded
from mindraw.errors import MindrawError
from mindraw.models.config import DrawConfig
from mindraw.models.draw import Draw

#: Steps to hold, of those that a model has.
STEPS = (64, 32, 16, 8, 4)


def measure(config, held: list[int | None], rounds: int, threads: int) -> list[dict]:
    """Time and memory of a gradient for each number of steps held; None for all of them."""
    ops = get_backend("numpy")
    params, x, noise = make_problem(config, BATCH, minibatches=1)
    x, noise = x[0].reshape(BATCH, -1).T.copy(), noise[0]
    rows = []
    for K in held:
        model = Draw(config, ops, BATCH, threads, recompute=K)
        flat = np.concatenate([params[name].ravel() for name in model.parameters.names])
        model.parameters.load(flat)
        held_bytes = sum(part.buffer.nbytes for part in (model.tape, *model.shards))
        rows.append({"recompute": K, "model": model, "mib": held_bytes / 2**20, "seconds": []})
    for _ in range(rounds + 1):  # the first one is not counted
        for row in rows:
            start = time.perf_counter()
            row["model"].loss_and_gradient(x, noise)
            row["seconds"].append(time.perf_counter() - start)
    first = rows[0]["model"].gradients.flat
    for row in rows:
        seconds = np.array(row["seconds"][1:])
        row["ms"] = 1e3 * float(np.median(seconds))
        row["ratio"] = float(np.median(seconds / rows[0]["seconds"][1:]))
        difference = row["model"].gradients.flat - first
        row["difference"] = float(np.abs(difference).max() / np.abs(first).max())
    return rows


def main() -> int:
    return guarded(_main)


def _main() -> None:
    parser = Parser(description=__doc__.partition("\n")[0])
    names = [name for name, config in CONFIGS.items() if isinstance(config, DrawConfig)]
    parser.add_argument("--config", choices=names, default="paper")
    parser.add_argument("--T", type=at_least_one, default=256)
    parser.add_argument("--recompute", type=at_least_one, nargs="+", help=f"default: {STEPS}")
    parser.add_argument("--rounds", type=at_least_one, default=8)
    parser.add_argument("--threads", type=at_least_one, default=available_cores())
    options = parser.parse_args()
    if choose_own_kernels():  # what NumPy has loaded cannot choose again
        os.execv(sys.executable, [sys.executable, *sys.argv])
    some = options.recompute or [K for K in STEPS if K <= options.T]
    if max(some, default=0) > options.T:
        raise MindrawError(f"--recompute {max(some)} is more than --T {options.T}")
    config = replace(CONFIGS[options.config], T=options.T)
    held = [None, *some]
    rows = measure(config, held, options.rounds, options.threads)
    print("| steps held | MiB held | of all | ms | ratio | gradients differ by |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        share = row["mib"] / rows[0]["mib"]
        print(
            f"| {row['recompute'] or 'all ' + str(config.T)} | {row['mib']:.0f} | {share:.2f} "
            f"| {row['ms']:.0f} | {row['ratio']:.2f} | {row['difference']:.1e} |"
        )
    print(f"\n{options.config}, T = {config.T}; {machine()}; {numpy_version()}")


if __name__ == "__main__":
    sys.exit(main())
