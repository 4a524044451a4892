"""Faults planted in the compiled kernels, which the comparison with the reference must find.

The faulty copies run as plain Python, on small arrays: to compile some hundreds would take
minutes.
"""

import ast
import copy
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from cases import GLIMPSE, Maker, adam, elementwise, glimpse, kernel_of
from comparing import compare, compare_narrow

import mindraw.kernels
from mindraw.kernels import reference
from mindraw.kernels.reference.filterbank import NARROW
from tests.gradcheck.planted import code, faults, replace, short

FOLDER = Path(mindraw.kernels.__file__).parent / "compiled"
#: What a module of the compiled kernels imports, in plain Python.
PLAIN = {
    "np": np, "math": math, "reference": reference, "NARROW": NARROW, "exp": np.exp,
    "tanh": np.tanh, "row": lambda matrix, j: matrix[j], "refuse_apart": lambda *matrices: None,
}  # fmt: skip
CASES = {
    "lstm": [
        "lstm_forward", "lstm_forward_columns", "lstm_backward", "lstm_backward_once",
        "lstm_backward_twice",
    ],
    "gaussian": ["gaussian_forward", "gaussian_backward"],
    "optimizer": ["adam"],
    "canvas": ["error_image_forward", "error_image_backward"],
    "attentive": [*GLIMPSE, "narrow"],
}  # fmt: skip
#: Faults that change nothing, by what they say.
HARMLESS = (
    # how small a weight may get decides how fast the products are
    "only real(math.log(np.finfo(F.dtype).tiny)) of: ",
    # beside a weight of 0 any number serves that is finite
    "sign of: -1e+30",
)


def functions(name):
    """Return the tree of a module and those of its compiled functions."""
    tree = ast.parse((FOLDER / f"{name}.py").read_text())
    tree.body = [n for n in tree.body if not isinstance(n, ast.Import | ast.ImportFrom)]
    compiled = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            if node.decorator_list:
                compiled.append(node)
            node.decorator_list = []
    return tree, compiled


def run(tree, **more):
    namespace = PLAIN | more
    exec(compile(ast.fix_missing_locations(tree), "planted", "exec"), namespace)
    return SimpleNamespace(**namespace)


def wrong(kernels, cases):
    """Tell whether a comparison finds anything."""
    with np.errstate(all="ignore"):
        try:
            for name in cases:
                if name == "narrow":
                    for log_s2 in (-19, -40, -85):
                        compare_narrow(kernels, "float32", log_s2)
                elif name == "adam":
                    compare(kernels, name, *adam(Maker(3, "float64", False), 20, 30.0))
                elif name in GLIMPSE:
                    arguments = glimpse(name, Maker(1, "float64", True), 2, 3, 4, 2)
                    compare(kernels, kernel_of(name), *arguments, 30)
                else:
                    compare(
                        kernels,
                        kernel_of(name),
                        *elementwise(name, Maker(2, "float64", True), 3, 4),
                    )
        except Exception:
            return True
    return False


def planted(function):
    """Yield what is wrong, and the faulty copy."""
    for node, what, replacement in faults(function):
        yield what, replace(function, node, replacement)
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            yield f"dropped: {short(node)}", replace(function, node, code("pass"))


@pytest.mark.parametrize("module", CASES)
def test_every_fault_is_found(module):
    tree, compiled = functions(module)
    more = {} if module == "canvas" else vars(run(functions("canvas")[0]))
    assert not wrong(run(copy.deepcopy(tree), **more), CASES[module])
    missed, count = [], 0
    for function in compiled:
        for what, faulty in planted(function):
            count += 1
            if not wrong(run(replace(tree, function, faulty), **more), CASES[module]):
                missed.append(f"{function.name}: {what}")
    missed = [what for what in missed if not any(known in what for known in HARMLESS)]
    assert not missed, f"{len(missed)} of {count}:\n" + "\n".join(missed)
