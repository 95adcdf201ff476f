"""Runs steps: consumes the step queue."""

from __future__ import annotations

import gc

gc.disable()  # until all is imported, which stays: nothing in it is garbage to look for

from worldflow.aws_handlers import create_step_handler
from worldflow.serving.boot import boot
from worldflow.serving.powertools import log_keys, tracing_observer
from worldflow.turns.observer import Observers

function = boot()
observer = Observers(function.meter, tracing_observer())
run_steps = create_step_handler(function.world, scope=log_keys(function.logger), observer=observer)
handler = function.serve(run_steps)
