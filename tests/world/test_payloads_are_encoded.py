"""With a codec, nothing that is written holds the user's data: not a history, a message, a record or an object."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import boto3
import pytest
from pydantic import BaseModel, Field

from tests.support import systems
from tests.support.aws import REGION, Stack
from tests.support.systems import AWSSystem, ClockedAWSWorld, aws_system, finish, local_system, signal, start
from worldflow import (
    PayloadCodecError,
    RetryPolicy,
    continue_as_new,
    create_hook,
    create_webhook,
    on_update,
    publish,
    sleep,
    step,
    step_info,
    wait_for_signal,
    workflow,
)
from worldflow.encryption import KmsCodec
from worldflow.engine.history import SignalReceived, StepCompleted, StepScheduled
from worldflow.engine.history.failures import decode_exception
from worldflow.runtime import queries, schedules, sending, starting, updates, webhooks
from worldflow.worlds import LocalWorld
from worldflow.worlds.codec import PayloadCodec
from worldflow.worlds.messages import FactArrived
from worldflow.worlds.payloads import stash

MARK = "tulip-7391-bed"
LARGE = f"{MARK} " * 6_000


class Rose(BaseModel):
    kind: Literal["rose"]


class Daisy(BaseModel):
    kind: Literal["daisy"]


@step(retry=RetryPolicy(max_attempts=2, initial_interval="1s"), heartbeat_timeout="1m")
async def tells_how_far(text: str) -> str:
    if step_info().attempt == 1:
        step_info().heartbeat({"text": text})
        raise ConnectionError(text)
    return str(step_info().heartbeat_details["text"])


@step(retry=RetryPolicy(max_attempts=1))
async def withers(text: str) -> None:
    error = ValueError(text, {"text": text})
    error.add_note(text)
    raise error from KeyError(text)


@step(inline=True)
async def says(text: str) -> str:
    return text * 6_000


@step
async def plants(text: str) -> Annotated[Rose | Daisy, Field(discriminator="kind")]:
    return Rose(kind="rose")


@workflow
async def seedling(text: str) -> str:
    if await wait_for_signal("go") == "break":
        raise ValueError(text)
    return text


@workflow
async def carries(text: str, generation: int) -> str:
    if generation == 2:
        await sleep("1h")
        assert await wait_for_signal("unread") == text
        raise ValueError(text)

    @on_update("echo")
    async def echo(said: str) -> str:
        if said == "break":
            raise ValueError(text)
        return said

    publish("text", text)
    assert await tells_how_far(text) == text
    assert len(await says(text)) == len(text) * 6_000
    try:
        await withers(text)
    except ValueError as error:
        assert (error.args, error.__notes__) == ((text, {"text": text}), [text])
        assert isinstance(error.__cause__, KeyError)
    with create_hook(token="door", metadata={"text": text}) as hook:
        assert await hook == LARGE
        try:
            await hook
        except ConnectionError as error:
            assert str(error) == text
    with create_webhook(respond="workflow", metadata=text) as webhook:
        publish("url", webhook.url)
        request = await webhook
        request.respond(200, request.text() + request.query["text"])
    assert await seedling.options(run_id="mild")(text) == text
    try:
        await seedling.options(run_id="wild")(text)
    except ValueError as error:
        assert str(error) == text
    await wait_for_signal("turn")
    continue_as_new(text, 2)


@workflow
async def garden() -> None:
    await plants(MARK)


@dataclass
class Written:
    """What the world asked AWS for."""

    requests: list[tuple[str, str]]

    def operations_with(self, *marks: str) -> set[str]:
        return {operation for operation, text in self.requests if any(mark in text for mark in marks)}


def _text(data: Any) -> str:
    return data.decode("latin-1") if isinstance(data, bytes) else str(data)


@contextmanager
def watched(stack: Stack, monkeypatch: pytest.MonkeyPatch, codec: PayloadCodec | None) -> Iterator[Any]:
    """A system whose world has a codec, and what it writes."""
    written = Written([])

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        written.requests.append((model.name, json.dumps(params, default=_text)))

    session = boto3.Session(region_name=REGION)
    session.events.register("provide-client-params", note)
    world = ClockedAWSWorld(stack.settings, session=session, codec=codec)
    monkeypatch.setattr(systems, "aws_world", lambda _: world)
    with aws_system(stack) as system:
        yield system, written


def kms_codec() -> KmsCodec:
    client = boto3.client("kms", region_name=REGION)
    return KmsCodec(client.create_key()["KeyMetadata"]["Arn"], client=client)


def everything(system: AWSSystem) -> None:
    """Takes a value through all that a run may do with one."""
    world = system.world
    start(system, "r", carries, text=MARK, generation=1)
    assert systems.skip(system)  # the retry
    webhooks.resume_hook(world, "door", LARGE)
    webhooks.fail_hook(world, "door", ConnectionError(MARK))
    assert webhooks.get_hook(world, "door").metadata == {"text": MARK}
    system.settle()
    token = queries.query(world, "r", "url").rpartition("/")[2]
    request = {"method": "POST", "body": MARK.encode(), "headers": {"x-text": MARK}, "query": {"text": MARK}}
    answer = webhooks.receive(world, token, sleep=lambda _: system.settle(), **request)  # type: ignore[arg-type]
    assert answer.body == (MARK * 2).encode()
    signal(system, "mild", "go", MARK)
    signal(system, "wild", "go", "break")
    for said in (MARK, "break"):
        update = updates.send_update(world, "r", "echo", (said,), update_id=f"update-{len(said)}")
        system.settle()
        reply = updates.look_for_answer(world, update)
        assert reply and (reply.result == MARK or (reply.error and str(decode_exception(reply.error)) == MARK))
    assert queries.query(world, "r", "text") == MARK
    signal(system, "r", "unread", MARK)
    signal(system, "r", "turn")
    failed = finish(system, "r~2")
    assert failed.error and failed.error.message == MARK
    starting.retry(world, "r")
    starting.signal_with_start(world, "r", carries, {"text": MARK, "generation": 2}, name="unread", value=MARK)
    finish(system, "r~3")
    starting.fork(world, "r", "f", after=1)
    for size, text in enumerate((MARK, LARGE)):
        starting.fork(world, "r", f"edited-{size}", edit={"input": {"text": text, "generation": 2}})
    schedules.create(world, "daily", carries, {"text": MARK, "generation": 2}, schedule="rate(1 day)")
    assert not schedules.create(world, "daily", carries, {"text": MARK, "generation": 2}, schedule="rate(1 day)")[1]
    for _ in range(2):
        systems.skip(system)
    # A run that is blocked by what it was given.
    starting.start(world, "b", garden)
    world.send([FactArrived(run_id="b", fact=StepCompleted(step_id="s1", result=stash(world, "b", {"kind": MARK})))])
    system.poll("runs")
    assert MARK in (world.read_run("b").blocked_reason or "")


def test_nothing_that_is_written_holds_what_runs_carry(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "worldflow")
    with watched(stack, monkeypatch, kms_codec()) as (system, written):
        everything(system)
        record = system.world.get_run("r")
        history = system.world.load_history("r")

    encoded = [base64.b64encode(b" " * shift + MARK.encode())[4:-4].decode() for shift in range(3)]
    assert written.operations_with(MARK, *encoded) == set()
    assert MARK not in caplog.text
    # The names, by which people find their way, are there.
    assert record and record.workflow_name == "carries"
    assert [event.name for event in history if isinstance(event, StepScheduled)] == ["tells_how_far", "says", "withers"]


def test_without_a_codec_all_of_them_do(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    with watched(stack, monkeypatch, None) as (system, written):
        everything(system)

    assert written.operations_with(MARK) == {"PutItem", "UpdateItem", "SendMessageBatch", "PutObject"}


class Backwards:
    """A codec that everybody can read who knows it. `name` is what tells it from another."""

    def __init__(self, name: str) -> None:
        self.name = name.encode()
        self.contexts: set[str] = set()

    def encode(self, data: bytes, context: Any) -> bytes:
        return self.name + json.dumps(context).encode() + b"|" + data[::-1]

    def decode(self, data: bytes, context: Any) -> bytes:
        if not data.startswith(self.name + json.dumps(context).encode() + b"|"):
            raise PayloadCodecError("another codec's")
        return data.partition(b"|")[2][::-1]


@workflow
async def asks(text: str) -> str:
    first = await wait_for_signal("first")
    with create_hook(token="gate", metadata=text) as hook:
        return f"{text} {first} {await hook}"


def test_runs_that_are_under_way_go_on_when_a_codec_is_switched_on_and_over(tmp_path: Path) -> None:
    with local_system(tmp_path / "runs.db") as system:
        world: LocalWorld = system.world  # type: ignore[assignment]
        start(system, "r", asks, text="in clear")
        world.codec = Backwards("one")
        system.restart()
        signal(system, "r", "first", "encoded")
        world.codec = None  # a deployment that has lost it
        system.restart()
        webhooks._send(world, webhooks._live_hook(world, "gate"), "last", "1")
        system.settle()
        record = world.get_run("r")
        assert record and record.status == "blocked"
        assert "'r' is encoded, but this process has no codec" in (record.blocked_reason or "")
        with pytest.raises(PayloadCodecError, match="WORLDFLOW_PAYLOAD_CODEC"):
            world.read_events("r")

        world.codec = Backwards("two")
        with pytest.raises(PayloadCodecError, match="another codec's"):
            world.read_events("r")

        world.codec = Backwards("one")
        system.restart()
        sending.resume(world, "r")
        assert finish(system, "r").result == "in clear encoded last"


def test_a_step_whose_function_lacks_the_codec_is_tried_again(tmp_path: Path) -> None:
    @workflow
    async def calls() -> str:
        return await says_once(MARK)

    @step(retry=RetryPolicy(max_attempts=2, initial_interval="1s"))
    async def says_once(text: str) -> str:
        return text

    with local_system(tmp_path / "runs.db") as system:
        world: LocalWorld = system.world  # type: ignore[assignment]
        world.codec = Backwards("one")
        starting.start(world, "r", calls, {})
        system._worker._turns.take(1)
        world.codec = None
        system.settle()
        world.codec = Backwards("one")
        assert finish(system, "r").result == MARK


@pytest.mark.parametrize("value", [{"$encoded": "eA=="}, {"$encoded": 1, "run_id": "r"}, {"$payload": "x"}])
@pytest.mark.parametrize("codec", [None, Backwards("one")], ids=["clear", "encoded"])
def test_a_value_that_looks_like_one_of_ours_is_the_users_own(value: Any, codec: PayloadCodec | None) -> None:
    with local_system(":memory:") as system:
        system.world.codec = codec
        start(system, "r", asks, text="")
        signal(system, "r", "first", value)
        webhooks.resume_hook(system.world, "gate", value)
        assert finish(system, "r").result == f" {value} {value}"


@pytest.mark.parametrize(
    "value", [{"$encoded": "?"}, {"$encoded": 1}, {"$encoded": ""}, {"$encoded": "eA==", "run_id": 3}]
)
def test_a_message_that_only_looks_encoded_blocks_its_run_alone(value: Any) -> None:
    with local_system(":memory:") as system:
        system.world.codec = Backwards("one")
        for run_id in ("r", "other"):
            start(system, run_id, asks, text="")
        system.world.send([FactArrived(run_id="r", fact=SignalReceived(signal_id="1", name="first", value=value))])
        signal(system, "other", "first", "x")
        assert "PayloadCodecError" in (system.world.read_run("r").blocked_reason or "")
        assert system.world.read_run("other").status == "running"


def test_a_codec_that_is_not_there_is_named(stack: Stack) -> None:
    from worldflow.worlds import AWSWorld

    for path in ("json", "json:nothing", "no.such:codec"):
        settings = stack.settings.model_copy(update={"payload_codec": path})
        with pytest.raises(Exception, match=f"WORLDFLOW_PAYLOAD_CODEC is '{path}'"):
            AWSWorld(settings, session=stack.session)
    settings = stack.settings.model_copy(update={"payload_codec": f"{__name__}:kms_codec"})
    assert isinstance(AWSWorld(settings, session=stack.session).codec, KmsCodec)
