"""The HTTP API. Its routes are in `worldflow.serving.api`, a module for each noun.

With an `Idempotency-Key` header a repeated start, signal, retry or value for a hook does nothing and gets the first
one's answer. Errors are JSON: see `worldflow/serving/api/errors.py`.
"""

from __future__ import annotations

import gc

gc.disable()  # until all is imported, which stays: nothing in it is garbage to look for

import worldflow  # noqa: F401 - first: it says so if the layers are for another machine

# isort: split

from aws_lambda_powertools.logging import correlation_paths

from worldflow.runtime import load_workflows
from worldflow.serving.api.application import Application, log_the_engine
from worldflow.serving.api.idempotency import in_table
from worldflow.serving.boot import boot

function = boot(log_the_engine)
load_workflows(function.world.settings.workflows)
application = Application(function.world, in_table(function.world.settings.runs_table))
handler = function.serve(application, correlation_id_path=correlation_paths.API_GATEWAY_HTTP, clear_state=True)
