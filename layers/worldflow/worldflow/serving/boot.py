"""How a Lambda function starts: what it logs with, its World, its metrics, and what surrounds its handler."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools import Logger

from worldflow.serving.metrics import Meter
from worldflow.serving.powertools import Handler, own_logger, quiet, traced
from worldflow.worlds import AWSWorld


def log_everything(logger: Logger) -> None:
    """Has all loggers, the engine's and those of workflows and steps, write as the function's own does."""
    logging.basicConfig(handlers=logger.handlers, level=logger.log_level, force=True)
    logging.getLogger(logger.service).propagate = False  # it has the handler already
    logging.getLogger("botocore").setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Function:
    """A Lambda function, as its process knows it."""

    logger: Logger
    world: AWSWorld
    meter: Meter

    def serve(self, handler: Handler, **log: Any) -> Handler:
        """The handler that Lambda calls: with the request's id in the log, traced, metered, its errors without data.

        Call it last: the garbage collector, disabled by the module, leaves what is imported by then alone.

        log: options of Powertools' `inject_lambda_context`.
        """
        served: Handler = self.logger.inject_lambda_context(traced(quiet(self.meter.metered(handler))), **log)
        gc.freeze()
        gc.enable()
        return served


def boot(set_up_log: Callable[[Logger], None] = log_everything) -> Function:
    """Starts a function from its environment. Raises `ConfigurationError` for a variable that is missing."""
    logger = own_logger()
    world = AWSWorld()
    function = Function(logger, world, Meter(world))
    set_up_log(logger)
    return function
