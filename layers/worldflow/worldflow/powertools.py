"""What the Lambda functions do with Powertools besides its decorators."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

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


def traced(handler: Handler) -> Handler:
    """A function's handler in a segment of X-Ray, unless POWERTOOLS_TRACE_DISABLED is `true`.

    The SDK of X-Ray takes longer to import than all else that a function uses: where tracing is off, it is not.
    """
    if os.environ.get("POWERTOOLS_TRACE_DISABLED") == "true":
        return handler
    from aws_lambda_powertools import Tracer

    traced: Handler = Tracer().capture_lambda_handler(handler, capture_response=False)
    return traced


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
