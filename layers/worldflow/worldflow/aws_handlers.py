"""The Lambda handlers. Their code is in `serving/lambda_handlers.py`."""

from worldflow.serving.lambda_handlers import (
    create_caretaker_handler,
    create_orchestrator_handler,
    create_step_handler,
)

__all__ = ["create_caretaker_handler", "create_orchestrator_handler", "create_step_handler"]
