"""Takes the turns of runs: consumes the run and timer queues, and every dead-letter queue."""

from __future__ import annotations

import gc

gc.disable()  # until all is imported, which stays: nothing in it is garbage to look for

from worldflow.aws_handlers import create_orchestrator_handler
from worldflow.serving.boot import boot
from worldflow.serving.powertools import log_keys, tracing_observer
from worldflow.turns.observer import Observers

function = boot()
observer = Observers(function.meter, tracing_observer())
take_turns = create_orchestrator_handler(function.world, scope=log_keys(function.logger), observer=observer)
handler = function.serve(take_turns)
