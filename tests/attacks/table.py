"""`python -m tests.attacks.table`: the attacks by row of the threat catalogue as a Markdown table for docs/security.md.

Every attack is tried behind the wall, as `test_behind_wall.py` does; contained is one whose outcome is exactly the
expected one and that did nothing. Rows about the service count the tests that name them, which `make test` runs.
"""

from __future__ import annotations

import ast
import functools
import re
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import msgspec

from service import config
from service.sandbox.launch import running
from tests.attacks.frame import Attack, Trap, catalogue, complaint
from tests.attacks.rows import ROWS

TESTS = Path(__file__).resolve().parent.parent
KINDS = ("static", "keras", "torch", "transformers")
_ROW = re.compile(r"\b([AW]\d+)(?=[:,])")


def row_of(attack: Attack) -> str:
    """`K1` of `K1-07`."""
    return attack.id.partition("-")[0]


@functools.cache
def named_tests() -> dict[str, list[str]]:
    """Tests by the rows that the beginning of their docstring names."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for row in _ROW.findall((ast.get_docstring(node) or "")[:40]):
                    found[row].append(f"{path.name}::{node.name}")
    return found


def main() -> int:
    """Try everything and print the table; 1 if anything was not contained."""
    from tests.attacks.test_behind_wall import asked

    tried, contained = Counter[str](), Counter[str]()
    settings = msgspec.structs.replace(config.load(), warm_frameworks=False, spare_children=1)
    with tempfile.TemporaryDirectory() as folder, running(settings, Path(folder) / "run", KINDS) as sandbox:
        for number, attack in enumerate(catalogue()):
            trap = Trap(Path(folder) / str(number))
            answer = asked(sandbox, trap.put(attack.files(trap)), config.Limits())
            wrong = [complaint(attack.expects, answer), *trap.sprung()]
            trap.close()
            tried[row_of(attack)] += 1
            contained[row_of(attack)] += not any(wrong)
            if any(wrong):
                sys.stderr.write(f"{attack.label}: {wrong}\n")
    sys.stdout.write(_table(tried, contained))
    return int(tried != contained)


def _table(tried: Counter[str], contained: Counter[str]) -> str:
    lines = ["| row | attack | tried | contained | tests of the service |", "| --- | --- | ---: | ---: | ---: |"]
    for row, what in ROWS.items():
        lines.append(f"| {row} | {what} | {tried[row]} | {contained[row]} | {len(named_tests().get(row, ())) or ''} |")
    lines.append(f"| | **together** | {tried.total()} | {contained.total()} | |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
