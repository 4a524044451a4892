"""The rules of the house that a test can hold: imports go down, cupy stays below."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "mindraw"

#: From the ground up: a file imports from its own floor and those below, never above.
FLOORS = [
    {"errors", "memory"},
    {"team", "files", "commands"},
    {"backend", "parallel"},
    {"arena", "coordinates"},
    {"kernels"},
    {"nn", "optim"},
    {"centring", "frequencies"},
    {"models"},
    {"gradcheck", "data", "figures"},
    {"training"},
    {"experiment"},
    {"__init__", "__main__"},
]
#: The shim looks its kernels up when it is built; nothing below it imports them.
LAZY = {("backend", "kernels")}


def part_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path):
    """Yield the top-level parts of mindraw, or other packages, that a file imports."""
    package = ["mindraw", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name.split(".")
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = [*base, *(node.module.split(".") if node.module else [])]
            if module == ["mindraw"]:
                yield from (["mindraw", name.name] for name in node.names)
            else:
                yield module


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down_only(path):
    floor = {part: k for k, parts in enumerate(FLOORS) for part in parts}
    here = part_of(path)
    assert here in floor, f"say on which floor {here} stands"
    for module in imports_of(path):
        if module[0] != "mindraw" or len(module) < 2 or module[1] not in floor:
            continue
        there = module[1]
        if there != here and (here, there) not in LAZY:
            assert floor[there] < floor[here], f"{here} imports {there}, which is not below it"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_cupy_and_autodiff_stay_out(path):
    packages = {module[0] for module in imports_of(path)}
    assert not packages & {"torch", "jax", "tensorflow", "autograd"}
    if part_of(path) not in ("backend", "kernels"):
        assert "cupy" not in packages


def test_the_import_is_light():
    code = (
        "import sys, mindraw\n"
        "heavy = {'cupy', 'matplotlib', 'scipy', 'pooch', 'tyro', 'tqdm', 'mlxtend', 'PIL'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_an_experiment_is_one_file_and_its_data_another():
    """As the README shows: nothing else in the package knows of a data set."""
    naming = [path.name for path in FILES if "cifar10" in path.read_text()]
    assert naming == ["cifar10.py"]
