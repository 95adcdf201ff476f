"""Errors of models and of Pydantic AI: which of them are retried, and how they come back as what they were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import PydanticUserError
from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError, ModelQuotaExceededError, UserError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from worldflow.engine.errors import FatalError, RetryableError

_RETRIED = frozenset({408, 409, 425, 429})
"""The statuses below 500 after which another attempt may succeed."""

_HTTP_ARGUMENTS = ("status_code", "model_name", "body")


class AgentFatalError(FatalError):
    """An error of an agent's step that another attempt would meet again. It is the `__cause__`."""


class AgentRetryableError(RetryableError):
    """An error of an agent's step that may pass. It is the `__cause__`."""


@contextmanager
def as_step_errors() -> Iterator[None]:
    """In a step: raises what fails for good as a `FatalError`, and what the provider wants retried later as a
    `RetryableError`.
    """
    try:
        yield
    except ModelHTTPError as error:
        if _is_retried(error):
            raise _with_http(AgentRetryableError(str(error), retry_after=error.retry_after), error) from error
        raise _with_http(AgentFatalError(str(error)), error) from error
    except (UserError, PydanticUserError, PydanticSerializationError) as error:
        raise AgentFatalError(str(error)) from error


@contextmanager
def as_agent_errors() -> Iterator[None]:
    """In a workflow: raises what was the cause of a step's error, as the agent's own code would meet it."""
    try:
        yield
    except (AgentFatalError, AgentRetryableError) as error:
        raise _http_error(error) or error.__cause__ or error from None


def _with_http(error: Any, cause: ModelHTTPError) -> Any:
    """Gives an error what its cause is built from. The classes that Pydantic AI raises cannot be found by their
    names, which are those of their categories.
    """
    values = [getattr(cause, name) for name in _HTTP_ARGUMENTS]
    state = {name: value for name, value in vars(cause).items() if name not in _HTTP_ARGUMENTS}
    category = getattr(type(cause), "category", None)
    error.http = to_jsonable_python([category and category.__name__, values, state], fallback=str)
    return error


def _http_error(error: Any) -> ModelHTTPError | None:
    if not (carried := getattr(error, "http", None)):
        return None
    category, (status_code, model_name, body), state = carried
    made = _new(category)(status_code, model_name, body)
    vars(made).update(state)
    made.args = (str(error),)
    return made


def _new(category: str | None) -> type[ModelHTTPError]:
    pending: list[type[ModelHTTPError]] = [ModelHTTPError]
    while category and pending:
        cls = pending.pop()
        of = vars(cls).get("category")
        if of is not None and of.__name__ == category and cls.__module__ == ModelAPIError.__module__:
            return cls
        pending += cls.__subclasses__()
    return ModelHTTPError


def _is_retried(error: ModelHTTPError) -> bool:
    """Whether another attempt may succeed: as the provider says, or else by its status."""
    if isinstance(error, ModelQuotaExceededError):
        return False
    if error.provider_retry_hint is not None:
        return error.provider_retry_hint
    return error.status_code >= 500 or error.status_code in _RETRIED
