"""Time one training step of mindraw beside PyTorch and JAX: `python bench/step.py`.

Every engine runs in its own process with the same number of threads, gets the same weights,
pictures and noise, and is first checked against the others. Then they take turns, a few steps
each, round after round, so that a machine that slows down slows all of them. A pause before each
turn lets the thread pools of the last one fall asleep. With `--device gpu` all of them run on the
GPU, mindraw through CuPy; products then keep float32's precision unless `--tf32` is given. On a CPU
mindraw runs twice, on NumPy alone and with the kernels that Numba compiles.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import sys
import time
from pathlib import Path

import numpy as np

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.configs import BATCH, CONFIGS, bytes_needed, flops_needed, make_problem
from bench.engines import (
    COPIED,
    ENGINES,
    SGEMM_SIDE,
    Copy,
    Setting,
    Sgemm,
    available_cores,
    choose_own_kernels,
    prepare_environment,
    serve,
)
from bench.options import at_least_one, new_file
from mindraw.commands import Parser, guarded
from mindraw.errors import MindrawError

#: Of losses relative to themselves, of a gradient to its largest entry: of float32 and of TF32.
TOLERANCES = {False: (1e-5, 1e-4), True: (1e-3, 5e-2)}
WARM_UP = 4
PAUSE = 0.3  # seconds; OpenMP and OpenBLAS threads stop spinning within 0.2


class Process:
    """One engine in a process of its own, spoken to through a pipe."""

    def __init__(self, engine, config, problem, setting):
        context = multiprocessing.get_context("spawn")
        self.pipe, there = context.Pipe()
        arguments = (there, engine, config, *problem, setting)
        self.process = context.Process(target=serve, args=arguments, daemon=True)
        self.process.start()
        there.close()
        self.name = engine.__name__
        self.state = self.version = self.first = None

    def wait(self, seconds: float | None = None):
        """Wait until the engine is built; an engine that takes longer than this is stopped."""
        if self.pipe.poll(seconds):
            self.state, self.version, self.first = self._receive()
        else:
            self.state, self.version = "absent", "it was not ready in time"
            self.process.kill()

    def ask(self, *order):
        self.pipe.send(order)
        return self._receive()

    def _receive(self):
        try:
            return self.pipe.recv()
        except EOFError:
            raise SystemExit(
                f"the process of {self.name} ended; its message stands above"
            ) from None

    def stop(self):
        if self.process.is_alive():
            self.pipe.send(("stop",))
        self.process.join()


def agreement(found: dict, tolerances=TOLERANCES[False]) -> tuple[float, float]:
    """Compare losses and gradients of every engine with the first's.

    Parameters
    ----------
    found : dict of str to (losses, gradients)
    tolerances : (float, float)
        The same distances, as they are allowed.

    Returns
    -------
    loss, gradient : float
        The worst distance of a loss, relative to itself, and of a gradient, relative to the
        largest entry of its parameter's.

    Raises
    ------
    SystemExit
        If an engine disagrees: then there is nothing to time.
    """
    (first, (*losses, gradients)), *others = found.items()
    worst_loss = worst_gradient = 0.0
    for engine, (*other_losses, other_gradients) in others:
        if set(gradients) != set(other_gradients):
            raise SystemExit(f"{engine} and {first} disagree on the parameters' names")
        parts = ("reconstruction", "latent") if len(losses) == 2 else ("classification",)
        for part, a, b in zip(parts, losses, other_losses, strict=True):
            error = float(np.max(np.abs(a - b) / np.abs(a)))
            if not error <= tolerances[0]:
                raise SystemExit(f"{engine} and {first} disagree on the {part} loss: {error:.1e}")
            worst_loss = max(worst_loss, error)
        for name, a in gradients.items():
            error = float(np.max(np.abs(a - other_gradients[name])) / np.max(np.abs(a)))
            if not error <= tolerances[1]:
                raise SystemExit(f"{engine} and {first} disagree on d{name}: {error:.1e}")
            worst_gradient = max(worst_gradient, error)
    return worst_loss, worst_gradient


def start(name: str, engines: list[str], setting: Setting) -> dict[str, Process]:
    """Start a process for each engine; what an engine compiles it compiles beside the others."""
    config = CONFIGS[name]
    problem = make_problem(config)
    return {engine: Process(ENGINES[engine], config, problem, setting) for engine in engines}


def run_config(
    name: str,
    started: dict[str, Process],
    rounds: int,
    steps: int,
    setting: Setting,
    deadline: float | None = None,
) -> list[dict]:
    """Check and time the engines on one configuration; one row per engine.

    What is not ready at the deadline, in the seconds of `time.monotonic`, is left out.
    """
    config = CONFIGS[name]
    problem = make_problem(config)
    running = {}
    for engine, process in started.items():
        process.wait(None if deadline is None else max(deadline - time.monotonic(), 0.1))
        if process.state == "ready":
            running[engine] = process
        elif engine == "mindraw":
            raise MindrawError(f"mindraw failed: {process.version}")
        else:
            print(f"{name}: {engine} is left out: {process.version}")
    if not running:
        raise SystemExit("no engine is left to time")
    found = {engine: process.first for engine, process in running.items()}
    trained = {engine: process.ask("train", WARM_UP) for engine, process in running.items()}
    if len(found) > 1:
        allowed = TOLERANCES[setting.tf32]
        loss, gradient = agreement(found, allowed)
        print(
            f"{name}: losses agree to {loss:.1e} (allowed {allowed[0]:g}), gradients to "
            f"{gradient:.1e} (allowed {allowed[1]:g}); after {WARM_UP} updates the loss is "
            + ", ".join(f"{loss:.3f}" for loss in trained.values())
        )
    sgemm, copy = (Process(each, config, problem, setting) for each in (Sgemm, Copy))
    sgemm.wait()
    copy.wait()
    seconds = {engine: [] for engine in running}
    products, copies = [], []
    for _ in range(rounds):
        for engine, process in running.items():
            time.sleep(PAUSE)
            seconds[engine].append(process.ask("time", steps))
        time.sleep(PAUSE)
        products += sgemm.ask("time", 8)
        copies += copy.ask("time", 8)
    peaks = {engine: process.ask("peak") for engine, process in running.items()}
    held = {engine: process.ask("held") for engine, process in running.items()}
    launches = {engine: process.ask("launches") for engine, process in running.items()}
    for process in (*running.values(), sgemm, copy):
        process.stop()

    gflop = flops_needed(config) / 1e9
    side = SGEMM_SIDE[setting.device]
    sgemm_rate = 2 * side**3 / min(products) / 1e9
    moved, copy_rate = bytes_needed(config) / 1e9, 2 * COPIED / min(copies) / 1e9
    medians = {engine: 1e3 * float(np.median(seconds[engine])) for engine in running}
    per_round = {engine: np.median(seconds[engine], axis=1) for engine in running}
    rows = []
    for engine in running:
        opponents = [other for other in medians if other != engine and "mindraw" not in other]
        better = min(opponents, key=medians.get, default=None)
        ratio = float(np.median(per_round[better] / per_round[engine])) if better else None
        low, high = 1e3 * np.percentile(seconds[engine], (10, 90))
        rate = 1e3 * gflop / medians[engine]
        rows.append(
            {
                "config": name,
                "engine": engine,
                "median_ms": medians[engine],
                "p10_ms": float(low),
                "p90_ms": float(high),
                "opponent": better,
                "ratio": ratio,
                "gflop": gflop,
                "gflops": rate,
                "floor_ms": 1e3 * gflop / sgemm_rate,
                "floor_share": rate / sgemm_rate,
                "sgemm_gflops": sgemm_rate,
                "sgemm_side": side,
                "gb": moved,
                "bytes_floor_ms": 1e3 * moved / copy_rate,
                "copy_gb_per_s": copy_rate,
                "launches": launches[engine],
                "peak_mib": peaks[engine],
                "held_mib": None if held[engine] is None else held[engine] / 2**20,
                "batch": BATCH,
                "threads": setting.threads,
                "device": setting.device,
                "tf32": setting.tf32,
                "rounds": rounds,
                "steps": steps,
                "peers_project_once": setting.project_once,
                "version": running[engine].version,
                "python": platform.python_version(),
                "machine": machine(),
            }
        )
    return rows


def machine() -> str:
    """The processor's name and the number of cores."""
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            name = next(line.split(": ")[1].strip() for line in file if "model name" in line)
    except (OSError, StopIteration, IndexError):
        pass
    return f"{name}, {os.cpu_count()} cores"


def in_ms(value: float) -> str:
    """Milliseconds with one decimal, or three digits of less than 10."""
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def print_table(rows: list[dict]) -> None:
    """The rows as a Markdown table."""
    first = rows[0]
    precision = "float32, products in TF32" if first["tf32"] else "float32"
    print(
        f"\n{first['machine']}; {first['threads']} threads; {first['device']}; "
        f"batch {first['batch']}, {precision}; {first['rounds']} rounds of {first['steps']} steps\n"
    )
    print(
        "| config | engine | median ms | 10-90 % | ratio | GFLOP/s | of floor | peak MiB "
        "| held MiB |\n"
        "|---|---|---|---|---|---|---|---|---|"
    )
    for r in rows:
        ratio = f"{r['ratio']:.2f} x {r['opponent']}" if r["opponent"] else "-"
        held = "-" if r["held_mib"] is None else f"{r['held_mib']:.0f}"
        print(
            f"| {r['config']} | {r['engine']} | {in_ms(r['median_ms'])} "
            f"| {in_ms(r['p10_ms'])}-{in_ms(r['p90_ms'])} | {ratio} | {r['gflops']:.0f} "
            f"| {100 * r['floor_share']:.0f} % | {r['peak_mib']:.0f} | {held} |"
        )
    print(
        "\nratio: how many times as fast as the best of the other engines (mindraw apart), "
        "median over rounds\n"
        "peak: largest resident memory, libraries included, or on a GPU the device's; held: what "
        "the engine lays out for a step (activations and their gradients)"
    )
    if any(row["config"] == "noattn" for row in rows):
        how = "once per minibatch, as mindraw does" if first["peers_project_once"] else "every step"
        print(f"noattn: the others multiply x by the encoder's weights {how}")
    for name in dict.fromkeys(row["config"] for row in rows):
        r = next(row for row in rows if row["config"] == name)
        print(
            f"{name}: {r['gflop']:.1f} GFLOP needed, floor {in_ms(r['floor_ms'])} ms "
            f"at {r['sgemm_gflops']:.0f} GFLOP/s (best {r['sgemm_side']}^3 sgemm of this run); "
            f"{1e3 * r['gb']:.0f} MB moved at least, floor {in_ms(r['bytes_floor_ms'])} ms at "
            f"{r['copy_gb_per_s']:.0f} GB/s (best copy)"
        )
        counted = [(r["engine"], r["launches"]) for r in rows if r["config"] == name]
        if any(n for _, n in counted):
            print(f"{name}: launches a step: " + ", ".join(f"{e} {n}" for e, n in counted))
    versions = dict.fromkeys(r["version"] for r in rows)
    print(f"python {first['python']}, {', '.join(versions)}")


def main() -> int:
    return guarded(_main)


def _main() -> None:
    parser = Parser(description=__doc__.partition("\n")[0])
    parser.add_argument("--configs", nargs="+", choices=CONFIGS, default=list(CONFIGS))
    parser.add_argument("--engines", nargs="+", choices=ENGINES, help="default: all that can run")
    parser.add_argument("--rounds", type=at_least_one, default=10)
    parser.add_argument("--steps", type=at_least_one, default=5, help="timed steps per turn")
    parser.add_argument("--threads", type=at_least_one, default=available_cores())
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument(
        "--tf32", action="store_true", help="let products on the GPU round float32 to 10 bits"
    )
    parser.add_argument(
        "--project-once", action="store_true",
        help="without attention, let the others too multiply x by its weights once per minibatch; "
        "as the paper writes it, they read [x, x_hat, h_enc, h_dec] at every step",
    )  # fmt: skip
    parser.add_argument(
        "--patience", type=at_least_one, metavar="SECONDS",
        help="leave an engine out that takes longer to compile a configuration",
    )  # fmt: skip
    parser.add_argument(
        "--json", type=new_file, metavar="FILE", help="keep the rows as a JSON list"
    )
    options = parser.parse_args()
    if options.tf32 and options.device == "cpu":
        parser.error("--tf32 is for the GPU: add --device gpu")
    engines = dict.fromkeys(options.engines or ENGINES)
    if options.device == "gpu":
        engines.pop("mindraw-numba", None)
    setting = Setting(options.threads, options.device, options.tf32, options.project_once)
    prepare_environment(setting)
    for name in choose_own_kernels():
        print(
            f"{name} is set here; unset for the bench, so that every engine chooses its own kernels"
        )
    rows = []
    for name in options.configs:
        deadline = options.patience and time.monotonic() + options.patience
        started = start(name, list(engines), setting)
        rows += run_config(name, started, options.rounds, options.steps, setting, deadline)
        if options.json:  # after each, so that whoever has to stop keeps what was timed
            options.json.write_text(json.dumps(rows, indent=1, allow_nan=False) + "\n")
    print_table(rows)


if __name__ == "__main__":
    sys.exit(main())
