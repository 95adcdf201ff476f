"""What can be done about a run, a limit, or a workflow, each with a word on what it did.

Each form carries an id that was made with the page: sent twice, it is done once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from worldflow.console import forms, viewing
from worldflow.engine.errors import FieldError, InvalidInputError, WorkflowNotFoundError
from worldflow.engine.history import Json
from worldflow.engine.workflow.definitions import Workflow, find_workflow
from worldflow.engine.workflow.ramps import version_for
from worldflow.presentation.words import describe_failure, shortened, type_name
from worldflow.runtime import limits, queries, sending, starting, updates, webhooks, workflow_pauses
from worldflow.runtime.bulk import fork_id
from worldflow.turns.other_runs import open_run
from worldflow.worlds.base import World
from worldflow.worlds.records import RunRecord

ANSWER_SECONDS = 10.0
"""How long a page waits for the answer to an update."""

BULK: Mapping[str, str] = {
    "cancel": "Cancel",
    "terminate": "Terminate",
    "retry": "Retry",
    "pause": "Pause",
    "unpause": "Unpause",
    "resume": "Take a turn",
    "fork": "Fork",
}
"""What can be done with many runs at once."""

SOME_INPUT = ".input"
"""The field of the arguments that are to be others, where a form cannot show those that the run had."""

LIMIT: Sequence[forms.Field] = (
    forms.Field("concurrency", "Places", "integer", False, help="0 lets nothing begin"),
    forms.Field("rate", "Rate", "text", False, help="such as 500/1m"),
    forms.Field("burst", "Burst", "integer", False, help="how many may begin at once, with a rate"),
)
"""What can be set of a limit."""

PAUSE: Sequence[forms.Field] = (
    forms.Field(".name", "Workflow", "text", True, help="its new runs wait until it is unpaused"),
    forms.Field("reason", "Reason", "text", False),
    forms.Field("open_runs", "Pause open runs, too", "boolean", False),
)
"""The fields of the form that pauses a workflow."""

Given = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Done:
    """What an action did, and the run to look at then."""

    message: str
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one run of many."""

    run_id: str
    message: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A form as it was sent."""

    given: Given
    id: str = ""
    """That of the form."""
    payloads: bool = True
    """Whether data of the run may be in what is said."""

    def text(self, name: str) -> str:
        return (self.given.get(name) or [""])[0].strip()

    def json(self, name: str) -> Json:
        """Raises `InvalidInputError`."""
        try:
            return forms.parse_json(text, forms.NO_JSON) if (text := self.text(name)) else None
        except ValueError as error:
            raise InvalidInputError("some fields are not valid", [FieldError(name, str(error))]) from None


def signal(world: World, run_id: str, asked: Asked) -> Done:
    name = asked.text(".name")
    workflow = workflow_of(open_run(world, run_id))
    fields = signal_fields(workflow).get(name)
    value = forms.read(fields, asked.given).get("value") if fields else asked.json("value")
    sending.signal(world, run_id, name, value, signal_id=asked.id)
    return Done(f"Sent signal {name}.", run_id)


def signal_fields(workflow: Workflow[..., object] | None) -> dict[str, list[forms.Field]]:
    """The fields of the signals that a workflow declares, by name."""
    declared = workflow.signals if workflow else {}
    return {name: forms.fields_of_type(annotation, "value") for name, annotation in declared.items()}


def update(world: World, run_id: str, asked: Asked) -> Done:
    name = asked.text(".name")
    if signature := viewing.view(world, run_id).standing.updates.get(name):
        given = forms.read(forms.fields_of(signature), asked.given)
        args = list(signature.parse(given).values())
    else:
        args = asked.json("args") or []
    if not isinstance(args, list):
        raise InvalidInputError("the arguments must be an array", [FieldError("args", "must be a JSON array")])
    sent = updates.send_update(world, run_id, name, tuple(args), update_id=asked.id)
    until = time.monotonic() + ANSWER_SECONDS
    while (reply := updates.look_for_answer(world, sent)) is None:
        if time.monotonic() > until:
            return Done(f"Sent update {name}; the workflow has not answered yet.", run_id)
        time.sleep(0.1)
    if reply.error:
        because = describe_failure(reply.error) if asked.payloads else type_name(reply.error)
        return Done(f"Update {name} was refused: {because}", run_id)
    answer = shortened(str(reply.result)) if asked.payloads else "with data that is not shown"
    return Done(f"Update {name} answered {answer}.", run_id)


def query(world: World, run_id: str, asked: Asked) -> Done:
    """Asks a published function that takes arguments. Changes nothing."""
    name = asked.text(".name")
    signature = viewing.view(world, run_id).standing.queries.get(name)
    if signature is None:
        raise InvalidInputError(f"no function is published as {name!r}", [FieldError(".name", "is not published")])
    value = queries.query(world, run_id, name, forms.read(forms.fields_of(signature), asked.given))
    said = shortened(str(value)) if asked.payloads else "with data that is not shown"
    return Done(f"Query {name} answered {said}.", run_id)


def hook(world: World, run_id: str, asked: Asked) -> Done:
    held = webhooks.resume_hook(world, asked.text("hook"), asked.json("value"), resume_id=asked.id)
    return Done(f"Sent the value to hook {held.hook_id}.", run_id)


def fail_hook(world: World, run_id: str, asked: Asked) -> Done:
    held = webhooks.fail_hook(world, asked.text("hook"), asked.text("error"), resume_id=asked.id)
    return Done(f"Sent the failure to hook {held.hook_id}.", run_id)


def cancel(world: World, run_id: str, asked: Asked) -> Done:
    sending.cancel(world, run_id, asked.text("reason") or None)
    return Done("Requested cancellation. The workflow cleans up, then ends.", run_id)


def terminate(world: World, run_id: str, asked: Asked) -> Done:
    sending.terminate(world, run_id, asked.text("reason") or None)
    return Done("Requested termination. The workflow's code is not run again.", run_id)


def pause(world: World, run_id: str, asked: Asked) -> Done:
    sending.pause(world, run_id, asked.text("reason") or None, by="the console")
    return Done("Requested a pause. Running steps finish.", run_id)


def unpause(world: World, run_id: str, asked: Asked) -> Done:
    sending.unpause(world, run_id)
    return Done("Requested to continue.", run_id)


def wake(world: World, run_id: str, asked: Asked) -> Done:
    woken = sending.wake(world, run_id, asked.text("timer") or None)
    return Done(f"Woke {woken} {'timer' if woken == 1 else 'timers'}." if woken else "The run is not sleeping.", run_id)


def resume(world: World, run_id: str, asked: Asked) -> Done:
    sending.resume(world, run_id)
    return Done("Requested a turn of the run.", run_id)


def retry(world: World, run_id: str, asked: Asked) -> Done:
    record = starting.retry(world, run_id)
    return Done(f"Retries from the point of failure as {record.run_id}.", record.run_id)


def rerun(world: World, run_id: str, asked: Asked) -> Done:
    """Retries a run from its beginning, with another input."""
    workflow = workflow_of(viewing.read_record(world, run_id))
    given = asked.json(SOME_INPUT)
    if workflow and SOME_INPUT not in asked.given:
        # What is not given here is what the run had: an emptied field has its default instead.
        typed = forms.read(forms.fields_of(workflow.signature), asked.given)
        given = {**workflow.signature.encode(workflow.signature.defaults), **typed}
        workflow.signature.parse(given)
    if not isinstance(given, dict):
        raise InvalidInputError("the input must be an object", [FieldError(SOME_INPUT, "must be a JSON object")])
    record = starting.retry(world, run_id, given)
    return Done(f"Retries from the beginning, with this input, as {record.run_id}.", record.run_id)


def fork(world: World, run_id: str, asked: Asked) -> Done:
    """Forks a run after an event, or with another value in place of the event's own."""
    after = asked.text("after") or str(viewing.last_before_the_end(world, run_id))
    if not (after.isascii() and after.isdecimal() and len(after) < 10):
        raise InvalidInputError("the event must be a number", [FieldError("after", "must be the number of an event")])
    edit = {int(after): asked.json("edit")} if asked.text("edit") else None
    new_run_id = asked.text("new_run_id") or fork_id(run_id, asked.id)
    record = starting.fork(world, run_id, new_run_id, after=int(after), edit=edit)
    what = f"with another value in event {after}" if edit else f"after event {after}"
    return Done(f"Forked {what} as {record.run_id}.", record.run_id)


_ACTIONS = (signal, update, query, hook, fail_hook, cancel, terminate, wake, pause, unpause, resume, retry, rerun, fork)
ACTIONS = {action.__name__: action for action in _ACTIONS}


def start(world: World, workflow_name: str, asked: Asked) -> Done:
    """Starts a run of a workflow by its form."""
    run_id = asked.text(".run_id") or f"{workflow_name[:60]}-{asked.id[:10]}"
    workflow = workflow_named(workflow_name)
    value = forms.read(forms.fields_of(workflow.signature), asked.given) if workflow else asked.json("input") or {}
    if not isinstance(value, dict):
        raise InvalidInputError("the input must be an object", [FieldError("input", "must be a JSON object")])
    arguments = workflow.signature.parse(value) if workflow else value
    record, created = starting.start(world, run_id, workflow or workflow_name, arguments)
    return Done("Started." if created else "This run exists already.", record.run_id)


def set_limit(world: World, asked: Asked) -> Done:
    """Sets a limit, or lets what the code says count again, for one key or for all."""
    name, key = asked.text(".name"), asked.given.get(".key", [None])[0]
    reset = bool(asked.text(".reset"))
    limits.set_limit(world, name, key=key, reset=reset, **({} if reset else forms.read(LIMIT, asked.given)))
    of_key = f", key {key}" if key and asked.payloads else ""
    return Done(f"{'Reset' if reset else 'Changed'} limit {name}{of_key}.")


def act_on_workflow(world: World, action: str, asked: Asked) -> Done:
    """Pauses a workflow, or lets it continue."""
    name = asked.text(".name")
    if action == "pause":
        is_all = bool(asked.text("open_runs"))
        workflow_pauses.pause_workflow(world, name, asked.text("reason") or None, open_runs=is_all)
        return Done(f"Workflow {name} is paused: new runs wait.")
    if action != "unpause":
        raise InvalidInputError(f"there is no action {action!r}", [FieldError("action", "no such action")])
    number, complete = workflow_pauses.unpause_within(world, name, ANSWER_SECONDS)
    if not complete:
        return Done(f"Let {number} waiting runs of {name} continue; others are left: unpause it again.")
    return Done(f"Workflow {name} is unpaused. Waiting runs that continue: {number}.")


class Work:
    """An action that is done with many runs, one after the other."""

    def __init__(self, action: str, run_ids: Sequence[str]) -> None:
        self.action = action
        self.run_ids = run_ids
        self.outcomes: list[Outcome] = []
        self.task: asyncio.Task[None] | None = None

    @property
    def is_done(self) -> bool:
        return len(self.outcomes) == len(self.run_ids)

    def run(self, world: World, asked: Asked) -> None:
        """What is wrong with one run does not stop the others."""
        for run_id in self.run_ids:
            try:
                done = ACTIONS[self.action](world, run_id, asked)
            except Exception as error:
                said = f": {shortened(str(error), 300)}" if asked.payloads else ""
                problem = f"{type(error).__name__}{said}"
                self.outcomes.append(Outcome(run_id, problem, failed=True))
            else:
                self.outcomes.append(Outcome(run_id, done.message))


def preview(action: str, record: RunRecord) -> str:
    """What will happen if `bulk` does this with a run."""
    if action == "fork":
        return "a new run continues from the last event before its end"
    if action == "retry":
        return "continues from its failure" if record.status == "failed" else f"skipped: it is {record.status}"
    if record.ended:
        return f"skipped: it is {record.status}"
    match action:
        case "cancel":
            return "its workflow is cancelled where it waits"
        case "terminate":
            return "ends at once; nothing is cleaned up or undone"
        case "pause":
            return "is paused already" if record.status == "paused" else "no code of it runs until it is unpaused"
        case "unpause":
            return "continues" if record.status == "paused" else "nothing: it is not paused"
        case _:
            return "takes a turn"


def workflow_of(record: RunRecord) -> Workflow[..., object] | None:
    """The workflow of a run, where it is known which arguments it has."""
    try:
        found = version_for(record.workflow_name, record.run_id, record.version)
    except WorkflowNotFoundError:
        return None
    return None if found.is_dynamic else found


def workflow_named(name: str) -> Workflow[..., object] | None:
    try:
        found = find_workflow(name)
    except WorkflowNotFoundError:
        return None
    return None if found.is_dynamic else found
