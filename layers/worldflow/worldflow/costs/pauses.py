"""What pauses of a run ask for, besides the turns that they are: the senders, and what a turn of a paused run reads."""

from __future__ import annotations

from collections.abc import Sequence

from worldflow.costs.metering import MeteredWorld
from worldflow.engine import history as h
from worldflow.engine.history import Event
from worldflow.engine.history.state import RunState
from worldflow.turns.pausing import second_look
from worldflow.worlds.messages import Poke, RunMessage
from worldflow.worlds.workflow_pauses import pauses_key


def comes_with_record(fact: h.RunPaused, state: RunState) -> bool:
    """Whether no message brings the pause: the run has read it with its record."""
    return bool(fact.of_workflow) and state.started is None


def look_up(world: MeteredWorld) -> None:
    """What the process that unpauses a workflow reads for each run."""
    world.get_item(pauses_key(""))


def act(
    world: MeteredWorld, run_id: str, state: RunState, events: Sequence[Event], messages: Sequence[RunMessage]
) -> None:
    """Sends the message by which a run that its workflow's pause has stopped checks the pause again, or handles it."""
    if state.paused and state.paused.of_workflow:
        if any(isinstance(event, h.RunPaused) for event in events):
            world.send([second_look(run_id, state.paused)])
        elif any(isinstance(message, Poke) for message in messages):
            world.get_item(pauses_key(run_id))
