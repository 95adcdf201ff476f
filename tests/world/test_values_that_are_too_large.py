"""A value of more bytes than may be stored is refused where it is sent, and is a failure where it is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.systems import System, finish, signal, start
from worldflow import continue_as_new, on_update, step, wait_for_signal, workflow
from worldflow.engine.errors import FieldError, PayloadTooLargeError, QueryNotFoundError
from worldflow.engine.history import Replied, RunFailed, StepFailed
from worldflow.engine.history.failures import decode_exception
from worldflow.runtime import queries, schedules, sending, starting, updates, webhooks
from worldflow.worlds import payloads
from worldflow.worlds.schedules import get_schedule

LIMIT = 100_000
FITS, EXCEEDS = "x" * (LIMIT - 2), "x" * (LIMIT - 1)  # as JSON it has quotes

pytestmark = pytest.mark.parametrize("system", ["memory", "aws"], indirect=True)


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payloads, "PAYLOAD_LIMIT", LIMIT)


def arguments(text: str) -> dict[str, str]:
    """Arguments of as many bytes as the text alone."""
    return {"t": text[: -len('{"t":}')]}


@step
async def enlarges(size: int) -> str:
    return "x" * size


@step
async def measures(text: str) -> int:
    return len(text)


@workflow
async def echoes_large(t: str) -> str:
    return t


@workflow
async def enlarges_in_a_step(size: int) -> int:
    return len(await enlarges(size))


@workflow
async def returns_large(size: int) -> str:
    return "x" * size


@workflow
async def calls_with_large(size: int) -> int:
    return await measures("x" * size)


@workflow
async def awaits_large() -> int:
    return len(await wait_for_signal("text", str))


@workflow
async def answers_large() -> None:
    def enlarge(size: int) -> str:
        return "x" * size

    on_update("enlarge")(enlarge)
    await wait_for_signal("end")


@workflow
async def collects_large(again: bool = True) -> list[int]:
    if again:
        await wait_for_signal("go")
        continue_as_new(again=False)
    return [len(await wait_for_signal("text", str)) for _ in range(3)]


def too_large(field: str) -> tuple[FieldError, ...]:
    return (FieldError(field, f"must be at most {LIMIT:,} bytes of JSON, but has {LIMIT + 1:,}"),)


def refused(send: Callable[[], object]) -> PayloadTooLargeError:
    with pytest.raises(PayloadTooLargeError, match="store the data elsewhere") as refusal:
        send()
    return refusal.value


def test_what_is_sent_is_taken_at_the_limit_and_refused_one_byte_past_it(system: System, limit: None) -> None:
    world = system.world
    start(system, "r", echoes_large, **arguments(FITS))
    assert len(finish(system, "r").result) == len(FITS) - 6
    assert refused(lambda: starting.start(world, "other", echoes_large, arguments(EXCEEDS))).fields == too_large(
        "input"
    )
    assert world.get_run("other") is None

    start(system, "s", awaits_large)
    refused(lambda: sending.signal(world, "s", "text", EXCEEDS))
    refused(lambda: updates.send_update(world, "s", "any", (EXCEEDS,)))
    signal(system, "s", "text", FITS)
    assert finish(system, "s").result == LIMIT - 2


def test_what_starts_a_run_with_a_signal_stores_nothing_where_the_signal_is_too_large(
    system: System, limit: None
) -> None:
    refusal = refused(
        lambda: starting.signal_with_start(system.world, "r", awaits_large, {}, name="text", value=EXCEEDS)
    )

    assert refusal.fields == too_large("value")
    assert system.world.get_run("r") is None


def test_a_schedule_with_too_large_an_input_is_not_created(system: System, limit: None) -> None:
    given = arguments(EXCEEDS)
    refused(lambda: schedules.create(system.world, "hourly", echoes_large, given, schedule="rate(1 hour)"))

    assert get_schedule(system.world, "hourly") is None


def test_a_hooks_value_that_is_too_large_is_refused(
    system: System, limit: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(system, "r", awaits_large)
    held = webhooks.HookRecord(token="t", run_id="r", hook_id="h")
    monkeypatch.setattr(webhooks, "get_hook", lambda *_: held)

    assert refused(lambda: webhooks.resume_hook(system.world, "t", EXCEEDS)).fields == too_large("value")


def test_a_steps_result_fails_the_step_one_byte_past_the_limit_and_it_is_not_tried_again(
    system: System, limit: None
) -> None:
    start(system, "fits", enlarges_in_a_step, size=len(FITS))
    assert finish(system, "fits").result == len(FITS)

    start(system, "exceeds", enlarges_in_a_step, size=len(EXCEEDS))
    record = finish(system, "exceeds")
    assert record.error and fields_of(record.error) == too_large("result")
    (failed,) = [event for event in system.world.read_events("exceeds") if isinstance(event, StepFailed)]
    assert failed.attempt == 1
    assert not failed.retryable


@pytest.mark.parametrize(("flow", "field"), [(returns_large, "result"), (calls_with_large, "input")])
def test_what_a_workflow_makes_fails_its_run(system: System, limit: None, flow: Any, field: str) -> None:
    start(system, "r", flow, size=LIMIT)

    record = finish(system, "r")

    assert (record.status, record.error and fields_of(record.error)[0].field) == ("failed", field)
    assert isinstance(system.world.read_events("r")[-1], RunFailed)
    with pytest.raises(QueryNotFoundError):  # its history replays, though its code decided otherwise
        queries.query(system.world, "r", "any")


def fields_of(error: Any) -> Any:
    rebuilt = decode_exception(error)
    assert isinstance(rebuilt, PayloadTooLargeError)
    return rebuilt.fields


def test_a_run_that_failed_of_a_result_too_large_can_be_retried(
    system: System, limit: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(system, "r", returns_large, size=LIMIT)
    finish(system, "r")
    monkeypatch.setattr(payloads, "PAYLOAD_LIMIT", 2 * LIMIT)

    starting.retry(system.world, "r")

    assert len(finish(system, "r~2").result) == LIMIT


def test_an_answer_that_is_too_large_is_refused_and_the_run_goes_on(system: System, limit: None) -> None:
    start(system, "r", answers_large)
    for update_id, size in (("fits", len(FITS)), ("exceeds", len(EXCEEDS))):
        updates.send_update(system.world, "r", "enlarge", (size,), update_id=update_id)
    system.settle()

    fits, exceeds = (event for event in system.world.read_events("r") if isinstance(event, Replied))
    assert fits.result == FITS
    assert exceeds.error and fields_of(exceeds.error) == too_large("result")
    system.restart()
    signal(system, "r", "end")
    assert finish(system, "r").status == "completed"


def test_what_a_generation_leaves_unread_may_be_larger_than_one_value(system: System, limit: None) -> None:
    start(system, "r", collects_large)
    for number in range(3):
        sending.signal(system.world, "r", "text", FITS, signal_id=f"text-{number}")
    signal(system, "r", "go")
    system.settle()

    assert finish(system, "r~2").result == [len(FITS)] * 3


def test_a_value_of_50_megabytes_goes_through_a_run(system: System) -> None:
    text = "x" * (50 * 1024 * 1024 - 2)
    start(system, "r", awaits_large)
    with pytest.raises(PayloadTooLargeError, match="at most 52,428,800 bytes of JSON, but has 52,428,801"):
        sending.signal(system.world, "r", "text", text + "x")
    signal(system, "r", "text", text)

    assert finish(system, "r").result == len(text)
