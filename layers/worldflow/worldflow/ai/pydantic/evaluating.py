"""An agent whose model requests another model answers: in tests, and for `worldflow.testing.replay_with`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic_ai.agent import AbstractAgent
from pydantic_ai.models import Model, infer_model

from worldflow.ai.pydantic.durable import Durable
from worldflow.ai.pydantic.running import replaced
from worldflow.engine.errors import ConfigurationError


def _durable(agent: AbstractAgent[Any, Any]) -> Durable[Any]:
    capabilities = [getattr(agent, "root_capability", None)]
    for capability in capabilities:
        if isinstance(capability, Durable):
            return capability
        capabilities += getattr(capability, "capabilities", ())
    raise ConfigurationError(f"the agent {agent.name!r} has no Durable() among its capabilities")


def model_step_of(agent: AbstractAgent[Any, Any]) -> str:
    """The name of the step that makes an agent's model requests."""
    return f"{_durable(agent).name}.model"


@contextmanager
def answered_by(agent: AbstractAgent[Any, Any], model: Model | str | None) -> Iterator[None]:
    """Within it, a model answers the requests of an agent in this process, in workflows and steps too.

        with answered_by(agent, TestModel()):
            async with WorkflowEnvironment() as env:
                ...

    model: the model or its name. None leaves the agent its own.
    """
    if model is None:
        yield
        return
    name = str(_durable(agent).name)
    token = replaced.set({**replaced.get(), name: infer_model(model)})
    try:
        yield
    finally:
        replaced.reset(token)
