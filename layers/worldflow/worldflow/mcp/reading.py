"""The tools that read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal, Unpack

from pydantic import Field

from worldflow.engine.errors import ConfigurationError, FieldError, InvalidInputError, WorldflowError
from worldflow.engine.history import Attribute, Event, Json, StreamItem, StreamReset
from worldflow.engine.workflow.definitions import find_workflow, workflow_names
from worldflow.engine.workflow.registry import DYNAMIC, import_failures
from worldflow.mcp import answers
from worldflow.mcp.explaining import Known, explain, waits
from worldflow.mcp.showing import Showing, read_with
from worldflow.presentation import EventLines, schemas
from worldflow.runtime import queries
from worldflow.runtime import streams as stream_pages
from worldflow.runtime.where import ALLOWED, read_where
from worldflow.token_prices import load_prices
from worldflow.turns.generations import newest_generation
from worldflow.worlds import LocalWorld, World, streams
from worldflow.worlds.filters import Filters
from worldflow.worlds.records import RunRecord

_READ_ONLY = (
    "This server is read-only. Restart it with --allow-writes for the tools that change something, or use the command "
    "line: `python -m worldflow --help`."
)

RunId = Annotated[str, Field(description="The run's id, as list_runs shows it.")]
_VALUES: Sequence[str] = ("input", "result", "error")
Status = Literal["running", "completed", "failed", "cancelled", "continued", "blocked", "paused"]


def _given(**filters: Unpack[Filters]) -> Filters:
    return {name: value for name, value in filters.items() if value}  # type: ignore[return-value]


class Reading:
    """The tools that read runs of one World. Each method is a tool, and its docstring the tool's description."""

    def __init__(self, world: World, shown: Showing, *, is_all: bool = True) -> None:
        """is_all: whether the server has no other tools."""
        self._world = world
        self._shown = shown
        self._is_all = is_all

    def list_workflows(self) -> answers.WorkflowList:
        """List the workflows whose code this server has loaded, with JSON Schemas of their inputs, results and
        signals. Other workflows can have runs too: their code was not named when the server was started.
        """
        described = []
        for name in workflow_names():
            workflow = find_workflow(name)
            described.append(
                answers.WorkflowDescription(
                    name=name,
                    version=workflow.version,
                    description=(workflow.function.__doc__ or "").strip(),
                    input_schema=schemas.input_schema(workflow.signature),
                    result_schema=schemas.schema_of(workflow.signature.returns),
                    signals={signal: schemas.schema_of(type) for signal, type in workflow.signals.items()},
                )
            )
        return answers.WorkflowList(workflows=described, not_imported=dict(import_failures))

    def list_runs(
        self,
        status: Annotated[Status | None, Field(description="Only runs with this status.")] = None,
        workflow: Annotated[str | None, Field(description="Only runs of this workflow.")] = None,
        attributes: Annotated[
            dict[str, Attribute] | None, Field(description="Only runs that have set these attributes.")
        ] = None,
        where: Annotated[str, Field(description=f"More conditions, separated by spaces: {ALLOWED}.")] = "",
        limit: Annotated[int, Field(ge=1, le=200, description="Maximum number of runs.")] = 20,
        cursor: Annotated[str | None, Field(description="The cursor of the previous page.")] = None,
    ) -> answers.RunList:
        """List runs, newest first. Start here when you don't know a run's id."""
        filters = read_where(where, self._world.now())
        filters |= _given(status=status, workflow=workflow, attributes=attributes)
        runs: list[RunRecord] = []
        while len(runs) < limit:  # where matches are rare, a page may hold few of them or none
            page = self._world.list_runs(limit=limit - len(runs), cursor=cursor, **filters)
            runs += page.runs
            cursor = page.cursor
            if cursor is None:
                break
        return answers.RunList(runs=[self._summary(run) for run in runs], cursor=cursor)

    def get_run(self, run_id: RunId) -> answers.Run:
        """Get a run: status, input, result or error, what it waits for, and the newest run with its id."""
        record = self._world.read_run(run_id)
        newest = newest_generation(self._world, record)
        return answers.Run(
            run=self._record(record),
            followed_by=None if newest.run_id == record.run_id else newest.run_id,
            waits_for=self._waits(record, self._history(record), self._waiting(record)),
            streams=streams.names(self._world, run_id),
        )

    def read_history(
        self,
        run_id: RunId,
        after: Annotated[int, Field(ge=0, description="Skip events up to this `seq`.")] = 0,
        limit: Annotated[int, Field(ge=1, le=200, description="Maximum number of events.")] = 50,
    ) -> answers.History:
        """Read a run's history: each event in words and with its data, in order. Long values are cut and name the
        read_value call that reads all of them. The history is the truth of what happened.
        """
        lines, events = EventLines(), self._world.read_events(run_id)
        shown: list[answers.HistoryEvent] = []
        for event in events:
            words = lines.line(event).plain  # of those that are left out too: the names of steps are in them
            if after < event.seq and len(shown) < limit:
                shown.append(self._event(run_id, event, words))
        last = shown[-1].seq if shown else after
        return answers.History(events=shown, next_after=last if events and events[-1].seq > last else None)

    def read_value(
        self,
        run_id: RunId,
        field: Annotated[
            str, Field(description="`input` or `result` of the run; or with `seq`, a field of that event's payload.")
        ],
        seq: Annotated[int | None, Field(ge=1, description="The event's number, for a field of an event.")] = None,
        offset: Annotated[int, Field(ge=0, description="Characters of JSON to skip.")] = 0,
    ) -> answers.ValuePart:
        """Read a value that another tool has cut, as JSON text, 20,000 characters at a time."""
        text, next_offset, characters = self._shown.part(self._value(run_id, field, seq), offset)
        return answers.ValuePart(json_text=text, next_offset=next_offset, characters=characters)

    def explain_run(self, run_id: RunId) -> answers.Explained:
        """Explain a run in a paragraph: what it is doing or waiting for, or why it failed or is blocked, and what to do
        about it. Use it first when someone asks what is wrong with a run.
        """
        record = self._world.read_run(run_id)
        newest = newest_generation(self._world, record)
        events = self._history(record)
        world, waiting = self._world, self._waiting(record)
        known = Known(
            now=world.now(),
            followed_by=None if newest.run_id == record.run_id else newest.run_id,
            waiting=waiting,
            not_served=world.path if isinstance(world, LocalWorld) and not world.is_served() else None,
            shown=self._shown,
        )
        told = explain(record, events, self._waits(record, events, None), known)
        advice = [*told.advice, *([_READ_ONLY] if self._is_all and _names_a_tool(told.advice) else ())]
        return answers.Explained(
            status=record.status,
            explanation=told.text,
            what_to_do=advice,
            waits_for=self._waits(record, events, waiting),
        )

    async def read_stream(
        self,
        run_id: RunId,
        name: Annotated[str, Field(description="The stream's name; get_run lists the streams of a run.")],
        after: Annotated[int, Field(ge=0, description="Skip items up to this offset.")] = 0,
        limit: Annotated[int, Field(ge=1, le=1_000, description="Maximum number of items.")] = 200,
        wait: Annotated[int, Field(ge=0, le=30, description="Seconds to wait for a first item.")] = 0,
    ) -> answers.StreamPage:
        """Read what steps or the workflow have written to a stream of a run, such as the tokens of a model's answer,
        also while the run is under way. A long value is shown whole if it is the only one: limit 1.
        """
        page = await stream_pages.read_page(self._world, run_id, name, after, wait)
        items = page.items[:limit]
        is_all = len(items) == len(page.items)
        return answers.StreamPage(
            items=[self._item(item, whole=limit == 1) for item in items],
            next=page.next if is_all else items[-1].offset,
            ended=page.ended and is_all,
        )

    def query_run(
        self,
        run_id: RunId,
        name: Annotated[str, Field(description="The name under which the workflow publishes the value.")],
        args: Annotated[dict[str, Any] | None, Field(description="Arguments by name, where it is a function.")] = None,
    ) -> answers.Published:
        """Get a value that a run's workflow publishes about itself. Needs the workflow's code in this server; a wrong
        name is answered with the names that are published. Changes nothing.
        """
        value = queries.query(self._world, run_id, name, args)
        return answers.Published(value=self._shown.value(value, "unavailable: ask for less than all of it"))

    def get_cost(self, run_id: RunId) -> answers.Cost:
        """Estimate what a run cost in AWS requests and dollars, from its history, beside what it would have cost on
        other services. A run of a LocalWorld costs nothing: this is what it would cost on AWS.
        """
        try:
            from worldflow.costs import costs_of, prices
        except ModuleNotFoundError as error:
            raise ConfigurationError('get_cost requires boto3: pip install "worldflow[aws]"') from error
        self._world.read_run(run_id)
        found = costs_of(self._world, run_id, load_prices())
        alone, batched = found.bills
        return answers.Cost(
            run_id=run_id,
            dollars=batched.dollars,
            dollars_unbatched=alone.dollars,
            charges={charge.what: charge.dollars for charge in batched.charges},
            requests=dict(found.asked.requests),
            elsewhere={other.name: other.dollars for other in found.elsewhere},
            usage=[{**each.entry, "dollars": each.dollars} for each in found.tokens],
            prices=f"{prices.REGION}, {prices.AS_OF}",
            not_exact=list(found.asked.estimated),
        )

    # --- parts of answers ---

    def _history(self, record: RunRecord) -> list[Event]:
        return self._world.read_events(record.run_id) if record.seq or record.status != "pending" else []

    def _summary(self, record: RunRecord) -> answers.RunSummary:
        summary = answers.RunSummary(
            run_id=record.run_id,
            workflow=record.workflow_name,
            status=record.status,
            created_at=record.created_at,
            ended_at=record.ended_at,
        )
        if self._shown.payloads:
            summary.status_text = self._shown.text(record.status_text)
            summary.attributes = dict(record.attributes)
        return summary

    def _record(self, record: RunRecord) -> dict[str, Any]:
        described = record.describe()
        for field in ("input", "result"):
            if field in described:
                described[field] = self._shown.value(described[field], read_with(record.run_id, field))
        for field in ("status_text", "reason", "blocked_reason"):
            if field in described:
                described[field] = self._shown.text(described[field])
        if record.error:
            described["error"] = self._shown.failure(record.error)
        if not self._shown.payloads:
            described.pop("attributes", None)
            described.pop("headers", None)
        return described

    def _waiting(self, record: RunRecord) -> queries.Waiting | None:
        """What the run's code waits for, where that can be known here."""
        is_known = record.version == DYNAMIC or record.workflow_name in workflow_names()
        if record.ended or record.status == "blocked" or not is_known:
            return None
        try:
            return queries.waiting(self._world, record.run_id)
        except WorldflowError:
            return None  # the code here is not the code that the run has

    def _waits(self, record: RunRecord, events: Sequence[Event], waiting: queries.Waiting | None) -> list[answers.Wait]:
        if record.ended:
            return []
        signals = [answers.Wait(kind="signal", name=name) for name in (waiting.signals if waiting else ())]
        return waits(events, self._world.now(), self._shown) + signals

    def _event(self, run_id: str, event: Event, words: str) -> answers.HistoryEvent:
        summary = self._shown.text(words) if self._shown.payloads else event.event_type
        return answers.HistoryEvent(
            seq=event.seq,
            at=event.at,
            event_type=event.event_type,
            summary=" ".join((summary or "").split()).removeprefix(f"{event.seq} "),
            payload=self._shown.payload(run_id, event),
        )

    def _item(self, item: StreamItem[Any] | StreamReset, *, whole: bool) -> dict[str, Any]:
        described = {name: value for name, value in asdict(item).items() if value is not None}
        if isinstance(item, StreamReset):
            return {**described, "reset": True}
        if not (whole and self._shown.payloads):
            how = f"read_stream with after={item.offset - 1} and limit=1"
            described["value"] = self._shown.value(item.value, how)
        return described

    def _value(self, run_id: str, field: str, seq: int | None) -> Json:
        if seq is None:
            values = self._world.read_run(run_id).describe()
            known = [name for name in _VALUES if name in values]
        else:
            event = next(iter(self._world.read_events(run_id, seq - 1)), None)
            if event is None or event.seq != seq:
                raise InvalidInputError(f"run {run_id!r} has no event {seq}", [FieldError("seq", "no such event")])
            values = event.payload
            known = sorted(values)
        if field not in known:
            problem = f"there is no field {field!r} here: it must be one of {', '.join(known) or 'none'}"
            raise InvalidInputError(problem, [FieldError("field", f"must be one of {', '.join(known)}")])
        value: Json = values[field]
        return value


def _names_a_tool(advice: Sequence[str]) -> bool:
    return any(re.search(r"\((?:send|resume|retry|fork|start)_\w+", line) for line in advice)
