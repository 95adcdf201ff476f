"""Looks after a stack every hour: wakes runs that lost their wake-up, archives those that ended long ago.

Secrets Manager calls it too, to change the key of webhooks.
"""

from __future__ import annotations

import gc

gc.disable()  # until all is imported, which stays: nothing in it is garbage to look for

import worldflow  # noqa: F401 - first: it says so if the layers are for another machine

# isort: split

import logging
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from worldflow.aws_handlers import create_caretaker_handler
from worldflow.engine.privacy import quiet
from worldflow.serving.metrics import Meter
from worldflow.serving.powertools import own_logger, traced
from worldflow.worlds import AWSWorld

logger = own_logger()
world = AWSWorld()
meter = Meter(world)

# Whatever logs does so in JSON.
logging.basicConfig(handlers=logger.handlers, level=logger.log_level, force=True)
logging.getLogger(logger.service).propagate = False  # it has the handler already
logging.getLogger("botocore").setLevel(logging.WARNING)
look_after = create_caretaker_handler(world, observer=meter)

gc.freeze()
gc.enable()


@logger.inject_lambda_context
@traced
@meter.metered
@quiet
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    answer = look_after(event, context)
    meter.count("ArchivesFailed", answer.get("archive", {}).get("failed", 0))
    logger.info("looked after the runs", extra=answer)
    return answer
