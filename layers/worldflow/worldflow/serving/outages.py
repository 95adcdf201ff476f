"""What the Lambda handlers make of outages, which count neither towards blocking a run nor towards failing a step.

Messages that met an outage come again after seconds, and not when their visibility timeout is over. SQS counts receives
and knows nothing of reasons, so deaths are told from outages by notes that are written before dangerous work begins
(see `worlds/aws/deaths.py`):

- A turn is noted from the second receive on, under its first message. `TURN_DEATHS` block the run. Until then its
  messages stay in their queue, through as many receives as SQS allows, and later ones of the run wait behind them.
- A task of a step is noted from its second receive on, so that one that comes once costs nothing. As a dead letter it
  has died if each receive but the first, of which nothing is known, has its note. Otherwise it goes back to its queue,
  and from there on each receive is noted.

So an invocation that was throttled, or never began since its function was switched off, counts as little as an outage.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from worldflow.engine.privacy import loggable
from worldflow.worlds.aws.world import AWSWorld
from worldflow.worlds.ledger import step_key
from worldflow.worlds.messages import StepTask
from worldflow.worlds.outages import passes

_log = logging.getLogger("worldflow")

LIFE_RECEIVES = 5
"""The `maxReceiveCount` of steps and timers, and how many deaths of its function fail a step's attempt."""

TURN_RECEIVES = 1_000
"""The `maxReceiveCount` of the queue of runs: as many as SQS allows."""

TURN_DEATHS = 20
"""How many deaths of its function, 90 seconds apart, block a run: its messages are then handled without its code. Of
the first receive nothing is noted.
"""

FIRST_BACKOFF, USUAL_BACKOFF, LONGEST_BACKOFF = 6, 60, 1_800
"""Seconds after which a message comes again that met an outage: twice as many each time, up to a minute. After an hour
of that, a sixtieth of the time since the outage began, up to half an hour. So `TURN_RECEIVES` last for 16 days, longer
than SQS keeps a message.
"""

_USUAL_BACKOFFS = 60


@contextmanager
def noted(world: AWSWorld, key: str) -> Iterator[int]:
    """Notes work on a message that may kill the function, for as long as it is under way, and for good if it does, or
    fails with an error that does not pass. Gives how many such notes there are, this one included.
    """
    token, begun = world.deaths.begin(key)
    try:
        yield begun
    except Exception as error:
        if passes(error):
            world.deaths.take_back(key, token)
        raise
    world.deaths.take_back(key, token)  # its acknowledgement may be lost, and it comes again


def key_of_task(task: StepTask) -> str:
    """The key under which work on a step's attempt is noted."""
    return step_key(task.run_id, task.step_id, task.attempt, "deaths")


def has_died(world: AWSWorld, task: StepTask) -> bool:
    """Whether the function has died on each receive of a task that is a dead letter."""
    return world.deaths.count(key_of_task(task)) >= LIFE_RECEIVES - (task.again is None)


def backoff(receives: int) -> int:
    """Seconds until a message comes again that was received so often, and met an outage."""
    if receives <= _USUAL_BACKOFFS:
        return int(min(FIRST_BACKOFF * 2 ** (receives - 1), USUAL_BACKOFF))
    return int(min(USUAL_BACKOFF * (61 / 60) ** (receives - _USUAL_BACKOFFS), LONGEST_BACKOFF))


def postpone(world: AWSWorld, event: Mapping[str, Any], groups: Sequence[Sequence[tuple[str, int]]]) -> None:
    """Lets messages of a batch, by their receipt handles, come again after seconds. With each group, how often its
    messages were received.

    The messages of a group become visible together. SQS gives none of a FIFO queue's group while one of it is out of
    sight, so that they keep their order. Where SQS refuses, they come when their visibility timeout is over.
    """
    waits = {}
    for group in groups:
        seconds = backoff(max(receives for _, receives in group))
        waits.update({receipt: seconds for receipt, _ in group})
    if not waits:
        return
    try:
        world.postpone(event["Records"][0]["eventSourceARN"], waits)
    except Exception as error:
        _log.warning("failed messages return only after their visibility timeout", exc_info=loggable(error))
