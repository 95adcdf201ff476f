"""No file of the package has more than 400 lines, and no function more than 60."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import worldflow

ROOT = Path(worldflow.__file__).parent

FILE, FUNCTION = 400, 60


def _functions() -> Iterator[tuple[str, int]]:
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                yield f"{path.relative_to(ROOT).as_posix()} {node.name}", length


def test_files_are_short() -> None:
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in ROOT.rglob("*.py")}

    assert {name: length for name, length in lengths.items() if length > FILE} == {}


def test_functions_are_short() -> None:
    assert {name: length for name, length in _functions() if length > FUNCTION} == {}
