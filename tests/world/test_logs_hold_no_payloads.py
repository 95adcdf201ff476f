"""What runs carry is not logged, nor raised to who logs it, unless it is asked for; what went wrong and where is."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pytest
from botocore.exceptions import ClientError
from pydantic import BaseModel, Field, TypeAdapter

from tests.support.api import Api
from tests.support.lambdas import Context, function, sqs_event, sqs_record
from tests.support.systems import AWSSystem, finish, signal, start
from worldflow import RetryPolicy, on_update, publish, set_redactor, step, wait_for_signal, workflow
from worldflow.engine.history import StepCompleted
from worldflow.runtime import starting, updates
from worldflow.testing import WorkflowEnvironment
from worldflow.worlds import LocalWorld, ledger
from worldflow.worlds.messages import FactArrived, StepTask

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")  # of functions that failed at once

MARK = "tulip-7391-bed"
ONCE = RetryPolicy(max_attempts=1)


class Ended(BaseException):
    """Which is no `Exception`."""


class Oak(BaseModel):
    kind: Literal["oak"]


class Elm(BaseModel):
    kind: Literal["elm"]


async def boom(text: str) -> None:
    raise ConnectionResetError(text)


def refuses(error: BaseException) -> bool:
    raise ArithmeticError(str(error))


@step(retry=ONCE)
async def fails_in(how: str, text: str) -> Annotated[Oak | Elm, Field(discriminator="kind")]:
    match how:
        case "a cause":
            error = ValueError(text)
            error.add_note(text)
            raise error from KeyError(text)
        case "a context":
            try:
                await boom(text)
            except ConnectionResetError:
                raise RuntimeError(text)  # noqa: B904  it is what this is about
        case "a group":
            raise ExceptionGroup(text, [OSError(2, text), ExceptionGroup("", [LookupError(text)])])
        case "validation":
            TypeAdapter(dict[str, int]).validate_python({text: text})
        case "a result":
            return text  # type: ignore[return-value]
        case "exit":
            raise SystemExit(text)
    raise AssertionError(how)


@step(retry=RetryPolicy(retry_if=refuses))
async def is_asked_about(text: str) -> None:
    raise ValueError(text)


@step(inline=True, retry=ONCE)
async def fails_inline(text: str) -> None:
    asyncio.create_task(boom(text))  # noqa: RUF006  nobody looks at it
    await asyncio.sleep(0)
    raise ValueError(text)


@step(retry=ONCE)
async def leaves_a_task(text: str) -> None:
    asyncio.create_task(boom(text))  # noqa: RUF006
    asyncio.get_running_loop().call_soon(lambda words: 1 / 0, text)
    await asyncio.sleep(0)


@step(retry=ONCE)
async def ends_all(text: str) -> None:
    raise Ended(text)


@workflow
async def meets_trouble(text: str) -> None:
    @on_update("ask")
    async def ask(said: int) -> None:
        raise ValueError(text)

    for how in ("a cause", "a context", "a group", "validation", "a result", "exit"):
        await asyncio.gather(fails_in(how, text), return_exceptions=True)
    for call in (is_asked_about(text), fails_inline(text), leaves_a_task(text), ends_all(text)):
        await asyncio.gather(call, return_exceptions=True)
    asyncio.create_task(boom(text))  # noqa: RUF006
    asyncio.get_running_loop().call_soon(lambda words: 1 / 0, text)
    try:
        await wait_for_signal("number", int, on_misfit="raise")
    finally:
        raise ValueError(text)


@workflow
async def fails_once(text: str) -> None:
    await asyncio.gather(fails_in("a cause", text), return_exceptions=True)


@workflow
async def is_blocked(text: str) -> None:
    await fails_in("", text)


@workflow
async def exits(text: str) -> None:
    raise SystemExit(text)


@workflow
async def shows(text: str) -> None:
    def look() -> None:
        raise ValueError(text)

    publish("text", look)
    await wait_for_signal("end")


@pytest.fixture(autouse=True)
def _no_redactor() -> Iterator[None]:
    yield
    set_redactor(None)


def trouble_of_runs(aws: AWSSystem) -> None:
    world = aws.world
    start(aws, "r", meets_trouble, text=MARK)
    for args in ((MARK,), (1,), (1, MARK)):
        updates.send_update(world, "r", "ask", args)
    aws.settle()
    signal(aws, "r", "number", MARK)
    assert finish(aws, "r").status == "failed"
    starting.start(world, "b", is_blocked, {"text": MARK})
    world.send([FactArrived(run_id="b", fact=StepCompleted(step_id="s1", result={"kind": MARK}))])
    aws.settle()
    assert MARK in (world.read_run("b").blocked_reason or "")
    start(aws, "e", exits, text=MARK)
    assert "SystemExit()" in (world.read_run("e").blocked_reason or "")
    gc.collect()


def trouble_of_the_world(aws: AWSSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store refuses, and its words quote what it was given."""

    def refuse(*_: object) -> None:
        raise ClientError({"Error": {"Code": "ValidationException", "Message": f"no {MARK}"}}, "PutItem")

    task = StepTask(run_id="x", step_id="s1", name="fails_in", input={"how": "a cause", "text": MARK})
    with monkeypatch.context() as patch:
        patch.setattr(aws.world, "append", refuse)
        patch.setattr(ledger, "put_outcome", refuse)
        starting.start(aws.world, "x", shows, {"text": MARK})
        aws.poll("runs")
        aws._invoke("steps", [_task(aws, task)])


def trouble_of_messages(aws: AWSSystem) -> None:
    fact = {"v": 1, "kind": "fact", "run_id": "x", "fact": {"event_type": "StepFailed", "step_id": "s1", "error": MARK}}
    for body in (MARK, {"kind": MARK}, {"v": MARK, "kind": "start", "run_id": "x"}, {MARK: 1}, fact):
        text = body if isinstance(body, str) else json.dumps(body)
        aws._invoke("runs", [sqs_record(aws.stack.arns["runs"], text)])
        aws._invoke("steps", [sqs_record(aws.stack.arns["steps"], text)])
        world = LocalWorld()
        world._database._db.execute(
            "insert into messages (queue, grp, body, visible_at) values ('runs', 'x', ?, 0)", (text,)
        )
        assert world.receive("runs") == []
        world.close()
    aws.stack.purge("dead-runs")  # where those that are no messages are set aside


def _task(aws: AWSSystem, task: StepTask) -> dict[str, Any]:
    return sqs_record(aws.stack.arns["steps"], task.dump())


def provoke(aws: AWSSystem, api: Api, monkeypatch: pytest.MonkeyPatch) -> str:
    """Provokes every failure that there is. Returns what was raised to the Lambda runtime, which logs it."""
    trouble_of_runs(aws)
    trouble_of_messages(aws)
    trouble_of_the_world(aws, monkeypatch)
    raised: list[BaseException] = []
    for name, queue in (("orchestrator", "runs"), ("step_executor", "steps")):
        record = sqs_record(aws.stack.arns[queue], "")
        with pytest.raises(Exception) as broken:
            function(name).handler(sqs_event(record | {"attributes": {"ApproximateReceiveCount": MARK}}), Context())
        raised.append(broken.value)
    starting.start(aws.world, "q", shows, {"text": MARK})
    aws.settle()
    # Who asks is told, as of an update, and the log is not.
    assert MARK in api.get("/runs/q/queries/text").error["message"]
    return "\n".join(_with_all_that_it_holds(error) for error in raised)


def _with_all_that_it_holds(error: BaseException | None) -> str:
    if error is None:
        return ""
    return f"{error!r} {error} {vars(error)}" + "".join(
        map(_with_all_that_it_holds, (error.__cause__, error.__context__))
    )


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.DEBUG, "worldflow")
    return caplog


def test_what_runs_carry_is_not_logged(
    aws: AWSSystem, api: Api, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    raised = provoke(aws, api, monkeypatch)

    text = log.text
    assert [line for line in text.splitlines() if MARK in line] == []
    assert MARK not in raised
    # What went wrong, and where, is there.
    for name in ("KeyError", "ValueError", "RuntimeError", "ConnectionResetError", "LookupError", "ArithmeticError"):
        assert f"{name}: message not logged" in text
    for name in ("ValidationError", "OSError", "SystemExit", "ZeroDivisionError", "SerializationError"):
        assert name in text
    assert "ClientError: ValidationException for PutItem" in text
    assert f'{__file__}", line {boom.__code__.co_firstlineno + 1}, in boom' in text
    assert "body: json_invalid" in text
    assert raised.count("ValueError(") == 2 and "Ended: message not logged" in text


def test_it_is_where_it_is_asked_for(
    aws: AWSSystem, api: Api, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WORLDFLOW_LOG_PAYLOADS", "true")
    raised = provoke(aws, api, monkeypatch)

    for text in (
        "KeyError: '%s'",
        "ValueError: %s",
        "RuntimeError: %s",
        "LookupError: %s",
        "no %s",
        "'%s' found using",
    ):
        assert text % MARK in log.text
    assert raised.count(MARK) >= 3


def test_and_then_goes_through_the_redactor(
    aws: AWSSystem, api: Api, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WORLDFLOW_LOG_PAYLOADS", "true")
    set_redactor(lambda text: text.replace(MARK, "a flower"))
    trouble_of_the_world(aws, monkeypatch)
    start(aws, "r", meets_trouble, text=MARK)

    assert "ValueError: a flower" in log.text
    assert MARK not in log.text


def test_a_local_world_is_on_a_machine_of_ones_own_whose_log_says_it_all(log: pytest.LogCaptureFixture) -> None:
    asyncio.run(fails_locally())
    assert f"KeyError: '{MARK}'" in log.text  # the cause
    assert f"ValueError: {MARK}" in log.text


async def fails_locally() -> None:
    async with WorkflowEnvironment() as env:
        await env.start(fails_once, MARK)


def test_not_so_where_it_is_forbidden(monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("WORLDFLOW_LOG_PAYLOADS", "false")
    asyncio.run(fails_locally())
    assert "ValueError: message not logged" in log.text
    assert MARK not in log.text


def test_nor_when_the_local_world_is_closed(aws: AWSSystem, log: pytest.LogCaptureFixture) -> None:
    LocalWorld().close()
    start(aws, "r", fails_once, text=MARK)
    assert "ValueError: message not logged" in log.text
    assert MARK not in log.text
