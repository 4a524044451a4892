"""Where a training step's time goes, call by call, in one of the processes that share it.

python bench/breakdown.py --config attn
"""

from __future__ import annotations

import os
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.configs import BATCH, CONFIGS, build, make_problem
from bench.engines import available_cores, choose_own_kernels
from bench.options import at_least_one
from mindraw import Adam, get_backend, team
from mindraw.commands import Parser, guarded


class Clock:
    """Adds up what calls take, by name, with the floating-point operations of products."""

    def __init__(self):
        self.calls = defaultdict(lambda: [0, 0.0, 0.0])

    def timed(self, name, function, flops=0.0, *arguments, **options):
        """Call the function, and note it under `name`."""
        start = time.perf_counter()
        result = function(*arguments, **options)
        entry = self.calls[name]
        entry[0] += 1
        entry[1] += time.perf_counter() - start
        entry[2] += flops
        return result

    def around(self, module, prefix):
        """Return something like `module` whose functions are timed under their names."""
        return _Around(self, module, prefix)


class _Around:
    def __init__(self, clock, module, prefix):
        self._clock, self._module, self._prefix = clock, module, prefix

    def __getattr__(self, name):
        value = getattr(self._module, name)
        if not callable(value):
            return value

        def call(*arguments, **options):
            label, flops = f"{self._prefix}{name}", 0.0
            if name == "matmul":
                a, b = arguments
                label = "product " + " by ".join(" x ".join(map(str, m.shape)) for m in (a, b))
                flops = 2.0 * options["out"].size * a.shape[-1]
            return self._clock.timed(label, value, flops, *arguments, **options)

        return call


def profile(name: str, threads: int, steps: int, backend: str):
    """Time `steps` training steps, and the calls of the first process in them.

    Returns
    -------
    milliseconds : float
        Of one step.
    rows : list of (name, calls, milliseconds, GFLOP/s)
        For one step, the longest first.
    """
    ops, config, clock = get_backend(backend), CONFIGS[name], Clock()
    ops.xp, ops.kernels = clock.around(np, "numpy."), clock.around(ops.kernels, "kernel ")
    params, x, other = make_problem(config)
    model = build(config, ops, BATCH, threads)
    model.parameters.load(np.concatenate([params[n].ravel() for n in model.parameters.names]))
    adam = Adam(model.parameters, ops, workers=model.workers)
    columns = [part.reshape(BATCH, -1).T for part in x]  # views, as the tasks hand them over

    def step(k):
        model.loss_and_gradient(columns[k % len(x)], other[k % len(x)])
        adam.step(model.gradients)

    meet = team.Team._meet
    team.Team._meet = lambda self, k: clock.timed("waiting for the others", meet, 0.0, self, k)
    try:
        for k in range(3):
            step(k)
        clock.calls.clear()
        start = time.perf_counter()
        for k in range(steps):
            step(k)
        total = time.perf_counter() - start
    finally:
        team.Team._meet = meet
    rows = [
        (label, calls / steps, 1e3 * seconds / steps, flops / seconds / 1e9)
        for label, (calls, seconds, flops) in clock.calls.items()
    ]
    rest = total - sum(seconds for _, seconds, _ in clock.calls.values())
    rows.append(("everything between the calls", 1, 1e3 * rest / steps, 0.0))
    return 1e3 * total / steps, sorted(rows, key=lambda row: -row[2])


def main() -> int:
    return guarded(_main)


def _main() -> None:
    parser = Parser(description=__doc__.partition("\n")[0])
    parser.add_argument("--config", choices=CONFIGS, default="noattn")
    parser.add_argument("--threads", type=at_least_one, default=available_cores())
    parser.add_argument("--backend", choices=["numpy", "numba"], default="numpy")
    parser.add_argument("--steps", type=at_least_one, default=15)
    parser.add_argument("--least", type=float, default=0.5, help="leave out what takes less (ms)")
    options = parser.parse_args()
    if choose_own_kernels():  # what NumPy has loaded cannot choose again
        os.execv(sys.executable, [sys.executable, *sys.argv])
    total, rows = profile(options.config, options.threads, options.steps, options.backend)
    on = f"{options.config}, {options.threads} threads"
    print(f"{on}: {total:.1f} ms for a step, kernels of {options.backend}\n")
    print("| call | times | ms | share | GFLOP/s |\n|---|---|---|---|---|")
    left = [0, 0.0]
    for label, calls, ms, rate in rows:
        if ms < options.least:
            left[0] += calls
            left[1] += ms
            continue
        speed = f"{rate:.0f}" if rate else ""
        print(f"| {label} | {calls:.0f} | {ms:.2f} | {100 * ms / total:.0f} % | {speed} |")
    print(f"| all others | {left[0]:.0f} | {left[1]:.2f} | {100 * left[1] / total:.0f} % | |")


if __name__ == "__main__":
    sys.exit(main())
