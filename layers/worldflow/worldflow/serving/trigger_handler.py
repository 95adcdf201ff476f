"""The handler of a function that starts runs for records of SQS, EventBridge, S3, DynamoDB Streams and Kinesis.

`WORLDFLOW_TRIGGERS` says what starts what: `orders=fulfil_order, uploads=index_file@workflows.files:of_upload`. A
record's run id is made from the record, so that a redelivery starts nothing. A record that cannot start its run is
delivered again by its service, and in the end goes to the dead letters of the event source.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from worldflow.engine.errors import ConfigurationError, InvalidInputError, WorkflowNotFoundError, WorldflowError
from worldflow.engine.privacy import loggable
from worldflow.engine.workflow.definitions import Workflow, find_workflow
from worldflow.runtime import starting
from worldflow.serving.batches import Scope, answer, unscoped
from worldflow.serving.powertools import Handler
from worldflow.serving.trigger_records import TriggerRecord, read_records
from worldflow.turns.loading import explain_failures, load_workflows
from worldflow.worlds.aws.world import AWSWorld

_log = logging.getLogger("worldflow")


@dataclass(frozen=True, slots=True)
class Triggered:
    """What a record starts: returned by a function that WORLDFLOW_TRIGGERS names.

    input: the workflow's arguments by name.
    run_id: default: made from the record, the same for each delivery of it.
    """

    input: Mapping[str, Any]
    run_id: str | None = None


InputFunction = Callable[[Mapping[str, Any]], Mapping[str, Any] | Triggered | None]
"""Takes a record as AWS has it. Returns the workflow's arguments by name, or None to start nothing."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """A line of WORLDFLOW_TRIGGERS."""

    source: str
    workflow: Workflow[..., Any]
    function: InputFunction | None

    def matches(self, record: TriggerRecord) -> bool:
        return any(fnmatchcase(source, self.source) for source in record.sources)

    def start_of(self, record: TriggerRecord) -> Triggered | None:
        """What a record starts. Raises `InvalidInputError`, and what the user's function raises."""
        if self.function is None:
            return Triggered(arguments(self.workflow, record.read()), record.run_id)
        made = self.function(record.raw)
        if made is None or isinstance(made, Triggered):
            return made
        return Triggered(made)


def read_trigger(line: str) -> Trigger:
    """Raises `ConfigurationError` for a line that says nothing, or names what is not there."""
    source, equals, target = line.rpartition("=")
    name, _, function = target.partition("@")
    if (equals and not source.strip()) or not name.strip():
        raise ConfigurationError(
            f"WORLDFLOW_TRIGGERS: {line!r} is not SOURCE=WORKFLOW or SOURCE=WORKFLOW@MODULE:FUNCTION, "
            f"such as orders=fulfil_order"
        )
    try:
        workflow = find_workflow(name.strip())
    except WorkflowNotFoundError as error:
        raise ConfigurationError(f"WORLDFLOW_TRIGGERS: {line!r}: {error.summary}{explain_failures()}") from None
    return Trigger(source.strip() or "*", workflow, _function(line, function.strip()) if function else None)


def _function(line: str, path: str) -> InputFunction:
    module, _, name = path.partition(":")
    try:
        function: InputFunction = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(f"WORLDFLOW_TRIGGERS: {line!r}: there is no function {path!r}: {error}") from None
    return function


def arguments(workflow: Workflow[..., Any], value: Any) -> Mapping[str, Any]:
    """The arguments that a value stands for: an object of them by name, or that of the only parameter."""
    names = [parameter.name for parameter in workflow.signature.parameters]
    is_by_name = isinstance(value, Mapping) and (workflow.is_dynamic or value.keys() <= set(names))
    if is_by_name and (value or len(names) != 1 or names[0] in workflow.signature.defaults):
        return value  # type: ignore[no-any-return]
    if len(names) == 1 and not workflow.is_dynamic:
        return {names[0]: value}
    raise InvalidInputError(
        f"{workflow.name} takes {', '.join(names) or 'no arguments'}; the record's value is not an object of these"
    )


def create_trigger_handler(
    world: AWSWorld, *, scope: Scope = unscoped, on_failed: Callable[[int], object] = lambda number: None
) -> Handler:
    """The handler of a function that starts a run for each record of SQS, EventBridge, S3, DynamoDB Streams or Kinesis.

    Imports the modules that `WORLDFLOW_WORKFLOWS` names. Raises `ConfigurationError` for a line of `WORLDFLOW_TRIGGERS`
    whose workflow or function is not there.

    on_failed: called with the number of records that fail in an invocation that fails as a whole. Others are in the
        answer.
    """
    load_workflows(world.settings.workflows)
    triggers = [read_trigger(line) for line in world.settings.triggers]
    if not triggers:
        raise ConfigurationError("WORLDFLOW_TRIGGERS is not set: it says which workflow a record starts")
    return _TriggerHandler(world, triggers, scope, on_failed).handler


class _TriggerHandler:
    def __init__(
        self, world: AWSWorld, triggers: Sequence[Trigger], scope: Scope, on_failed: Callable[[int], object]
    ) -> None:
        self._world = world
        self._triggers = triggers
        self._scope = scope
        self._on_failed = on_failed

    def handler(self, event: dict[str, Any], context: Any = None) -> dict[str, Any]:
        failed: list[TriggerRecord] = []
        held: set[str] = set()
        records = read_records(event)
        for record in records:
            if record.after == "group" and record.group in held:
                failed.append(record)  # in order: it comes again after the one before it
            elif not self._start(record):
                failed.append(record)
                held.add(record.group)
                if record.after == "rest":
                    break
        if any(record.item is None for record in failed):
            self._on_failed(len(failed))
            raise WorldflowError(f"{len(failed)} of {len(records)} records started no run; the log says why")
        return answer([record.item for record in failed if record.item is not None])

    def _start(self, record: TriggerRecord) -> bool:
        """Returns whether the record is done with."""
        with self._scope(run_id=record.run_id):
            try:
                trigger = next((trigger for trigger in self._triggers if trigger.matches(record)), None)
                if trigger is None:
                    known = ", ".join(trigger.source for trigger in self._triggers)
                    raise ConfigurationError(f"no trigger for {record.sources[-1]!r}; WORLDFLOW_TRIGGERS has {known}")
                if start := trigger.start_of(record):
                    run_id = start.run_id or record.run_id
                    starting.start(self._world, run_id, trigger.workflow, start.input)
            except Exception as error:
                _log.error(
                    "record %s starts no run and will be delivered again", record.run_id, exc_info=loggable(error)
                )
                return False
        return True
