"""Starting, signalling and advancing runs, and running their steps.

`Orchestrator` is what applications use. `turns`, `steps` and `requests` are what it, the Lambda handlers and the local
worker are made of.
"""

from worldflow.runtime.loading import load_workflows
from worldflow.runtime.orchestrator import Orchestrator, RunHandle
from worldflow.runtime.steps import StepExecutor

__all__ = ["Orchestrator", "RunHandle", "StepExecutor", "load_workflows"]
