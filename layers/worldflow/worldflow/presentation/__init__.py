"""Runs and their events as people read them: lines of text, tables and a timeline.

Nothing that runs in Lambda imports this.
"""

from worldflow.presentation.events import EventLines, describe_event, is_internal
from worldflow.presentation.runs import count_table, run_details, run_table
from worldflow.presentation.timelines import timeline
from worldflow.presentation.tracebacks import tracebacks
from worldflow.presentation.words import describe_failure, duration

__all__ = [
    "EventLines",
    "count_table",
    "describe_event",
    "describe_failure",
    "duration",
    "is_internal",
    "run_details",
    "run_table",
    "timeline",
    "tracebacks",
]
