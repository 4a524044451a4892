"""How a step's time and memory grow with T, the minibatch, hidden units, the side, threads.

python bench/growth.py --out runs/growth
python bench/growth.py --out runs/growth --device gpu
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.configs import BATCH, CONFIGS, make_problem
from bench.engines import (
    Mindraw,
    Setting,
    available_cores,
    choose_own_kernels,
    prepare_environment,
)
from bench.options import at_least_one
from bench.step import Process, machine
from mindraw.commands import Parser, guarded
from mindraw.errors import MindrawError
from mindraw.files import write_json

#: What is varied around a configuration, and to which values.
VALUES = {
    "T": (5, 10, 20, 40, 80),
    "batch": (25, 50, 100, 200, 400),
    "h": (64, 128, 256, 512, 1024),
    "side": (14, 28, 56, 112),
}


def vary(name: str, what: str, value: int):
    """The configuration with one number changed, and its batch."""
    config = CONFIGS[name]
    if what == "h":
        return replace(config, h_enc=value, h_dec=value), BATCH
    if what == "side":
        return replace(config, H=value, W=value), BATCH
    return (config, value) if what == "batch" else (replace(config, T=value), BATCH)


def measure(name: str, what: str, value: int, setting: Setting, steps: int) -> dict:
    """Median time of a step, ms, and what it holds, MiB."""
    config, batch = vary(name, what, value) if what in VALUES else (CONFIGS[name], BATCH)
    process = Process(Mindraw, config, make_problem(config, batch, minibatches=2), setting)
    process.wait()
    if process.state != "ready":
        raise MindrawError(f"mindraw failed: {process.version}")
    process.ask("train", 2)
    seconds = process.ask("time", steps)
    held = process.ask("held")
    process.stop()
    return {
        "config": name, "varied": what, "value": value, "batch": batch,
        "threads": setting.threads, "device": setting.device,
        "median_ms": 1e3 * float(np.median(seconds)), "held_mib": held / 2**20,
        "machine": machine(), "version": process.version,
    }  # fmt: skip


def exponent(rows: list[dict], key: str) -> float:
    """Slope of log(key) over log(value), least squares, over the larger half of the values."""
    rows = sorted(rows, key=lambda row: row["value"])[len(rows) // 2 - 1 :]
    x, y = np.log([row["value"] for row in rows]), np.log([row[key] for row in rows])
    return float(np.polyfit(x, y, 1)[0])


def grouped(rows: list[dict]) -> dict:
    """The rows by configuration and by what is varied in it."""
    groups = {}
    for row in rows:
        groups.setdefault((row["config"], row["varied"]), []).append(row)
    return groups


def plot(rows: list[dict], path: Path) -> None:
    """Time and memory against what is varied, one column each."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    columns = list(dict.fromkeys(row["varied"] for row in rows))
    figure, axes = pyplot.subplots(
        2, len(columns), figsize=(3.2 * len(columns), 5.6), squeeze=False, layout="constrained"
    )
    for (name, what), group in grouped(rows).items():
        x = [row["value"] for row in group]
        for axis, key in zip(axes[:, columns.index(what)], ("median_ms", "held_mib"), strict=True):
            axis.loglog(x, [row[key] for row in group], "o-", label=name)
            axis.set_xticks(x, map(str, x))
            axis.minorticks_off()
            axis.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_major_formatter("{x:g}")
            axis.grid(alpha=0.3)
    for column, what in enumerate(columns):
        axes[1, column].set_xlabel(what)
    axes[0, 0].set_ylabel("ms for a step")
    axes[1, 0].set_ylabel("MiB held")
    axes[0, 0].legend()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def main() -> int:
    return guarded(_main)


def _main() -> None:
    parser = Parser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--configs", nargs="+", choices=["noattn", "attn"], default=["noattn", "attn"]
    )
    parser.add_argument(
        "--vary", nargs="+", choices=[*VALUES, "threads"],
        help="default: all, on a GPU all but threads",
    )  # fmt: skip
    parser.add_argument("--steps", type=at_least_one, default=12)
    parser.add_argument("--threads", type=at_least_one, default=available_cores())
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for rows.json and growth.png"
    )
    options = parser.parse_args()
    setting = Setting(options.threads, options.device)
    prepare_environment(setting)
    choose_own_kernels()
    options.out.mkdir(parents=True, exist_ok=True)
    varied = options.vary or ([*VALUES, "threads"] if options.device == "cpu" else [*VALUES])
    rows = []
    for name in options.configs:
        for what in varied:
            values = range(1, options.threads + 1) if what == "threads" else VALUES[what]
            for value in values:
                own = replace(setting, threads=value) if what == "threads" else setting
                rows.append(measure(name, what, value, own, options.steps))
                # after each, so that whoever has to stop keeps what was timed
                write_json(options.out / "rows.json", rows)
                row = rows[-1]
                print(
                    f"{name}, {what} {value}: {row['median_ms']:.1f} ms, {row['held_mib']:.0f} MiB"
                )
    print(
        "\n| config | varied | ms | MiB held | exponent of time | of memory |\n"
        "|---|---|---|---|---|---|"
    )
    for (name, what), group in grouped(rows).items():
        times = ", ".join(f"{row['value']}: {row['median_ms']:.1f}" for row in group)
        held = ", ".join(f"{row['held_mib']:.0f}" for row in group)
        slopes = "| | |"
        if len(group) > 2:
            slopes = f"| {exponent(group, 'median_ms'):.2f} | {exponent(group, 'held_mib'):.2f} |"
        print(f"| {name} | {what} | {times} | {held} {slopes}")
    print(
        f"\n{rows[0]['machine']}; {rows[0]['version']}; exponents: over the larger half of the "
        "values"
    )
    plot(rows, options.out / "growth.png")


if __name__ == "__main__":
    sys.exit(main())
