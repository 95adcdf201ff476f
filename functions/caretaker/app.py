"""Maintains a stack every hour: wakes runs that missed a wake-up, and archives runs that ended long ago.

Secrets Manager calls it too, to change the key of webhooks.
"""

from __future__ import annotations

import gc

gc.disable()  # until all is imported, which stays: nothing in it is garbage to look for

from typing import Any

from worldflow.aws_handlers import create_caretaker_handler
from worldflow.serving.boot import boot

function = boot()
look_after = create_caretaker_handler(function.world, observer=function.meter)


def report(event: dict[str, Any], context: Any) -> dict[str, Any]:
    answer = look_after(event, context)
    function.meter.count("ArchivesFailed", answer.get("archive", {}).get("failed", 0))
    function.logger.info("finished the hourly pass over the runs", extra=answer)
    return answer


handler = function.serve(report)
