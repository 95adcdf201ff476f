"""`worldflow.costs.logs` says how many bytes the functions write: here they are measured."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from tests.support.aws import QueueName, Stack
from tests.support.lambdas import Context, load_function, own_log, sqs_event, sqs_record, unload
from tests.support.systems import AWSSystem
from worldflow import step, workflow
from worldflow.costs import Asked, commits_of, count, prices
from worldflow.costs.logs import END, START, STEPS_LINE, TURNS_LINE, VALUE, log_bytes
from worldflow.runtime import starting

NAMESPACE = "Worldflow/worldflow-prod"
_services = itertools.count(1)


@step
async def logged_step(number: int) -> int:
    return number


@workflow
async def logged_run(steps: int) -> int:
    return sum([await logged_step(number) for number in range(steps)])


class Functions:
    """Both functions behind the queues, and what they have written."""

    def __init__(self, stack: Stack, capture: pytest.CaptureFixture[str]) -> None:
        self._stack, self._capture = stack, capture
        self._apps = {
            name: load_function(name, service=f"logged-{next(_services)}") for name in ("orchestrator", "step_executor")
        }

    def close(self) -> None:
        for app in self._apps.values():
            unload(app)

    def invoke(self, queue: QueueName, size: int = 1) -> int | None:
        """Gives messages to the function behind the queue. Returns the bytes of what it writes, None without any."""
        messages = self._stack.receive(queue, size)
        if not messages:
            return None
        self._capture.readouterr()
        app = self._apps["step_executor" if queue == "steps" else "orchestrator"]
        arn = self._stack.arns[queue]
        records = [
            sqs_record(arn, one.body, id=one.id, group=one.group_id, sent_at=one.sent_timestamp / 1_000)
            for one in messages
        ]
        app.handler(sqs_event(*records), Context())
        for message in messages:
            self._stack.delete(queue, message.receipt_handle)
        lines = self._capture.readouterr().out.splitlines()
        return sum(len(line.encode()) + prices.LOG_EVENT_BYTES for line in lines)

    def drain(self) -> list[tuple[str, int]]:
        """Lets everything happen, and returns what each invocation wrote."""
        written: list[tuple[str, int]] = []
        while found := [(queue, size) for queue in ("runs", "steps") if (size := self.invoke(queue)) is not None]:  # type: ignore[arg-type]
            written += found
        return written


@pytest.fixture
def functions(
    aws: AWSSystem, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Functions]:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", NAMESPACE)
    with own_log(), ExitStack() as running:
        yield running.enter_context(closing(Functions(aws.stack, capsys)))


def about(bytes: float) -> Any:
    """A time has more digits on a slow machine."""
    return pytest.approx(bytes, abs=6)


def test_a_turn_and_a_step(functions: Functions, aws: AWSSystem) -> None:
    starting.start(aws.world, "r", logged_run, {"steps": 3})
    written = functions.drain()

    turns = [size for queue, size in written if queue == "runs"]
    steps = [size for queue, size in written if queue == "steps"]
    assert turns == [about(TURNS_LINE + START), about(TURNS_LINE), about(TURNS_LINE), about(TURNS_LINE + END)]
    assert steps == [about(STEPS_LINE)] * 3


def test_messages_that_come_together_share_a_line(functions: Functions, aws: AWSSystem) -> None:
    for number in range(4):
        starting.start(aws.world, f"r{number}", logged_run, {"steps": 1})
    first = functions.invoke("runs", 4)
    steps = functions.invoke("steps", 4)

    assert steps == pytest.approx(STEPS_LINE + 3 * VALUE, abs=12)
    assert first == pytest.approx(TURNS_LINE + START + 3 * VALUE, abs=12)  # one number counts all starts


def test_a_bill_has_what_its_run_wrote(functions: Functions, aws: AWSSystem) -> None:
    starting.start(aws.world, "r", logged_run, {"steps": 12})
    written = functions.drain()
    asked = count("r", commits_of(aws.world, "r")[0])

    assert log_bytes(asked, 1, 1) == pytest.approx(sum(size for _, size in written), rel=0.02)


def test_a_timer_that_is_passed_on_writes_nothing() -> None:
    assert log_bytes(Asked(messages=1, timers=1), 1, 1) == 0
