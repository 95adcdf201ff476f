"""Runs on AWS: DynamoDB for histories and records, SQS FIFO for messages, a delay line for timers, S3 for large data.

What is asked of AWS, and how, is in `access.py`; the queues and the delay line are in `messages.py`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
from pydantic_core import from_json

from worldflow.engine.errors import RunArchivedError
from worldflow.engine.history import Attribute, Event, Json, dump_value
from worldflow.settings import Settings
from worldflow.worlds.archives import Archive
from worldflow.worlds.aws.access import AWSAccess, as_attributes, values_of
from worldflow.worlds.aws.history import AWSHistory
from worldflow.worlds.aws.items import expiry, record_item, step_key, time_text
from worldflow.worlds.aws.messages import AWSMessages
from worldflow.worlds.aws.payloads import AWSPayloads
from worldflow.worlds.aws.schedules import AWSSchedules
from worldflow.worlds.aws.webhook_keys import AWSKeys
from worldflow.worlds.base import World
from worldflow.worlds.codec import PayloadCodec, load_codec
from worldflow.worlds.messages import Delayed, Message, StepOutcome
from worldflow.worlds.records import Beat, HookRecord, Redriven, RunPage, RunRecord, Status, check_cursor, check_page
from worldflow.worlds.status_events import StatusEvent

if TYPE_CHECKING:
    from worldflow.worlds.aws.dead_letters import AWSDeadLetters
    from worldflow.worlds.aws.deaths import AWSDeaths
    from worldflow.worlds.aws.listing import AWSListing
    from worldflow.worlds.aws.status_events import AWSStatusEvents

CLAIMS_LIMIT = 1_000
"""Claims without an answer that a process remembers. One that it has forgotten counts as begun."""


class AWSWorld(World):
    """A World in one AWS account. May be used from several threads.

    settings: names and addresses of the resources; read from the `WORLDFLOW_*` environment variables unless given.
    session: whose credentials and region are used; `AWS_REGION` and boto3's default unless given.
    codec: what encodes the user's data; the one that the settings name, if they do, unless given.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        session: boto3.Session | None = None,
        codec: PayloadCodec | None = None,
    ) -> None:
        self.access = self._connect(settings, session)
        self.codec = codec or load_codec(self.settings.payload_codec)
        self._when_lost: Callable[[int], None] = lambda number: None
        self._unanswered_claims: dict[str, str] = {}
        """The tokens of claims whose answer was lost, the newest of them: nothing has begun with them."""

    def _connect(self, settings: Settings | None, session: boto3.Session | None) -> AWSAccess:
        return AWSAccess(settings, session=session)

    @property
    def settings(self) -> Settings:
        """The names and addresses of the resources."""
        return self.access.settings

    def now(self) -> datetime:
        return self.access.now()

    # --- history ---

    def load_history(self, run_id: str, after: int = 0, commits: int | None = None) -> list[Event]:
        return self._history.load(run_id, after, commits)

    def load_commits(self, run_id: str) -> list[list[Event]]:
        return self._history.commits(run_id)

    def append(self, run_id: str, events: Sequence[Event]) -> None:
        self._history.append(run_id, events)

    @cached_property
    def _history(self) -> AWSHistory:
        return AWSHistory(self.access, self._payloads)

    # --- records ---

    def create_run(self, record: RunRecord) -> RunRecord | None:
        while not self.access.put(self.settings.runs_table, record_item(record), "attribute_not_exists(run_id)"):
            item = self.access.get(record.run_id)
            if item and "record" not in item:
                raise RunArchivedError(
                    f"the run that {record.run_id!r} would continue is being archived", record.run_id
                )
            if item:
                existing = RunRecord.model_validate_json(item["record"])
                # A request whose answer was lost is repeated by the client, and finds what it has written itself.
                return None if existing == record else existing
            # Between the two it was archived.
        return None

    def get_run(self, run_id: str) -> RunRecord | None:
        item = self.access.get(run_id)
        return RunRecord.model_validate_json(item["record"]) if item and "record" in item else None

    def update_run(self, record: RunRecord) -> None:
        condition = "record_seq <= :seq AND attribute_not_exists(archived)"
        self.access.put(self.settings.runs_table, record_item(record), condition, {":seq": record.seq})

    def list_runs(
        self,
        *,
        status: Status | None = None,
        workflow: str | None = None,
        attributes: Mapping[str, Attribute] | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> RunPage:
        check_page(status, limit)
        if cursor:
            check_cursor(cursor)
        return self._listing.page(status, workflow, attributes or {}, limit, cursor)

    def walk_runs(self, status: Status, created_before: datetime | None = None) -> Iterator[RunRecord]:
        yield from self._listing.walk(status, created_before)

    @cached_property
    def _listing(self) -> AWSListing:
        from worldflow.worlds.aws.listing import AWSListing  # which no turn and no step needs

        return AWSListing(self.access)

    def put_generation(self, base: str, number: int) -> None:
        self.access.put(
            self.settings.runs_table,
            {"run_id": f"generation#{base}", "number": number},
            "attribute_not_exists(run_id) OR #number < :number",
            {":number": number},
            {"#number": "number"},
        )

    def get_generation(self, base: str) -> int:
        item = self.access.get(f"generation#{base}")
        return item["number"] if item else 1

    # --- hooks ---

    def put_hook(self, hook: HookRecord, holder: str | None = None) -> bool:
        item = {
            "run_id": f"hook#{hook.token}",
            "hook": hook.model_dump_json(exclude_none=True),
            "holder": hook.run_id,
        }
        return self.access.put(
            self.settings.runs_table,
            item,
            "attribute_not_exists(run_id) OR holder IN (:own, :before)",
            {":own": hook.run_id, ":before": holder or hook.run_id},
        )

    def get_hook(self, token: str) -> HookRecord | None:
        item = self.access.get(f"hook#{token}")
        return HookRecord.model_validate_json(item["hook"]) if item else None

    def delete_hook(self, token: str, run_id: str) -> None:
        with suppress(self.access.dynamodb.exceptions.ConditionalCheckFailedException):
            self.access.dynamodb.delete_item(
                TableName=self.settings.runs_table,
                Key=as_attributes({"run_id": f"hook#{token}"}),
                ConditionExpression="attribute_not_exists(run_id) OR holder = :holder",
                ExpressionAttributeValues=as_attributes({":holder": run_id}),
            )

    def webhook_url(self, token: str) -> str:
        return f"{self.access.required('webhook_url').rstrip('/')}/{token}"

    def webhook_keys(self) -> Sequence[bytes]:
        return self._keys.current()

    def newer_webhook_keys(self) -> Sequence[bytes]:
        return self._keys.for_an_unknown_token()

    @cached_property
    def _keys(self) -> AWSKeys:
        return AWSKeys(self.access)

    # --- messages ---

    @cached_property
    def _messages(self) -> AWSMessages:
        return AWSMessages(self.access)

    def send(self, messages: Sequence[Message | Delayed]) -> None:
        self._messages.send(messages)

    def cancel_delayed(self, message: Message, deliver_at: datetime, sent_at: datetime) -> None:
        self._messages.cancel(message, deliver_at, sent_at)

    def announce(self, events: Sequence[StatusEvent]) -> None:
        if self.settings.event_bus:
            self._status_events.announce(events)

    def when_status_events_are_lost(self, call: Callable[[int], None]) -> None:
        """Calls with the number of events that a bus refuses for good."""
        self._when_lost = call

    @cached_property
    def _status_events(self) -> AWSStatusEvents:
        from worldflow.worlds.aws.status_events import AWSStatusEvents  # which a stack without a bus does not need

        return AWSStatusEvents(self.access, lambda number: self._when_lost(number))

    def acknowledge(self, queue_arn: str, receipts: Sequence[str]) -> None:
        """Deletes up to ten messages, by their receipt handles, before the function that received them answers.

        Those of other queues than runs' and timers' wait for the answer.
        """
        self._messages.acknowledge(queue_arn, receipts)

    def postpone(self, queue_arn: str, waits: Mapping[str, int]) -> None:
        """Sets in how many seconds up to ten messages, by their receipt handles, become visible again."""
        self._messages.postpone(queue_arn, waits)

    @cached_property
    def deaths(self) -> AWSDeaths:
        """Tells the deaths of functions from outages, for messages that were received before."""
        from worldflow.worlds.aws.deaths import AWSDeaths  # rarely wanted

        return AWSDeaths(self.access)

    def set_aside(self, queue_arn: str, body: str, id: str) -> bool:
        """Puts a body that is no message into the dead-letter queue of the queue of runs that it came from.

        Returns whether it is there: from other queues, whose messages hold up no other, nothing is set aside.
        """
        return self._dead_letters.set_aside(queue_arn, body, id)

    def redrive(self, *, discard: bool = False) -> Redriven:
        return self._dead_letters.redrive(discard=discard)

    @cached_property
    def _dead_letters(self) -> AWSDeadLetters:
        from worldflow.worlds.aws.dead_letters import AWSDeadLetters  # rarely wanted

        return AWSDeadLetters(self.access)

    # --- the step ledger ---

    def put_outcome(self, outcome: StepOutcome, *, replace: bool = False) -> StepOutcome:
        attempt = outcome.run_id, outcome.fact.step_id, outcome.fact.attempt
        item = {
            "run_id": step_key(*attempt),
            "outcome": outcome.model_dump_json(exclude_none=True),
            "expires_at": expiry(self.now()),
        }
        condition, values = "attribute_not_exists(run_id)", dict[str, Any]()
        if replace:
            condition = "attribute_not_exists(never)"
        while not self.access.put(self.settings.runs_table, item, condition, values):
            if not (kept := self.access.get(step_key(*attempt))):
                condition, values = "attribute_not_exists(run_id)", {}
                continue
            recorded = StepOutcome.model_validate_json(kept["outcome"])
            if recorded.is_of(outcome.call):
                return recorded
            condition, values = "outcome = :other", {":other": kept["outcome"]}
        return outcome

    def get_outcome(self, run_id: str, step_id: str, attempt: int) -> StepOutcome | None:
        item = self.access.get(step_key(run_id, step_id, attempt))
        return StepOutcome.model_validate_json(item["outcome"]) if item else None

    def claim(self, run_id: str, step_id: str, attempt: int) -> bool:
        # Without an expiry: for as long as the run may be open. The token tells a claim from a repetition of it, by the
        # client or after its answer was lost.
        key = step_key(run_id, step_id, attempt, "claim")
        token = self._unanswered_claims.pop(key, None) or uuid.uuid4().hex
        item, condition = {"run_id": key, "claimant": token}, "attribute_not_exists(run_id) OR claimant = :claimant"
        try:
            return self.access.put(self.settings.runs_table, item, condition, {":claimant": token})
        except Exception:
            self._unanswered_claims[key] = token
            if len(self._unanswered_claims) > CLAIMS_LIMIT:
                self._unanswered_claims.pop(next(iter(self._unanswered_claims)), None)
            raise

    def begin(self, run_id: str, step_id: str, attempt: int) -> bool:
        changes = {"beat_at": time_text(self.now())}
        return "abandoned" not in self._mark(run_id, step_id, attempt, changes, {"details": "null"})

    def beat(self, run_id: str, step_id: str, attempt: int, details: Json) -> bool:
        changes = {"beat_at": time_text(self.now()), "details": dump_value(details).decode()}
        return "abandoned" not in self._mark(run_id, step_id, attempt, changes)

    def last_beat(self, run_id: str, step_id: str, attempt: int) -> Beat | None:
        item = self.access.get(step_key(run_id, step_id, attempt, "beat"))
        if not item or "beat_at" not in item:
            return None
        return Beat(datetime.fromisoformat(item["beat_at"]), from_json(item["details"]))

    def abandon(self, run_id: str, step_id: str, attempt: int) -> None:
        self._mark(run_id, step_id, attempt, {"abandoned": 1})

    def is_abandoned(self, run_id: str, step_id: str, attempt: int) -> bool:
        item = self.access.get(step_key(run_id, step_id, attempt, "beat"))
        return item is not None and "abandoned" in item

    def _mark(
        self, run_id: str, step_id: str, attempt: int, changes: dict[str, Any], defaults: Mapping[str, Any] = {}
    ) -> dict[str, Any]:
        """Changes the item of an attempt's heartbeats, and returns all of it.

        defaults: attributes that are set unless the item has them.
        """
        changes = {**changes, "expires_at": expiry(self.now())}
        assignments = [f"{name} = :{name}" for name in changes]
        assignments += [f"{name} = if_not_exists({name}, :{name})" for name in defaults]
        values = {f":{name}": value for name, value in {**changes, **defaults}.items()}
        answer = self.access.dynamodb.update_item(
            TableName=self.settings.runs_table,
            Key=as_attributes({"run_id": step_key(run_id, step_id, attempt, "beat")}),
            UpdateExpression="SET " + ", ".join(assignments),
            ExpressionAttributeValues=as_attributes(values),
            ReturnValues="ALL_NEW",
        )
        return values_of(answer["Attributes"])

    # --- payloads ---

    @cached_property
    def _payloads(self) -> AWSPayloads:
        return AWSPayloads(self.access)

    def put_payload(self, key: str, data: bytes) -> None:
        self._payloads.put(key, data)

    def get_payload(self, key: str) -> bytes:
        return self._payloads.get(key)

    def copy_payload(self, key: str, new_key: str) -> None:
        self._payloads.copy(key, new_key)

    @cached_property
    def archive(self) -> Archive:
        from worldflow.worlds.aws.archive import AWSArchive  # which hardly any process needs

        return AWSArchive(self.access)

    # --- schedules ---

    @cached_property
    def schedules(self) -> AWSSchedules:
        return AWSSchedules(self.access)
