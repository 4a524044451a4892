"""``python -m mindraw gradcheck``: the table of every operation and parameter."""

import time

from ..backend import get_backend
from ..errors import MindrawError
from .checker import ALL
from .operations import OPERATIONS
from .suite import check_operation

HELP = "check every derivative of the engine numerically; exit 1 if one is wrong"


def add_arguments(parser):
    """Add this command's options to an `argparse` parser."""
    parser.add_argument(
        "--backend",
        default="numpy",
        help="numpy (default): complex step and central differences; numba or cupy: central "
        "differences and the gradients of numpy; auto: cupy where there is one, else numpy",
    )
    parser.add_argument(
        "--directions",
        type=int,
        default=100,
        help="random directions per operation, through all of its inputs (default: 100)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of inputs and directions (default: 0)")


def run(arguments):
    """Check every registered operation and print the table.

    Parameters
    ----------
    arguments : argparse.Namespace
        ``backend``, ``directions`` and ``seed``.

    Returns
    -------
    int
        0 where every check passed, 1 where one failed.

    Raises
    ------
    MindrawError
        If an option is out of range or the backend cannot be used here.
    """
    if arguments.directions < 1:
        raise MindrawError(f"--directions is {arguments.directions}: it must be 1 or more")
    if arguments.seed < 0:
        raise MindrawError(f"--seed is {arguments.seed}: it must be 0 or more")
    ops = get_backend(arguments.backend, "float64")
    start = time.perf_counter()
    checked = {
        operation.name: check_operation(
            operation, ops, seed=arguments.seed, directions=arguments.directions
        )
        for operation in OPERATIONS
    }
    seconds = time.perf_counter() - start
    print(table(checked))
    failures = [(name, r) for name, results in checked.items() for r in results if not r]
    for name, result in failures:
        print(f"{name}: {result}")
    count = sum(result.count for results in checked.values() for result in results)
    verdict = f"{len(failures)} FAILED" if failures else "all passed"
    print(
        f"{len(checked)} operations on {ops.name}, {count} derivatives compared "
        f"in {seconds:.1f} s: {verdict}"
    )
    return 1 if failures else 0


def table(checked):
    """Lay results out: a row for each input of each operation, a column for each method.

    Parameters
    ----------
    checked : dict of str to list of Result
        By the operation's name.

    Returns
    -------
    str
    """
    methods = list(dict.fromkeys(r.method for results in checked.values() for r in results))
    rows = [["operation", "parameter", *methods, "verdict"]]
    for operation, results in checked.items():
        for name in dict.fromkeys(result.input for result in results):
            found = {result.method: result for result in results if result.input == name}
            label = name
            if name == ALL:
                label = f"{name}, {max(r.count for r in found.values())} directions"
            errors = [f"{found[m].error:.1e}" if m in found else "-" for m in methods]
            rows.append([operation, label, *errors, "ok" if all(found.values()) else "FAILED"])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
