"""The code that is deployed: workflows and steps by name, as the registries of a process have them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.programs import STEPS, workflows
from worldflow.engine.workflow import definitions
from worldflow.engine.workflow.definitions import Step, Workflow
from worldflow.turns import loading


@dataclass(frozen=True, slots=True)
class Code:
    """One version of the user's code. `taints`: runs that it has a part in may not go on with other code."""

    name: str
    workflows: Mapping[str, Mapping[int, Workflow[..., Any]]]
    steps: Mapping[str, Mapping[int, Step[..., Any]]]
    failures: Mapping[str, str] = field(default_factory=dict)
    taints: bool = False

    @contextmanager
    def active(self) -> Iterator[None]:
        """Makes this the code that the engine finds."""
        flows, steps = definitions._workflows, definitions._steps
        before = flows._versions, steps._versions, dict(loading.import_failures)
        flows._versions, steps._versions = self.workflows, self.steps  # type: ignore[assignment]
        loading.import_failures.clear()
        loading.import_failures.update(self.failures)
        try:
            yield
        finally:
            flows._versions, steps._versions = before[0], before[1]
            loading.import_failures.clear()
            loading.import_failures.update(before[2])


class _Observed:
    """A step's signature whose call is observed."""

    def __init__(self, signature: Any, observe: Callable[[Callable[[], Any], bool], Any], is_async: bool) -> None:
        self._signature = signature
        self._observe = observe
        self._is_async = is_async

    def __getattr__(self, name: str) -> Any:
        return getattr(self._signature, name)

    def call(self, arguments: Mapping[str, Any]) -> Any:
        return self._observe(lambda: self._signature.call(arguments), self._is_async)


class Deployments:
    """All versions of the code. `good` is the one with which everything is to end."""

    def __init__(self, observe: Callable[[Callable[[], Any], bool], Any]) -> None:
        """
        observe: called with what runs a step, and whether that is a coroutine function, in place of running it.
        """
        steps = {name: {1: _observed(step, observe)} for name, step in STEPS.items()}
        good, old = workflows("new"), workflows("old")
        self.good = Code("good", good, steps)
        self.old = Code("old", old, steps)
        """Without the changes that `patched()` guards in the good one: bad for runs that have them."""
        self.bad = (
            Code("without workflows", {}, {}, {"shop": "ImportError: cannot import name 'shop'"}),
            Code("without steps", good, {}, {"shop.steps": "SyntaxError: invalid syntax"}),
            Code("another order", workflows("another order"), steps, taints=True),
            Code("raises", workflows("raises"), steps, taints=True),
            Code("spins", workflows("spins"), steps),
        )
        self.by_name = {code.name: code for code in (self.good, self.old, *self.bad)}


def _observed(step: Step[..., Any], observe: Callable[[Callable[[], Any], bool], Any]) -> Step[..., Any]:
    observed: Any = copy.copy(step)
    observed.signature = _Observed(step.signature, observe, step.is_async)
    return observed  # type: ignore[no-any-return]
