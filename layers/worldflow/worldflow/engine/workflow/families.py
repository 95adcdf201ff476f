"""Steps that go by many names: one function behind `support.tool.weather` and all the other tools of an agent.

Which names there are is only known when they are called. The process that executes a step finds its function by the
name of the family.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from worldflow.engine.workflow.definitions import Step, _steps
from worldflow.engine.workflow.guarantees import Guarantee, check_guarantee
from worldflow.engine.workflow.registry import FAMILY
from worldflow.engine.workflow.retry import RetryPolicy


def add_step(function: Callable[..., Any], name: str, *, family: bool = False) -> Step[..., Any]:
    """Makes a function the step of this name, or of all names that begin with it and a dot."""
    return _steps.add(Step(function, name + FAMILY if family else name))


def found_step(name: str, *, family: bool = False) -> Step[..., Any] | None:
    """The step that `add_step` has made last under this name, if there is one."""
    return _steps.versions(name + FAMILY if family else name).get(1)


def member(step: Step[..., Any], name: str, *, guarantee: Guarantee | None = None, **options: Any) -> Step[..., Any]:
    """The step of a family under one of its names, with options of its own: those of `Step.options`, and how often it
    may run.
    """
    named = copy.copy(step)
    named.name = name
    if guarantee is not None:
        check_guarantee(guarantee)
        named.guarantee = guarantee
        if guarantee == "at_most_once":
            named.retry = RetryPolicy(max_attempts=1)
    return named.options(**options)
