"""A run's workflow once more, with answers from its history and others in place of some: for evaluations.

This is no replay: the code decides anew, and may go another way. What it calls is answered from the history, by a
function of the caller's, or by the step's own code; what was sent to the run is sent again; time passes as it did.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from worldflow.engine.errors import RunCancelledError, RunFailedError, UnsupportedOperationError
from worldflow.engine.history import (
    Ended,
    Event,
    RunCompleted,
    RunContinued,
    RunFailed,
    RunStarted,
    load_events,
)
from worldflow.engine.history.failures import decode_exception
from worldflow.engine.usage import Entry, total
from worldflow.engine.values.serialization import ANYTHING
from worldflow.engine.workflow.definitions import Workflow
from worldflow.engine.workflow.ramps import workflow_of
from worldflow.engine.workflow.run import Webhooks
from worldflow.evaluating.course import Answers, Course, ReplayedCall
from worldflow.evaluating.recorded import RecordedCalls

if TYPE_CHECKING:
    from pydantic_ai.agent import AbstractAgent
    from pydantic_ai.models import Model

__all__ = ["ReplayedCall", "ReplayedRun", "read_history", "replay_with"]


@dataclass(frozen=True, slots=True)
class ReplayedRun:
    """What became of a run that `replay_with` has taken once more."""

    calls: Sequence[ReplayedCall]
    """What it called, in order."""
    _ended: Ended
    _workflow: Workflow[..., Any]

    @property
    def result(self) -> Any:
        """What the workflow returned. Raises `RunFailedError` with its exception as the cause, and `RunCancelledError`;
        `UnsupportedOperationError` if it continued as new.
        """
        match self._ended:
            case RunCompleted(result=result):
                return self._workflow.signature.result.decode(result)
            case RunFailed(error=failure):
                error = decode_exception(failure)
                raise RunFailedError(f"the run failed: {type(error).__name__}: {error}", "") from error
            case RunContinued():
                raise UnsupportedOperationError("the run continued as new: replay_with() ends with its generation")
            case _:
                raise RunCancelledError("the run was cancelled", "")

    @property
    def usage(self) -> list[Entry]:
        """The tokens of its calls, by model: of those that were answered from the history as recorded there."""
        return total(entry for call in self.calls for entry in call.usage)


class _NoMatter:
    """Webhooks of a run that nobody reaches."""

    def token(self, run_id: str, hook_id: str, expires: Any) -> str:
        return f"{run_id}/{hook_id}"

    def url(self, token: str) -> str:
        return token


NO_MATTER: Webhooks = _NoMatter()


def read_history(history: str | Sequence[Event]) -> list[Event]:
    """The events of `python -m worldflow events RUN --json`, or those that a World has loaded."""
    if not isinstance(history, str):
        return list(history)
    lines = [json.loads(line) for line in history.splitlines() if line.strip()]
    return load_events(json.dumps([line.pop("payload") | line for line in lines]))


async def replay_with(
    history: str | Sequence[Event],
    *,
    steps: Mapping[str, Callable[..., Any]] | None = None,
    live: Collection[str] = (),
    in_order: Collection[str] = (),
    missing: Callable[[str, dict[str, Any]], Any] | None = None,
    input: Mapping[str, Any] | None = None,
    workflow: Workflow[..., Any] | None = None,
    agent: AbstractAgent[Any, Any] | None = None,
    model: Model | str | None = None,
) -> ReplayedRun:
    """Runs a workflow again on the results in a run's history, some of them replaced: an evaluation of another prompt,
    model or workflow with what happened in production. Nothing is stored, and steps that are not named do not run.

    history: the events of a run, from `RunHandle.events()`, or the output of `python -m worldflow events RUN --json`.
    steps: functions, async or plain, in place of steps or child workflows, by name. Each takes the arguments by name.
    live: names of steps that run their own code. `*` stands for any characters, here and in `in_order`.
    in_order: names of calls that get the recorded results in order if none was recorded with the same arguments.
        Otherwise a call gets the result that was recorded with the same name and arguments.
    missing: is called with the name and arguments of a call that has no result, and returns it.
    input: arguments of the workflow to replace, by name.
    workflow: the workflow to run. Default: the one that the history names, in its version.
    agent: a Pydantic AI agent with `Durable()` whose model requests run live. Its tools get recorded results by what
        the model calls them with.
    model: answers these requests, instead of the model of the agent.
    Raises `AssertionError` for a call without a result, and if the run waits for something that was not sent to it.
    """
    events = read_history(history)
    started = events[0] if events else None
    if not isinstance(started, RunStarted):
        raise ValueError("a history begins with RunStarted")
    if workflow is None:
        workflow = workflow_of(events)
    if input is not None:
        started = started.model_copy(update={"input": {**(started.input or {}), **ANYTHING.encode(dict(input))}})
    patterns = list(live)
    models: AbstractContextManager[None] = nullcontext()
    if agent is not None:
        from worldflow.ai.pydantic.evaluating import answered_by, model_step_of

        patterns.append(model_step_of(agent))
        models = answered_by(agent, model)
    answers = Answers(
        RecordedCalls(events, in_order),
        dict(steps or {}),
        lambda name: any(fnmatchcase(name, pattern) for pattern in patterns),
        missing,
    )
    course = Course(workflow, events, answers, NO_MATTER)
    with models:
        await course.run(started)
    assert course.state.ended is not None
    return ReplayedRun(course.calls, course.state.ended, workflow)
