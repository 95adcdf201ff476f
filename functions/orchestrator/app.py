"""Takes the turns of runs: behind the queues of runs and timers, and behind every dead-letter queue."""

from __future__ import annotations

import gc

gc.disable()  # until all is imported, which stays: nothing in it is garbage to look for

import worldflow  # noqa: F401 - first: it says so if the layers are for another machine

# isort: split

import logging
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from worldflow.aws_handlers import create_orchestrator_handler
from worldflow.engine.privacy import quiet
from worldflow.serving.metrics import Meter
from worldflow.serving.powertools import log_keys, own_logger, traced, tracing_observer
from worldflow.turns.observer import Observers
from worldflow.worlds import AWSWorld

logger = own_logger()
world = AWSWorld()
meter = Meter(world)

# Whatever logs, the engine or a workflow's module, says which run it is about.
logging.basicConfig(handlers=logger.handlers, level=logger.log_level, force=True)
logging.getLogger(logger.service).propagate = False  # it has the handler already
logging.getLogger("botocore").setLevel(logging.WARNING)
take_turns = create_orchestrator_handler(world, scope=log_keys(logger), observer=Observers(meter, tracing_observer()))

gc.freeze()
gc.enable()


@logger.inject_lambda_context
@traced
@meter.metered
@quiet
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return take_turns(event, context)
