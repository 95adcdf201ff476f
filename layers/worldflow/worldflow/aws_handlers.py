"""The Lambda handlers. Their code is in `serving/`."""

from worldflow.serving.caretaker_handler import create_caretaker_handler
from worldflow.serving.orchestrator_handler import create_orchestrator_handler
from worldflow.serving.step_handler import create_step_handler

__all__ = ["create_caretaker_handler", "create_orchestrator_handler", "create_step_handler"]
