# ruff: noqa: F403
"""The events of a run's history: facts, and the decisions that the workflow took in answer.

A history is one ordered list. A *fact* says what happened; the *decisions* that follow it are what the workflow asked
for when it learned of it. Replay feeds the facts and compares the decisions (see `workflow/execution.py`).

On the wire an event is one flat JSON object: `event_type`, `seq`, `at`, and its own fields. Unknown fields are kept and
every field beyond those that identify the event has a default, so that histories of older and newer versions load.
"""

from worldflow.engine.history.base import *
from worldflow.engine.history.children import *
from worldflow.engine.history.events import *
from worldflow.engine.history.mail import *
from worldflow.engine.history.runs import *
from worldflow.engine.history.steps import *
from worldflow.engine.history.streams import *
from worldflow.engine.history.timers import *
