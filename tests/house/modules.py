"""Reads imports, calls and lengths out of Python source by its syntax tree; nothing is executed."""

import ast
import graphlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from tests.house.tree import Texts

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Import:
    """One imported name: `from a.b import c` is the target `a.b.c`, whether `c` is a module or not."""

    path: str
    line: int
    target: str
    runs_at_load: bool
    """False under TYPE_CHECKING and inside functions."""

    def is_of(self, *modules: str) -> bool:
        return any(is_under(self.target, module) for module in modules)

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: imports {self.target}"


def is_under(target: str, module: str) -> bool:
    return target == module or target.startswith(f"{module}.")


def module_name(path: str) -> str:
    parts = PurePosixPath(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def read_imports(texts: Texts) -> list[Import]:
    return [found for path, text in texts.items() for found in _of_module(path, text)]


def _of_module(path: str, text: str) -> Iterator[Import]:
    for node, runs_at_load in _walk(ast.parse(text, path), runs_at_load=True):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        else:
            source = _absolute(path, node)
            targets = [f"{source}.{alias.name}" for alias in node.names]
        for target in targets:
            yield Import(path, node.lineno, target, runs_at_load)


def _walk(node: ast.AST, *, runs_at_load: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield node, runs_at_load
        return
    for child in ast.iter_child_nodes(node):
        for_types = isinstance(node, ast.If) and _is_type_checking(node.test) and child in node.body
        later = isinstance(node, Function)
        yield from _walk(child, runs_at_load=runs_at_load and not for_types and not later)


def _is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def _absolute(path: str, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = PurePosixPath(path).parts[: -node.level]
    return ".".join([*package, *([node.module] if node.module else [])])


def find_cycle(texts: Texts) -> list[str]:
    """Modules that import one another when loaded, the first named again at the end; empty when there are none."""
    known = {module_name(path) for path in texts}
    graph: dict[str, set[str]] = {name: set() for name in known}
    for found in read_imports(texts):
        here, there = module_name(found.path), _longest_known(found.target, known)
        if found.runs_at_load and there and there != here:
            graph[here].add(there)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(reversed(error.args[1]))
    return []


def _longest_known(target: str, known: set[str]) -> str | None:
    while target and target not in known:
        target = target.rpartition(".")[0]
    return target or None


def calls(text: str) -> list[tuple[int, str]]:
    """What is called, as it is written there, and `raise SystemExit`: (line, what)."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            found.append((node.lineno, ast.unparse(node.func)))
        if isinstance(node, ast.Raise) and node.exc and ast.unparse(node.exc).startswith("SystemExit"):
            found.append((node.lineno, "raise SystemExit"))
    return sorted(found)


def function_lengths(texts: Texts) -> dict[str, int]:
    """`path::name` → lines from `def` to its end, a docstring included; a method's name holds its class."""
    return {
        f"{path}::{name}": length
        for path, text in texts.items()
        for name, length in _functions(ast.parse(text, path), "")
    }


def _functions(node: ast.AST, outer: str) -> Iterator[tuple[str, int]]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, Function | ast.ClassDef):
            yield from _functions(child, outer)
            continue
        name = f"{outer}{child.name}"
        if isinstance(child, Function):
            yield name, (child.end_lineno or child.lineno) - child.lineno + 1
        yield from _functions(child, f"{name}.")
