"""What the tools return. The SDK makes their output schemas of these."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from worldflow.mcp.showing import NOTE


class Answer(BaseModel):
    note: str = NOTE


class RunSummary(BaseModel):
    run_id: str
    workflow: str
    status: str
    created_at: datetime
    ended_at: datetime | None = None
    status_text: str | None = Field(None, description="The status line that the workflow has set.")
    attributes: dict[str, Any] = Field({}, description="The attributes that the workflow has set, for searching.")


class RunList(Answer):
    runs: list[RunSummary] = Field(description="Newest first.")
    cursor: str | None = Field(None, description="Pass it to list_runs for the next page; null on the last page.")


class Wait(BaseModel):
    """Something a run waits for."""

    kind: str = Field(description="step, timer, child, hook, webhook, signal or update")
    name: str
    id: str | None = None
    since: datetime | None = None
    attempt: int | None = Field(None, description="Of a step: the current attempt, from 1.")
    due: datetime | None = Field(None, description="Of a timer: when it fires. Of a step: when it is retried.")
    last_error: str | None = Field(None, description="Of a step that is retried: why the last attempt failed.")
    child_run_id: str | None = None


class Run(Answer):
    run: dict[str, Any] = Field(description="The run's record: status, times, input, result or error.")
    followed_by: str | None = Field(None, description="The newest run with this id: a retry or continuation.")
    waits_for: list[Wait] = Field([], description="What is open. Signals are known only if the code is loaded.")
    streams: list[str] = Field([], description="Names of the run's streams; read them with read_stream.")


class HistoryEvent(BaseModel):
    seq: int
    at: datetime
    event_type: str
    summary: str = Field(description="The event in words.")
    payload: dict[str, Any]


class History(Answer):
    events: list[HistoryEvent]
    next_after: int | None = Field(None, description="Pass it as `after` for the next page; null on the last page.")


class ValuePart(Answer):
    json_text: str = Field(description="A part of the value, as JSON text.")
    next_offset: int | None = Field(None, description="Pass it as `offset` for the next part; null on the last.")
    characters: int = Field(description="The length of the whole.")


class Explained(Answer):
    status: str
    explanation: str
    what_to_do: list[str]
    waits_for: list[Wait] = []


class WorkflowDescription(BaseModel):
    name: str
    version: int
    description: str
    input_schema: dict[str, Any] = Field(description="JSON Schema of start_run's `input`.")
    result_schema: dict[str, Any]
    signals: dict[str, Any] = Field({}, description="JSON Schemas of the signals that the workflow declares.")


class WorkflowList(BaseModel):
    workflows: list[WorkflowDescription]
    not_imported: dict[str, str] = Field({}, description="Modules that could not be imported, and why.")


class StreamPage(Answer):
    items: list[dict[str, Any]] = Field(description="Values by offset, and resets, which void a step's values so far.")
    next: int = Field(description="Pass it as `after` to read on.")
    ended: bool = Field(description="No more items will follow.")


class Cost(BaseModel):
    run_id: str
    dollars: float = Field(description="Of this run, when messages come in batches of 10, without compute.")
    dollars_unbatched: float = Field(description="The same, when each message comes alone.")
    charges: dict[str, float] = Field(description="Dollars by what is charged.")
    requests: dict[str, float] = Field(description="AWS requests by operation.")
    elsewhere: dict[str, float | None] = Field(description="Dollars of the same run on other services.")
    usage: list[dict[str, Any]] = Field(
        [], description="Tokens by model, and their dollars where WORLDFLOW_TOKEN_PRICES has them."
    )
    prices: str
    not_exact: list[str] = Field([], description="What was estimated, or not counted.")


class Published(Answer):
    value: Any


class Started(BaseModel):
    run_id: str
    workflow: str
    status: str
    created: bool = Field(description="False if a run with this id existed, and nothing was started.")


class Sent(BaseModel):
    run_id: str
    id: str = Field(description="Send the same request with this id again, and it has no second effect.")


class Replied(Answer):
    reply: Any


class Done(BaseModel):
    run_id: str
    what: str
