"""The pages of the documentation, and the code on them."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import inspect
import re
import sys
import textwrap
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from worldflow.engine.workflow import definitions
from worldflow.testing import WorkflowEnvironment

T = TypeVar("T")


def forget_names() -> None:
    """Of workflows and steps, in this test: see `tests/conftest.py`."""
    for registry in (definitions._workflows, definitions._steps):
        registry._versions.clear()


@pytest.fixture
def own_page() -> None:
    """Only what the page defines has a name: a page need not differ from other pages."""
    forget_names()


PROJECT = Path(__file__).parents[2]


def all_blocks(page: Path) -> list[tuple[str, str]]:
    """Every block of code on a page, with its language."""
    found = re.findall(r"^ *```(\w*)\n(.*?)^ *```$", page.read_text(), re.DOTALL | re.MULTILINE)
    return [(language, textwrap.dedent(code)) for language, code in found]


def blocks(page: str, language: str = "python") -> list[str]:
    """The blocks of code in this language on a page, which is named by its path in the project."""
    return [code for of, code in all_blocks(PROJECT / page) if of == language]


def module(tmp_path: Path, *code: str, **names: Any) -> Any:
    """Imports blocks of code as one module, in which `names` are defined."""
    path = tmp_path / f"page_{abs(hash(code))}.py"
    path.write_text("\n\n".join(code))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    vars(loaded).update(names)
    sys.modules[path.stem] = loaded
    spec.loader.exec_module(loaded)
    return loaded


async def run(code: str, **names: Any) -> dict[str, Any]:
    """Runs a block of code that awaits, in which `names` are defined. Returns all that is defined then."""
    compiled = compile(code, "page", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(compiled, names)
    if inspect.isawaitable(result):
        await result
    return names


async def while_time_passes(env: WorkflowEnvironment, call: Coroutine[Any, Any, T]) -> T:
    """The result of a call that waits for runs of this environment."""
    task = asyncio.create_task(call)
    while not task.done():
        await asyncio.wait([task], timeout=0.01)
        await env.advance("1h")
    return task.result()
