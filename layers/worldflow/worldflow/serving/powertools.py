"""What the Lambda functions do with Powertools besides its decorators."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

from worldflow.engine.privacy import loggable

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

    from worldflow.turns.observer import Observer

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


def own_logger() -> Logger:
    """The logger of a function, which logs what is as severe as POWERTOOLS_LOG_LEVEL says.

    Powertools' own would take AWS_LAMBDA_LOG_LEVEL, the level of Lambda's filter. That has to let INFO pass whatever
    the functions log, because it takes the lines with metrics, which have no level, for INFO.
    """
    from aws_lambda_powertools import Logger

    logger = Logger()
    logging.getLogger(logger.service).setLevel(os.environ.get("POWERTOOLS_LOG_LEVEL", "INFO").upper())
    return logger


def tracing_observer() -> Observer | None:
    """What traces turns and steps by OpenTelemetry, if WORLDFLOW_TRACING says so; what `traced` surrounds sends its
    spans. It is not imported elsewhere.
    """
    global _flush
    if os.environ.get("WORLDFLOW_TRACING") != "OpenTelemetry":
        return None
    from worldflow.tracing.functions import set_up

    observer, _flush = set_up()
    return observer


_flush: Callable[[], object] | None = None
"""Sends the spans of an invocation."""


def traced(handler: Handler) -> Handler:
    """A function's handler with the tracing that WORLDFLOW_TRACING asks for: in a segment of X-Ray; or with the spans
    of `tracing_observer` sent when it returns. As it is, where that is `Off`.

    The SDK of X-Ray takes longer to import than all else that a function uses: where tracing is off, it is not.
    """
    match os.environ.get("WORLDFLOW_TRACING", "Off"):
        case "XRay":
            from aws_lambda_powertools import Tracer

            in_segment: Handler = Tracer().capture_lambda_handler(handler, capture_response=False)
            return in_segment
        case "OpenTelemetry" if _flush:
            return _with_flush(handler, _flush)
    return handler


def quiet(handler: Handler) -> Handler:
    """A handler whose exceptions may be logged: the runtime and the tracer write down what leaves it."""

    @wraps(handler)
    def quietly(event: dict[str, Any], context: Any) -> dict[str, Any]:
        try:
            return handler(event, context)
        except BaseException as error:
            raised = loggable(error)
        raise raised  # out here, so that it has no context

    return quietly


def _with_flush(handler: Handler, flush: Callable[[], object]) -> Handler:
    @wraps(handler)
    def flushed(event: dict[str, Any], context: Any) -> dict[str, Any]:
        try:
            return handler(event, context)
        finally:
            flush()  # the process is frozen from here to the next invocation

    return flushed


def log_keys(logger: Logger) -> Callable[..., AbstractContextManager[None]]:
    """What puts keys on each line that is logged meanwhile by the work that it surrounds, and by no other: turns and
    steps of one batch run side by side.
    """

    @contextmanager
    def keys(**keys: Any) -> Iterator[None]:
        logger.thread_safe_append_keys(**keys)
        try:
            yield
        finally:
            logger.thread_safe_remove_keys(list(keys))

    return keys
