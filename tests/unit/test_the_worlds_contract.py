"""The contract of a World stays small, and imports run one way."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import worldflow
from worldflow.worlds.archives import Archive
from worldflow.worlds.base import World

PACKAGE = Path(worldflow.__file__).parent
WORLDS = PACKAGE / "worlds"

MEMBERS = 24
"""What every World has to implement, with its archive."""

LINES = {"base.py": 200, "items.py": 130, "ledger.py": 150, "schedules.py": 150, "archives.py": 95, "reading.py": 140}
"""How long a file of the contract may be."""

CIRCLES = [
    {
        "worldflow.engine.here",
        "worldflow.engine.unawaited",
        "worldflow.engine.workflow.awaitables",
        "worldflow.engine.workflow.loop",
    },
    {
        "worldflow.engine.workflow.calls",
        "worldflow.engine.workflow.execution",
        "worldflow.engine.workflow.inbox",
    },
]
"""Modules that still import each other. This list may only become shorter."""


def test_a_world_implements_few_members() -> None:
    members = {*World.__abstractmethods__, *(f"archive.{name}" for name in Archive.__abstractmethods__)}
    assert len(members) <= MEMBERS, sorted(members)


def test_the_contract_can_be_read() -> None:
    lines = {name: len((WORLDS / name).read_text().splitlines()) for name in LINES}
    assert {name: count for name, count in lines.items() if count > LINES[name]} == {}


def test_no_modules_import_each_other() -> None:
    """Also for types, and within functions: what one needs to understand the other stays the same."""
    new = [sorted(circle) for circle in circles(imports()) if not any(circle <= known for known in CIRCLES)]
    assert new == []


def test_the_worlds_are_in_no_circle() -> None:
    assert not any(name.startswith("worldflow.worlds") for circle in CIRCLES for name in circle)


def imports() -> dict[str, set[str]]:
    """The modules of the package, and those that each imports."""
    files = {_name(path): path for path in PACKAGE.rglob("*.py")}
    return {name: {found for found in _imported(name, path, files) if found != name} for name, path in files.items()}


def _name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(name: str, path: Path, files: dict[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in files)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner in files or node.module in files:
                    yield inner if inner in files else node.module


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """The strongly connected components of more than one module."""
    reachable = {name: _reachable(name, graph) for name in graph}
    found: list[set[str]] = []
    for name in graph:
        circle = {other for other in reachable[name] if name in reachable[other]}
        if len(circle) > 1 and circle not in found:
            found.append(circle)
    return found


def _reachable(name: str, graph: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    ahead = [name]
    while ahead:
        for other in graph[ahead.pop()] - seen:
            seen.add(other)
            ahead.append(other)
    return seen
