"""The package is built in floors: each imports what is below it, and nothing above; the engine knows no cloud."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import worldflow

ROOT = Path(worldflow.__file__).parent

FLOORS = (
    "worldflow.ai",
    "worldflow.devtools",
    "worldflow.cli",
    "worldflow.console",
    "worldflow.mcp",
    "worldflow.project",
    "worldflow.serving",
    "worldflow.runtime",
    "worldflow.turns",
    "worldflow.worlds",
    "worldflow.engine.workflow",
    "worldflow.engine.values",
    "worldflow.engine.history",
    "worldflow.engine",
)
"""From the top. The last are the files of `engine` itself, the ground."""

UNDER_THE_ENGINE = {"worldflow.clock"}
"""All that the engine may import of the rest."""


def _modules() -> dict[str, Path]:
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = _modules()


def _imports(module: str) -> set[str]:
    """The modules of the package that one imports, anywhere in it and for types too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in names}
    return {name for name in found if name in MODULES} - {module}


def _floor(module: str) -> int | None:
    return next((n for n, floor in enumerate(FLOORS) if f"{module}.".startswith(f"{floor}.")), None)


def _circles(modules: set[str]) -> Iterator[list[str]]:
    """Where one comes back to a module along its imports. A package is what it makes known of its modules."""
    done: set[str] = set()

    def walk(module: str, way: list[str]) -> Iterator[list[str]]:
        if module in way:
            yield [*way[way.index(module) :], module]
        elif module not in done:
            for other in sorted(_imports(module) & modules):
                yield from walk(other, [*way, module])
            done.add(module)

    for module in sorted(modules):
        yield from walk(module, [])


def test_no_import_goes_up() -> None:
    up = [
        f"{module} imports {other}"
        for module in MODULES
        for other in _imports(module)
        if (here := _floor(module)) is not None and (there := _floor(other)) is not None and there < here
    ]
    assert up == []


def test_the_engine_stands_by_itself() -> None:
    engine = {module for module in MODULES if f"{module}.".startswith("worldflow.engine.")}

    assert {other for module in engine for other in _imports(module)} - engine == UNDER_THE_ENGINE


def test_no_imports_go_in_a_circle() -> None:
    assert list(_circles(set(MODULES))) == []


@pytest.mark.parametrize("module", [module for module in MODULES if f"{module}.".startswith("worldflow.engine.")])
def test_the_engine_knows_no_environment_and_no_cloud(module: str) -> None:
    assert re.findall(r"\b(?:import os|environ|getenv|boto\w*|AWS|Lambda)\b", MODULES[module].read_text()) == []
