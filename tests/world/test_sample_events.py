"""The events in `events/`: one for every function and kind of message, in the order in which an order meets them.

Each makes sense on a fresh stack after those before it, as `sam local invoke` can show one by one.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from tests.support.api import Answer
from tests.support.aws import QueueName
from tests.support.lambdas import ROOT, Context, function, load_function, own_log
from tests.support.systems import AWSSystem
from tests.support.template import routes
from tests.support.threads import replace_sleep
from worldflow.engine.history import AnyFact
from worldflow.runtime.stream_urls import sign_reader
from worldflow.turns.webhook_tokens import sign
from worldflow.worlds import ledger
from worldflow.worlds.messages import (
    Delayed,
    FactArrived,
    Message,
    ScheduledRunEnded,
    ScheduleDue,
    StepTask,
    load_message,
)
from worldflow.worlds.schedules import get_schedule

RUN = "order-1001"
WRITTEN, AGES = datetime(2026, 2, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)

CASES: dict[str, Callable[[After], None]] = {}
"""By the file's name, in the order of the story."""


class After:
    """What is to be seen after an event was handled, and not before."""

    def __init__(self, aws: AWSSystem, answer: dict[str, Any], queued_before: dict[QueueName, int], seq: int) -> None:
        self.world = aws.world
        self._aws = aws
        self._answer = answer
        self._queued = queued_before
        self._seq = seq

    @property
    def http(self) -> Answer:
        body = self._answer["body"]
        data = b64decode(body) if self._answer.get("isBase64Encoded") else body.encode()
        return Answer(self._answer["statusCode"], self._answer["headers"], data)

    def handled(self) -> bool:
        return self._answer == {"batchItemFailures": []}

    def recorded(self) -> list[str]:
        """The events that were added to the history."""
        events = self.world.load_history(RUN, self._seq)
        return [" ".join(filter(None, [event.event_type, _subject(event)])) for event in events]

    def sent(self, queue: QueueName) -> list[Message]:
        messages = [load_message(message.body) for message in self._aws.stack.messages(queue)[self._queued[queue] :]]
        return [message.message if isinstance(message, Delayed) else message for message in messages]

    def tasks(self) -> list[str]:
        return [
            f"{task.step_id}/{task.attempt} {task.name}" for task in self.sent("steps") if isinstance(task, StepTask)
        ]

    def facts(self) -> list[str]:
        facts = [message.fact for message in self.sent("runs") if isinstance(message, FactArrived)]
        return [" ".join(filter(None, [fact.event_type, _subject(fact)])) for fact in facts]


def _subject(event: Any) -> str:
    return getattr(event, "step_id", "") or getattr(event, "timer_id", "") or getattr(event, "name", "")


def case(name: str) -> Callable[[Callable[[After], None]], Callable[[After], None]]:
    def register(check: Callable[[After], None]) -> Callable[[After], None]:
        CASES[name] = check
        return check

    return register


@case("signal-start-run")
def _(after: After) -> None:
    assert after.http.status == 201
    assert after.http.body == {"run_id": RUN, "workflow": "fulfil_order", "status": "pending"}
    assert [message.kind for message in after.sent("runs")] == ["start"]


@case("orchestrator-start")
def _(after: After) -> None:
    assert after.handled()
    assert after.recorded() == ["RunStarted", "AttributesSet", "StepScheduled s1"]
    assert after.tasks() == ["s1/1 reserve"]


@case("step-executor-step-task")
def _(after: After) -> None:
    assert after.handled()
    assert after.facts() == ["StepCompleted s1"]
    assert ledger.get_outcome(after.world, RUN, "s1", 1)


@case("orchestrator-step-completed")
def _(after: After) -> None:
    assert after.handled()
    assert after.recorded() == ["StepCompleted s1", "AttributesSet", "TimerStarted t1"]
    assert len(after._aws.stack.schedules()) == 1


@case("signal-list-runs")
def _(after: After) -> None:
    assert after.http.status == 200
    assert [(run["run_id"], run["status"]) for run in after.http.body["runs"]] == [(RUN, "running")]


@case("signal-get-run")
def _(after: After) -> None:
    assert after.http.status == 200
    assert (after.http.body["run_id"], after.http.body["status"]) == (RUN, "running")


@case("signal-get-events")
def _(after: After) -> None:
    assert after.http.status == 200
    shown = [event["event_type"] for event in after.http.body["events"]]
    assert shown == ["AttributesSet", "StepScheduled", "StepCompleted", "AttributesSet", "TimerStarted"]


# Orders write no streams: there are none, and what is read has nothing in it.


@case("signal-list-streams")
def _(after: After) -> None:
    assert (after.http.status, after.http.body) == (200, {"streams": []})


@case("signal-read-stream")
def _(after: After) -> None:
    assert (after.http.status, after.http.body) == (200, {"items": [], "next": 0, "ended": False})


@case("signal-read-signed-stream")
def _(after: After) -> None:
    # Its token is genuine: one that is not is answered 404.
    assert (after.http.status, after.http.text) == (200, "retry: 250\n\n: nothing new\n\n")


@case("signal-query-run")
def _(after: After) -> None:
    assert (after.http.status, after.http.error["type"]) == (404, "QueryNotFoundError")
    assert "has not published 'stage'" in after.http.error["message"]


@case("signal-update-run")
def _(after: After) -> None:
    # Nobody takes changes of address, so nobody answers in time.
    assert after.http.status == 202
    assert after.http.body == {"run_id": RUN, "update_id": "address-of-1001"}
    assert after.facts() == ["UpdateReceived change_address"]


@case("orchestrator-update")
def _(after: After) -> None:
    # It waits for a handler.
    assert after.handled()
    assert after.recorded() == ["UpdateReceived change_address"]


# Orders have no hooks, webhooks and children: requests find none, and what comes for one is dropped.


@case("signal-get-hook")
def _(after: After) -> None:
    assert (after.http.status, after.http.error["type"]) == (404, "HookNotFoundError")


@case("signal-resume-hook")
def _(after: After) -> None:
    assert (after.http.status, after.http.error["type"]) == (404, "HookNotFoundError")
    assert after.facts() == []


@case("signal-fail-hook")
def _(after: After) -> None:
    assert after.http.status == 404


@case("signal-heartbeat-hook")
def _(after: After) -> None:
    assert (after.http.status, after.http.error["type"]) == (404, "HookNotFoundError")


@case("signal-webhook")
def _(after: After) -> None:
    # Its token is genuine: one that is not is answered 404.
    assert (after.http.status, after.http.body["error"]["message"]) == (410, "this webhook no longer accepts requests")
    assert after.facts() == []


def _nothing_comes_of_it(after: After) -> None:
    assert after.handled()
    assert after.recorded() == after.tasks() == after.facts() == []


for name in ("hook-resumed", "hook-conflicted", "child-completed", "child-failed"):
    case(f"orchestrator-{name}")(_nothing_comes_of_it)


@case("signal-signal-run")
def _(after: After) -> None:
    assert after.http.status == 202
    assert after.facts() == ["SignalReceived approval"]


@case("orchestrator-signal")
def _(after: After) -> None:
    assert after.handled()
    assert after.recorded() == ["SignalReceived approval", "TimerCancelled t1", "AttributesSet", "StepScheduled s2"]
    assert after.tasks() == ["s2/1 charge"]


# The step sends no heartbeats.
case("orchestrator-heartbeat-due")(_nothing_comes_of_it)


@case("orchestrator-step-failed")
def _(after: After) -> None:
    assert after.handled()
    assert after.recorded() == ["StepFailed s2", "StepRetryScheduled s2"]
    wake, _ = after.sent("timers")  # the other watches the time that the next attempt takes
    assert (wake.kind, wake.dedup_id) == ("step_due", f"{RUN}:due:s2/2")


@case("orchestrator-step-due")
def _(after: After) -> None:
    assert after.handled()
    assert after.recorded() == []
    assert after.tasks() == ["s2/2 charge"]


@case("orchestrator-retry-completed")
def _(after: After) -> None:
    assert after.handled()
    assert after.recorded() == ["StepCompleted s2", "AttributesSet", "TimerStarted t2"]


@case("orchestrator-timer-due")
def _(after: After) -> None:
    assert after.handled()
    assert after.recorded() == []
    assert after.facts() == ["TimerFired t2"]


@case("orchestrator-timer-fired")
def _(after: After) -> None:
    assert after.handled()
    assert after.recorded() == ["TimerFired t2", "StepScheduled s3"]
    assert after.tasks() == ["s3/1 ship"]


@case("orchestrator-dead-step-task")
def _(after: After) -> None:
    # No death of its function is on record, so it was an outage: it goes back to its queue.
    assert after.handled()
    assert after.facts() == []
    assert after.tasks() == ["s3/1 ship"]


@case("signal-resume-run")
def _(after: After) -> None:
    assert (after.http.status, after.http.body) == (202, {"run_id": RUN})
    assert [message.kind for message in after.sent("runs")] == ["poke"]


@case("orchestrator-poke")
def _(after: After) -> None:
    assert after.handled()
    assert after.recorded() == []
    assert after.world.read_run(RUN).status == "running"


@case("signal-fork-run")
def _(after: After) -> None:
    assert (after.http.status, after.http.body) == (201, {"run_id": f"{RUN}-again", "workflow": "fulfil_order"})
    assert [(message.kind, message.run_id) for message in after.sent("runs")] == [("start", f"{RUN}-again")]


@case("signal-cancel-run")
def _(after: After) -> None:
    assert after.http.status == 202
    assert after.facts() == ["CancelRequested"]


@case("orchestrator-cancel")
def _(after: After) -> None:
    assert after.handled()
    assert after.recorded()[0] == "CancelRequested"


@case("signal-create-schedule")
def _(after: After) -> None:
    assert after.http.status == 201
    assert after.http.body["next_due"] > after.http.body["created_at"]
    assert "schedule-greeting" in [schedule["Name"] for schedule in after._aws.stack.schedules()]


@case("signal-list-schedules")
def _(after: After) -> None:
    assert after.http.status == 200
    assert [schedule["schedule_id"] for schedule in after.http.body["schedules"]] == ["greeting"]


@case("signal-get-schedule")
def _(after: After) -> None:
    assert after.http.status == 200
    assert (after.http.body["schedule"], after.http.body["overlap"]) == ("cron(0 8 ? * MON-FRI *)", "skip")


@case("signal-change-schedule")
def _(after: After) -> None:
    assert after.http.status == 200
    assert (after.http.body["schedule"], after.http.body["overlap"]) == ("cron(0 8 ? * MON-FRI *)", "allow")


@case("signal-trigger-schedule")
def _(after: After) -> None:
    assert (after.http.status, after.http.body["run_id"]) == (201, "greeting:trigger-catch-up")
    assert [start.run_id for start in after.sent("runs")] == ["greeting:trigger-catch-up"]


@case("signal-backfill-schedule")
def _(after: After) -> None:
    runs = [{"run_id": f"greeting:2026010{day}T070000Z", "created": True} for day in (1, 2)]
    assert (after.http.status, after.http.body["runs"]) == (200, runs)


@case("signal-list-limits")
def _(after: After) -> None:
    assert (after.http.status, after.http.body) == (200, {"limits": []})


@case("signal-get-limit")
def _(after: After) -> None:
    assert (after.http.status, after.http.fields) == (404, ["name"])


@case("signal-change-limit")
def _(after: After) -> None:
    assert (after.http.status, after.http.fields) == (404, ["name"])


@case("orchestrator-schedule-due")
def _(after: After) -> None:
    assert after.handled()
    (start,) = after.sent("runs")
    assert (start.kind, start.run_id) == ("start", "greeting:20991231T070000Z")
    assert after.world.read_run(start.run_id).input == {"name": "Ada"}


@case("orchestrator-scheduled-run-ended")
def _(after: After) -> None:
    assert after.handled()
    assert after.sent("runs") == []  # no run waits for it


@case("signal-delete-schedule")
def _(after: After) -> None:
    assert (after._answer["statusCode"], after._answer.get("body")) == (204, "")
    assert get_schedule(after.world, "greeting") is None


@case("signal-terminate-run")
def _(after: After) -> None:
    assert (after.http.status, after.http.body) == (202, {"run_id": RUN})
    assert after.facts() == ["TerminateRequested"]


@case("signal-wake-run")
def _(after: After) -> None:
    assert (after.http.status, after.http.body) == (202, {"run_id": RUN, "woken": 0})
    assert after.sent("runs") == []


@case("signal-pause-run")
def _(after: After) -> None:
    assert (after.http.status, after.facts()) == (202, ["RunPaused"])
    (message,) = after.sent("runs")
    assert message.fact.by == "arn:aws:iam::123456789012:user/shop"


@case("signal-unpause-run")
def _(after: After) -> None:
    assert (after.http.status, after.facts()) == (202, ["RunUnpaused"])


@case("signal-pause-workflow")
def _(after: After) -> None:
    assert (after.http.status, after.http.body["reason"]) == (200, "an incident")
    assert after.http.body["by"] == "arn:aws:iam::123456789012:user/shop"


@case("signal-unpause-workflow")
def _(after: After) -> None:
    assert after.http.body == {"workflow": "hello", "unpaused": 0, "complete": True}


@case("signal-list-paused-workflows")
def _(after: After) -> None:
    assert after.http.body == {"workflows": []}


@case("orchestrator-run-paused")
def _(after: After) -> None:
    assert after.handled() and after.recorded() == ["RunPaused"]
    assert after.world.read_run(RUN).status == "paused"


@case("orchestrator-run-unpaused")
def _(after: After) -> None:
    assert after.handled() and after.recorded() == ["RunUnpaused"]


@case("orchestrator-terminate")
def _(after: After) -> None:
    assert after.handled()
    assert after.recorded() == ["TerminateRequested", "RunCancelled"]
    record = after.world.read_run(RUN)
    assert (record.status, record.reason) == ("cancelled", "ordered twice")


@case("signal-retry-run")
def _(after: After) -> None:
    # It has not failed.
    assert (after.http.status, after.http.fields) == (422, ["run_id"])
    assert after.sent("runs") == []


@case("caretaker-hour")
def _(after: After) -> None:
    # The runs that were forked, triggered and backfilled have not begun, and are too young to have lost their starts.
    assert after._answer == {"sweep": {"open_runs": 5, "blocked_runs": 0, "started": 0, "poked": 0, "complete": True}}
    assert after.sent("runs") == []


@case("caretaker-rotate-key")
def _(after: After) -> None:
    assert after._answer == {}
    secrets, secret = after.world.access.client("secretsmanager"), after.world.settings.webhook_secret_arn
    version = secrets.get_secret_value(SecretId=secret, VersionStage="AWSPENDING")
    assert version["VersionId"] == read("caretaker-rotate-key")["ClientRequestToken"]
    assert len(json.loads(version["SecretString"])["keys"]) == 2


# --- the files -----------------------------------------------------------------------------------------------------

FILES = {path.stem: path for path in sorted((ROOT / "events").glob("*.json"))}
FUNCTIONS = {
    "orchestrator": "orchestrator",
    "step-executor": "step_executor",
    "signal": "signal",
    "caretaker": "caretaker",
}


def read(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(FILES[name].read_text())
    return event


def read_for(aws: AWSSystem, name: str) -> dict[str, Any]:
    """A sample with what is the stack's own in it, as `events/README.md` says."""
    event, world = read(name), aws.world
    if name == "caretaker-rotate-key":
        event["SecretId"] = world.settings.webhook_secret_arn
    if name == "signal-webhook":
        event["pathParameters"]["token"] = sign(world.webhooks.keys()[0], RUN, "h1", token_expires())
    if name == "signal-read-signed-stream":
        event["pathParameters"]["token"] = sign_reader(world.webhooks.keys()[0], RUN, "progress", token_expires())
    return event


def token_expires() -> datetime:
    _, expires, _ = read("signal-webhook")["pathParameters"]["token"].split(".")
    return datetime.fromtimestamp(int(expires, 16), UTC)


@pytest.fixture
def invoke(aws: AWSSystem, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    # Who waits for an answer gets none.
    replace_sleep(monkeypatch, lambda _: None)
    with own_log():
        # Its own, since it remembers runs of a stack that is emptied after each test.
        orchestrator = load_function("orchestrator")

    def invoke(name: str) -> dict[str, Any]:
        folder = next(folder for prefix, folder in FUNCTIONS.items() if name.startswith(f"{prefix}-"))
        app = orchestrator if folder == "orchestrator" else function(folder)
        answer: dict[str, Any] = app.handler(read_for(aws, name), Context(function_name=folder))
        return answer

    return invoke


def bodies(*names: str) -> Iterator[Message | Delayed]:
    for name in names or FILES:
        for record in read(name).get("Records", []):
            yield load_message(record["body"])


def test_the_tokens_are_signed_with_the_key_of_the_readme() -> None:
    (key,) = re.findall(r"--secret-string (\S+)", (ROOT / "events/README.md").read_text())
    webhook, stream = (read(f"signal-{name}")["pathParameters"]["token"] for name in ("webhook", "read-signed-stream"))

    assert webhook == sign(key.encode(), RUN, "h1", token_expires())
    assert stream == sign_reader(key.encode(), RUN, "progress", token_expires())
    assert token_expires() > AGES


def test_every_file_has_a_case_and_every_case_a_file() -> None:
    assert {path.name for path in FILES.values()} == {f"{name}.json" for name in CASES}


wrong: dict[str, BaseException | None] = {}
"""What was wrong after each sample. The whole story is told once, by the first test that asks."""


@pytest.mark.parametrize("name", FILES)
def test_a_sample_does_what_it_should_after_those_before_it(request: pytest.FixtureRequest, name: str) -> None:
    if not wrong:
        tell(request.getfixturevalue("aws"), request.getfixturevalue("invoke"))
    if error := wrong[name]:
        raise error


def tell(aws: AWSSystem, invoke: Callable[[str], dict[str, Any]]) -> None:
    for name, check in CASES.items():
        queued = {queue: len(aws.stack.messages(queue)) for queue in aws.stack.arns}
        history = aws.world.load_history(RUN)
        wrong[name] = None
        try:
            check(After(aws, invoke(name), queued, history[-1].seq if history else 0))
        except Exception as error:
            wrong[name] = error


def test_every_function_has_a_file() -> None:
    folders = {path.parent.name for path in (ROOT / "functions").glob("*/app.py")}

    told = {folder for prefix, folder in FUNCTIONS.items() if any(n.startswith(f"{prefix}-") for n in FILES)}
    assert told | {"trigger"} == folders  # whose records are in events/triggers: see test_triggers.py


def test_every_kind_of_message_has_a_file() -> None:
    kinds = {
        Delayed.model_fields["kind"].default,
        *(get_args(cls.model_fields["kind"].annotation)[0] for cls in get_args(Message)),
    }

    assert {message.kind for message in bodies()} == kinds


def test_every_fact_that_is_sent_has_a_file() -> None:
    sent = {cls.__name__ for cls in get_args(AnyFact)} - {
        "RunStarted",
        "RunForked",
        "RunRestored",
    }  # which no message carries

    assert {message.fact.event_type for message in bodies() if isinstance(message, FactArrived)} == sent


def test_every_route_has_a_file() -> None:
    samples = {read(name)["routeKey"] for name in FILES if name.startswith("signal-")}

    assert samples == {f"{method} {path}" for method, path in routes()}


# --- what is in them -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in FILES if "Records" in read(name)])
def test_a_message_is_what_worldflow_sends(name: str) -> None:
    (record,) = read(name)["Records"]
    (message,) = bodies(name)

    assert load_message(message.dump()) == message
    assert json.loads(record["body"]) == json.loads(message.dump())
    assert record["md5OfBody"] == hashlib.md5(record["body"].encode()).hexdigest()
    if isinstance(message, ScheduleDue):
        assert "MessageGroupId" not in record["attributes"]
        assert message.due > AGES  # of a schedule that somebody may create today
    elif isinstance(message, Delayed):
        assert message.message.run_id == RUN
        assert "MessageGroupId" not in record["attributes"]
        assert message.due < WRITTEN  # and is forwarded at once
    else:
        assert message.run_id == RUN or isinstance(message, ScheduledRunEnded)
        assert record["attributes"]["MessageGroupId"] == message.group
        assert record["attributes"]["MessageDeduplicationId"] == message.dedup_id


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("signal-")])
def test_a_request_is_what_api_gateway_sends(name: str) -> None:
    event = read(name)
    method, route = event["routeKey"].split(" ")
    pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route)
    match = re.fullmatch(pattern, event["rawPath"])

    assert event["version"] == "2.0"
    assert match and match.groupdict() == event.get("pathParameters", {})
    http = event["requestContext"]["http"]
    assert method in (http["method"], "ANY")
    assert http["path"] == event["rawPath"]
    assert event["requestContext"]["routeKey"] == event["routeKey"]
    assert event["rawQueryString"] == "&".join(f"{k}={v}" for k, v in event.get("queryStringParameters", {}).items())


def test_no_file_names_an_account_that_may_be_somebodys() -> None:
    for path in FILES.values():
        assert set(re.findall(r"\b\d{12}\b", path.read_text())) <= {"123456789012", *_message_ids(path.read_text())}, (
            path
        )


def _message_ids(text: str) -> list[str]:
    return re.findall(r"-(\d{12})\b", text)
