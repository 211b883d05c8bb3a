"""Length is a sign, not a fault: a long module or function points at the room that is missing."""

import ast
from collections.abc import Mapping

from tests.house.modules import function_lengths
from tests.house.tree import Texts, product_texts, python_texts, told

MODULE_LINES = 400
FUNCTION_LINES = 40

LONG_MODULES: dict[str, int] = {}
LONG_FUNCTIONS: dict[str, int] = {}
"""`path::name` → the lines it has. These two tables only shrink: lower the figure with the code, take out what fits."""


def too_long(lengths: Mapping[str, int], limit: int, exceptions: Mapping[str, int]) -> list[str]:
    """What is over its limit, longest first."""
    over = {name: length for name, length in lengths.items() if length > exceptions.get(name, limit)}
    return [f"{over[name]:4} lines: {name}" for name in sorted(over, key=lambda name: -over[name])]


def spent(lengths: Mapping[str, int], limit: int, exceptions: Mapping[str, int]) -> list[str]:
    """Exceptions that are higher than what they except, or no longer needed."""
    return [
        f"{name}: {lengths.get(name, 0)} lines now, {allowed} in the table"
        for name, allowed in exceptions.items()
        if lengths.get(name, 0) < allowed or allowed <= limit
    ]


def module_lengths(texts: Texts) -> dict[str, int]:
    return {path: len(text.splitlines()) for path, text in texts.items()}


def without_docstring(texts: Texts) -> list[str]:
    return [path for path, text in texts.items() if text.strip() and not ast.get_docstring(ast.parse(text, path))]


def test_modules_are_short() -> None:
    wrong = too_long(module_lengths(python_texts()), MODULE_LINES, LONG_MODULES)
    assert not wrong, told(wrong, f"look for the room that is missing: {MODULE_LINES} lines are the limit")


def test_functions_are_short() -> None:
    wrong = too_long(function_lengths(python_texts()), FUNCTION_LINES, LONG_FUNCTIONS)
    assert not wrong, told(wrong, f"look for the steps inside: {FUNCTION_LINES} lines are the limit")


def test_exceptions_only_shrink() -> None:
    wrong = spent(module_lengths(python_texts()), MODULE_LINES, LONG_MODULES)
    wrong += spent(function_lengths(python_texts()), FUNCTION_LINES, LONG_FUNCTIONS)
    assert not wrong, told(wrong, "lower the figure in the table, or take the row out")


def test_modules_say_what_lives_in_them() -> None:
    wrong = without_docstring(python_texts())
    assert not wrong, told(wrong, "open with a docstring: what lives here, what must not, how data passes")
    assert product_texts(), "no module was looked at"


def test_long_ones_are_seen() -> None:
    body = "    pass\n" * FUNCTION_LINES
    texts = {"a.py": f"class A:\n  def f(self):\n{body}", "b.py": "'''B.'''\n" + "x = 1\n" * MODULE_LINES, "c.py": ""}
    assert too_long(function_lengths(texts), FUNCTION_LINES, {}) == ["  41 lines: a.py::A.f"]
    assert too_long(module_lengths(texts), MODULE_LINES, {}) == [" 401 lines: b.py"]
    assert too_long(module_lengths(texts), MODULE_LINES, {"b.py": 401}) == []
    assert without_docstring(texts) == ["a.py"]


def test_spent_exceptions_are_seen() -> None:
    table = {"kept": 50, "shorter": 50, "gone": 50, "fits": 40}
    wrong = spent({"kept": 50, "shorter": 49, "fits": 40}, 40, table)
    assert [line.partition(":")[0] for line in wrong] == ["shorter", "gone", "fits"]
