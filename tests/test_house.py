"""The house rules that no linter knows: every file introduces itself, stays short, and every test says what holds."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(path for folder in ("service", "schemas") for path in (ROOT / folder).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text())
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_modules_introduce_themselves_and_stay_short(path: Path) -> None:
    """A module opens with a docstring (an `__init__.py` is empty), has under 400 lines and no long function."""
    text = path.read_text()
    if path.name == "__init__.py":
        assert "import" not in text
        return
    assert ast.get_docstring(ast.parse(text)), "no module docstring"
    assert text.count("\n") < MAX_FILE_LINES
    long = {
        node.name: length
        for node in functions(path)
        if (length := (node.end_lineno or 0) - node.lineno + 1) > MAX_FUNCTION_LINES
    }
    assert not long


@pytest.mark.parametrize("path", TESTS, ids=relative)
def test_tests_are_specifications(path: Path) -> None:
    """Every test function has a docstring that says what must hold."""
    silent = [node.name for node in functions(path) if node.name.startswith("test_") and not ast.get_docstring(node)]
    assert not silent


@pytest.mark.parametrize("path", [path for path in SOURCES if "re.compile(" in path.read_text()], ids=relative)
def test_no_possessive_groups(path: Path) -> None:
    """`(...)*+` is matched wrongly by Python 3.11.0 to 3.11.4, which the project runs on."""
    assert not re.search(r"(?<!\\)\)[*+?]\+", path.read_text())
