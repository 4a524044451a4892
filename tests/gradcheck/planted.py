"""Planted faults: every way in which one place of a backward function can be wrong.

Each backward function is parsed, and each `Mutant` is a copy of it with one fault: a
statement dropped, a term or factor of a statement dropped, a sign flipped, an accumulation
that overwrites, a constant or an output off by 0.05 %, a weight gradient left out.
"""

import ast
import copy
import inspect
import sys
from dataclasses import dataclass, field

OFF = 1.0005
BINARY = {"add", "subtract", "multiply", "divide"}


@dataclass(frozen=True)
class Mutant:
    """A faulty copy of a function, to be installed in its place.

    Parameters
    ----------
    owner : module or class
    function : str
    fault : str
        What is wrong, with the line counted from the function's first.
    tree : ast.FunctionDef
    """

    owner: object
    function: str
    fault: str
    tree: ast.FunctionDef = field(repr=False)

    def __str__(self):
        return f"{self.owner.__name__.rpartition('.')[2]}.{self.function}: {self.fault}"

    def install(self, monkeypatch):
        """Put the faulty copy wherever the engine finds the right one."""
        module = ast.Module([self.tree], [])
        home = inspect.getmodule(self.owner)
        found = {}
        exec(compile(ast.fix_missing_locations(module), str(self), "exec"), vars(home), found)
        right = vars(self.owner)[self.function]
        modules = [m for name, m in sys.modules.items() if name.startswith("mindraw.")]
        for place in (self.owner, *modules):
            if vars(place).get(self.function) is right:
                monkeypatch.setattr(place, self.function, found[self.function])


def parse(owner, function):
    """Return the syntax tree of a function of a module, or of a method of a class."""
    source = inspect.getsource(inspect.getmodule(owner))
    body = ast.parse(source).body
    if inspect.isclass(owner):
        body = next(
            n for n in body if isinstance(n, ast.ClassDef) and n.name == owner.__name__
        ).body
    return next(n for n in body if isinstance(n, ast.FunctionDef) and n.name == function)


def mutants(owner, function, outputs=()):
    """List every mutant of a function.

    Parameters
    ----------
    owner : module or class
    function : str
    outputs : sequence of str
        Arguments that the function sets or adds to; each is scaled by 1.0005 in a mutant.

    Returns
    -------
    list of Mutant
    """
    tree = parse(owner, function)
    found = {}
    for node, what, replacement in faults(tree):
        mutated = replace(tree, node, replacement)
        fault = f"L{node.lineno - tree.lineno} {what}"
        found.setdefault(ast.dump(mutated), Mutant(owner, function, fault, mutated))
    for name in outputs:
        assert name in [argument.arg for argument in tree.args.args]
        scaled = copy.deepcopy(tree)
        scaled.body += ast.parse(f"{name} *= {OFF}").body
        found[name] = Mutant(owner, function, f"{name} off by 0.05 %", scaled)
    return list(found.values())


def replace(tree, node, replacement):
    """Return a copy of `tree` with `replacement` in the place of `node`."""

    class Swap(ast.NodeTransformer):
        def visit(self, here):
            return replacement if here is node else self.generic_visit(here)

    return Swap().visit(copy.deepcopy(tree, {id(node): node}))


def code(text):
    return ast.parse(text).body[0]


def faults(tree):
    """Yield (node, description, replacement) for each fault of a function."""
    indices = {
        id(inner)
        for outer in ast.walk(tree)
        if isinstance(outer, ast.Subscript)
        for inner in ast.walk(outer.slice)
    }
    for node in ast.walk(tree):
        if id(node) in indices:
            continue
        for rule in (dropped, in_call, in_accumulation, in_list, in_expression):
            for what, replacement in rule(node):
                yield node, what, replacement
        for number in constants(node):
            value = number.value * OFF or 5e-4
            yield number, f"{number.value} is {value} in: {short(node)}", ast.Constant(value)


def dropped(node):
    """Drop a statement that does something; waiting for others changes nothing in one process."""
    if isinstance(node, ast.AugAssign) or (is_call(node) and ast.unparse(node) != "meet()"):
        yield f"dropped: {short(node)}", ast.Pass()


def is_call(node):
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)


def short(node):
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 70 else text[:67] + "..."


def in_call(node):
    """Drop an operand of a ufunc that writes to out=, or turn its sign."""
    if not is_call(node):
        return
    call = node.value
    out = [k.value for k in call.keywords if k.arg == "out"]
    if not (out and isinstance(call.func, ast.Attribute) and call.func.attr in BINARY):
        return
    name, xp, out = call.func.attr, ast.unparse(call.func.value), ast.unparse(out[0])
    first, second = map(ast.unparse, call.args)
    what = short(node)
    yield f"only {first} of: {what}", code(f"{xp}.copyto({out}, {first})")
    turned = f"-({second})" if name == "subtract" else second
    yield f"only {second} of: {what}", code(f"{xp}.copyto({out}, {turned})")
    if name == "add":
        yield f"sign in: {what}", code(f"{xp}.subtract({first}, {second}, out={out})")
    if name == "subtract":
        yield f"sign in: {what}", code(f"{xp}.subtract({second}, {first}, out={out})")
        yield f"sum in: {what}", code(f"{xp}.add({first}, {second}, out={out})")
    if name == "divide":
        yield f"product in: {what}", code(f"{xp}.multiply({first}, {second}, out={out})")


def in_accumulation(node):
    """Turn the sign of += and -=, overwrite instead of adding, multiply instead of dividing."""
    if not isinstance(node, ast.AugAssign) or isinstance(node.value, ast.List):
        return
    target, value = ast.unparse(node.target), ast.unparse(node.value)
    what = short(node)
    if isinstance(node.op, ast.Add | ast.Sub):
        sign, other = ("", "-=") if isinstance(node.op, ast.Add) else ("-", "+=")
        yield f"sign in: {what}", code(f"{target} {other} {value}")
        place = target if target.endswith("]") else f"{target}[...]"
        yield f"overwriting in: {what}", code(f"{place} = {sign}({value})")
    if isinstance(node.op, ast.Div):
        yield f"product in: {what}", code(f"{target} *= {value}")


def in_list(node):
    """Leave out each entry of a list of tuples, the lists of weight gradients."""
    for k, entry in enumerate(node.elts if isinstance(node, ast.List) else ()):
        if isinstance(entry, ast.Tuple):
            rest = ast.List([*node.elts[:k], *node.elts[k + 1 :]], ast.Load())
            yield f"left out: {short(entry)}", rest


def in_expression(node):
    """Drop a term or factor of an expression, or a minus."""
    if isinstance(node, ast.BinOp):
        yield f"only {short(node.left)} of: {short(node)}", node.left
        yield f"only {short(node.right)} of: {short(node)}", node.right
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield f"sign of: {short(node)}", node.operand


def constants(parent):
    """Yield the numbers that enter the mathematics: not indices, axes and strings."""
    candidates = []
    if isinstance(parent, ast.BinOp):
        candidates = [parent.left, parent.right]
    elif isinstance(parent, ast.AugAssign):
        candidates = [parent.value]
    elif isinstance(parent, ast.Call) and isinstance(parent.func, ast.Attribute):
        if parent.func.attr in {*BINARY, "fill"}:
            candidates = parent.args
    for node in candidates:
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            yield node
