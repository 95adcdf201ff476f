"""What the functions write to their logs, in bytes that CloudWatch charges for.

Each invocation writes its metrics in one line (`worldflow/serving/metrics.py`), and nothing else if all goes well:
`SystemLogLevel` is WARN, so Lambda writes no line of its own. The numbers are of the functions as they are:
`tests/world/test_what_a_run_writes_to_the_log.py` measures them.
"""

from __future__ import annotations

from worldflow.costs.metering import Asked

TURNS_LINE = 241
"""The line of an invocation that takes turns, with the time of one turn in it."""

STEPS_LINE = 268
"""The line of an invocation that runs steps, with the wait of one step in it."""

VALUE = 5
"""One more value in such a line."""

START = 169
"""What the start of a run adds to a line."""

END = 196
"""What its end adds."""


def log_bytes(asked: Asked, batch: int, step_batch: int) -> float:
    """The bytes of logs that the functions write for a run, for given batch sizes of messages and tasks."""
    turns = asked.messages - asked.tasks - asked.timers
    lines = turns / batch * (TURNS_LINE - VALUE) + asked.tasks / step_batch * (STEPS_LINE - VALUE)
    return lines + (turns + asked.tasks) * VALUE + asked.starts * START + asked.ends * END
