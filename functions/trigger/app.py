"""Starts runs for records of other services: deployed by a stack that declares triggers."""

from __future__ import annotations

import gc

gc.disable()  # until all is imported, which stays: nothing in it is garbage to look for

from functools import partial

from worldflow.serving.boot import boot
from worldflow.serving.powertools import log_keys
from worldflow.triggers import create_trigger_handler

function = boot()
failed = partial(function.meter.count, "MessagesFailed")
start_runs = create_trigger_handler(function.world, scope=log_keys(function.logger), on_failed=failed)
handler = function.serve(start_runs)
