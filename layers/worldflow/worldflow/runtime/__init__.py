"""Starting, signalling and advancing runs, and running their steps.

`Orchestrator` is what applications use. `turns`, `steps` and `requests` are what it, the Lambda handlers and the local
worker are made of.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from worldflow.turns.loading import load_workflows
from worldflow.turns.steps import StepExecutor

if TYPE_CHECKING:
    from worldflow.runtime.orchestrator import Orchestrator, SyncOrchestrator
    from worldflow.runtime.run_handle import RunHandle, SyncRunHandle

__all__ = ["Orchestrator", "RunHandle", "StepExecutor", "SyncOrchestrator", "SyncRunHandle", "load_workflows"]

_FOR_APPLICATIONS = {
    "Orchestrator": "orchestrator",
    "RunHandle": "run_handle",
    "SyncOrchestrator": "orchestrator",
    "SyncRunHandle": "run_handle",
}
"""With the modules that have them. The functions that read the queues need not import these."""


def __getattr__(name: str) -> Any:
    if name in _FOR_APPLICATIONS:
        return getattr(import_module(f"{__name__}.{_FOR_APPLICATIONS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
