"""Powertools' resolver for several requests at once: in Lambda a process has one, and here threads share it."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.utilities.data_classes.common import BaseProxyEvent


@dataclass
class _Request:
    """What Powertools keeps of the request that it resolves, in attributes of classes."""

    event: Any = None
    lambda_context: Any = None
    context: dict[str, Any] = field(default_factory=dict)
    frames: list[str] = field(default_factory=list)


_request: ContextVar[_Request | None] = ContextVar("worldflow_request", default=None)
_none = _Request()


def _of_request(name: str) -> Any:
    def get(_: object) -> Any:
        return getattr(_request.get() or _none, name)

    def set(_: object, value: Any) -> None:
        setattr(_request.get() or _none, name, value)

    return property(get, set)


class ConcurrentResolver(APIGatewayHttpResolver):
    """Keeps what Powertools keeps of a request where only the thread, or task, that resolves it has it: as Powertools'
    own `HttpResolverLocal` does, whose requests are of another format.
    """

    current_event = _of_request("event")
    lambda_context = _of_request("lambda_context")
    context = _of_request("context")
    processed_stack_frames = _of_request("frames")

    def resolve(self, event: Mapping[str, Any] | BaseProxyEvent, context: Any) -> dict[str, Any]:
        token = _request.set(_Request(self._to_proxy_event(event), context))  # type: ignore[arg-type]
        try:
            answer: dict[str, Any] = self._build_response(self._resolve())
            return answer
        finally:
            _request.reset(token)
