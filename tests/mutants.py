"""Wrong signs put into a lemma: each must make it fail.

`mutants` flips one + or - or one comparison of a lemma's own code at a time, in the lemma itself and in the private
functions of its module that it calls. Descriptions (the strings of the record) are left alone. As a script,
`python tests/mutants.py [KEY ...]` goes through all of them and prints the survivors.
"""

import ast
import copy
import importlib
import inspect
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

FLIPS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Lt: ast.Gt,
    ast.Gt: ast.Lt,
    ast.LtE: ast.GtE,
    ast.GtE: ast.LtE,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
}


def mutants(lemma_id: str) -> Iterator[tuple[str, ast.Module]]:
    """(what was changed, module with the change) for every sign and comparison of a lemma."""
    tree, reached = _reached(lemma_id)
    count = len(list(_places(tree, reached)))
    for k in range(count):
        changed = copy.deepcopy(tree)
        node, slot, function = list(_places(changed, reached))[k]
        before = ast.unparse(node)
        if isinstance(node, ast.UnaryOp):
            node.op = ast.UAdd()
        elif slot is None:
            node.op = FLIPS[type(node.op)]()
        else:
            node.ops[slot] = FLIPS[type(node.ops[slot])]()
        yield f"{lemma_id} {function}: {before} -> {ast.unparse(node)}", ast.fix_missing_locations(changed)


def survives(lemma_id: str, module: ast.Module, seconds: int = 20) -> bool:
    """Whether the changed lemma still passes; an exception, or no answer in time, is a failure."""
    key, name = lemma_id.split(":")
    namespace = {"__name__": f"proofs_check.{key}"}
    try:
        with _alarm(seconds):
            exec(compile(module, f"<{lemma_id}>", "exec"), namespace)
            return bool(namespace[f"lemma_{name}"]().ok)
    except Exception:  # a lemma that raises is reported as not proved
        return False


class OutOfTimeError(Exception):
    """A mutant ran for too long."""


@contextmanager
def _alarm(seconds: int) -> Iterator[None]:
    def stop(*_):
        raise OutOfTimeError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _reached(lemma_id: str) -> tuple[ast.Module, set[str]]:
    """The module of a lemma, and the functions of it that the lemma calls, itself included."""
    key, name = lemma_id.split(":")
    tree = ast.parse(inspect.getsource(importlib.import_module(f"proofs_check.{key}")))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    reached, new = set(), {f"lemma_{name}"}
    while new:
        reached |= new
        named = {n.id for f in new for n in ast.walk(functions[f]) if isinstance(n, ast.Name)}
        new = (named & set(functions)) - reached
    return tree, reached


def _places(tree: ast.Module, reached: set[str]) -> Iterator[tuple[ast.AST, int | None, str]]:
    for function in tree.body:
        if isinstance(function, ast.FunctionDef) and function.name in reached:
            for node in _outside_descriptions(function):
                if isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in FLIPS:
                    yield node, None, function.name
                elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
                    yield node, None, function.name
                elif isinstance(node, ast.Compare):
                    yield from ((node, k, function.name) for k, op in enumerate(node.ops) if type(op) in FLIPS)


def _outside_descriptions(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but annotations, f-strings and the texts of a `Checked` record."""
    yield node
    for field, value in ast.iter_fields(node):
        children = value if isinstance(value, list) else [value]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Checked":
            if field == "args":
                children = [node.args[k] for k in range(len(node.args)) if k not in (1, 2, 3)]
            elif field == "keywords":
                children = [word for word in node.keywords if word.arg not in {"statement", "source", "evidence"}]
        for child in children:
            if (
                isinstance(child, ast.AST)
                and not isinstance(child, ast.JoinedStr)
                and field not in {"annotation", "returns"}
            ):
                yield from _outside_descriptions(child)


def main(keys: list[str]) -> None:
    """Print every mutant that passes."""
    from proofs_check.checked import lemmas

    for lemma_id in lemmas(keys or None):
        start, alive, total = time.perf_counter(), [], 0
        for change, module in mutants(lemma_id):
            total += 1
            if survives(lemma_id, module):
                alive.append(change)
        print(f"{lemma_id}: {total} mutants, {len(alive)} alive, {time.perf_counter() - start:.1f} s", flush=True)
        for change in alive:
            print(f"    {change}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
