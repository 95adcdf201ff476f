"""Finds the options of `step` that are deprecated."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping

from worldflow.determinism.rules import Rule
from worldflow.engine.errors import ConfigurationError
from worldflow.engine.workflow.guarantees import DEPRECATED, meant_by


def deprecated_options(tree: ast.AST, is_step: Callable[[ast.expr], bool]) -> Iterator[tuple[ast.Call, str, Rule]]:
    """The calls of `step` with such options, what to call them, and what to write instead."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and is_step(call.func):
            given = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg in DEPRECATED}
            if given:
                said = ", ".join(f"{name}={ast.unparse(value)}" for name, value in given.items())
                instead = f"@step(guarantee={_guarantee(given)})"
                why = "it is deprecated and will be removed in the next release"
                yield call, f"@step({said})", Rule(why=why, instead=instead, is_hint=True)


def _guarantee(given: Mapping[str, ast.expr]) -> str:
    try:
        return f'"{meant_by(**{name: ast.literal_eval(value) for name, value in given.items()})}"'
    except (ValueError, ConfigurationError):  # it is known only when the module runs, or contradicts itself
        return "..."
