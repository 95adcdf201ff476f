"""Starting, signalling and advancing runs, and running their steps.

`Orchestrator` is what applications use. `turns`, `steps` and `requests` are what it, the Lambda handlers and the local
worker are made of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worldflow.turns.loading import load_workflows
from worldflow.turns.steps import StepExecutor

if TYPE_CHECKING:
    from worldflow.runtime.orchestrator import Orchestrator
    from worldflow.runtime.run_handle import RunHandle

__all__ = ["Orchestrator", "RunHandle", "StepExecutor", "load_workflows"]


def __getattr__(name: str) -> Any:
    # Only applications use it: the functions that read the queues need not import it.
    if name == "Orchestrator":
        from worldflow.runtime.orchestrator import Orchestrator

        return Orchestrator
    if name == "RunHandle":
        from worldflow.runtime.run_handle import RunHandle

        return RunHandle
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
