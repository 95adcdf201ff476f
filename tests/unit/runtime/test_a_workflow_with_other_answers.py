"""`replay_with`: a workflow on the results of a history, some of them replaced."""

from __future__ import annotations

import asyncio
import json
from datetime import date, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from worldflow import (
    FatalError,
    RetryPolicy,
    RunCancelledError,
    RunFailedError,
    UnsupportedOperationError,
    continue_as_new,
    create_hook,
    now,
    on_update,
    record_usage,
    sleep,
    step,
    uuid4,
    wait_for_signal,
    workflow,
)
from worldflow.engine.history import Event
from worldflow.testing import WorkflowEnvironment, replay_with

ran: list[Any] = []


@pytest.fixture(autouse=True)
def _fresh(caplog: pytest.LogCaptureFixture) -> None:
    ran.clear()
    caplog.set_level("CRITICAL", "worldflow")


class Answer(BaseModel):
    text: str
    on: date = date(2026, 1, 15)


@step
async def eval_model(prompt: str) -> Answer:
    ran.append(prompt)
    record_usage("production", input_tokens=len(prompt), output_tokens=1)
    return Answer(text=f"tool {prompt}" if "," not in prompt else f"answer {prompt}")


@step
async def eval_tool(city: str) -> str:
    ran.append(city)
    return f"weather of {city}"


@workflow
async def evaluated(prompt: str) -> str:
    cities: list[str] = []
    while True:
        answer = await eval_model(", ".join([prompt, *cities]))
        if not answer.text.startswith("tool "):
            return answer.text
        cities += await asyncio.gather(*map(eval_tool, answer.text.removeprefix("tool ").split()))


async def history_of(prompt: str = "Oslo Rome") -> list[Event]:
    async with WorkflowEnvironment() as env:
        run = await env.start(evaluated, prompt)
        assert await run.result() == "answer Oslo Rome, weather of Oslo, weather of Rome"
        events = await run.events()
    ran.clear()
    return events


async def test_with_nothing_replaced_it_ends_as_it_did() -> None:
    run = await replay_with(await history_of())
    assert run.result == "answer Oslo Rome, weather of Oslo, weather of Rome"
    assert [(call.name, call.source) for call in run.calls] == [
        ("eval_model", "recorded"),
        ("eval_tool", "recorded"),
        ("eval_tool", "recorded"),
        ("eval_model", "recorded"),
    ]
    assert ran == []
    assert [entry["output_tokens"] for entry in run.usage] == [2]


@pytest.mark.parametrize("plain", [False, True])
async def test_a_function_answers_in_place_of_a_step(plain: bool) -> None:
    asked: list[str] = []

    async def candidate(prompt: str) -> Answer:
        asked.append(prompt)
        record_usage("candidate", input_tokens=7, output_tokens=2)
        return Answer(text="tool Rome Oslo" if len(asked) == 1 else f"so: {prompt}")

    def candidate_that_waits(prompt: str) -> Answer:
        return asyncio.run(candidate(prompt))

    run = await replay_with(await history_of(), steps={"eval_model": candidate_that_waits if plain else candidate})
    # The tools are called the other way round, and each has its own result.
    assert run.result == "so: Oslo Rome, weather of Rome, weather of Oslo"
    assert asked == ["Oslo Rome", "Oslo Rome, weather of Rome, weather of Oslo"]
    assert ran == []
    assert run.usage == [{"model": "candidate", "input_tokens": 14, "output_tokens": 4}]
    first, tool = run.calls[:2]
    assert (first.source, first.arguments, first.result) == (
        "replaced",
        {"prompt": "Oslo Rome"},
        {"text": "tool Rome Oslo", "on": "2026-01-15"},
    )
    assert (tool.source, tool.arguments, tool.result) == ("recorded", {"city": "Rome"}, "weather of Rome")


async def test_a_step_may_run_its_own_code() -> None:
    run = await replay_with(await history_of(), live={"eval_m*"})
    assert run.result == "answer Oslo Rome, weather of Oslo, weather of Rome"
    assert ran == ["Oslo Rome", "Oslo Rome, weather of Oslo, weather of Rome"]
    assert [call.source for call in run.calls] == ["live", "recorded", "recorded", "live"]


async def test_a_call_that_was_never_made_is_an_error_that_says_what_was() -> None:
    def candidate(prompt: str) -> Answer:
        return Answer(text="tool Bonn")

    with pytest.raises(AssertionError, match=r'was called with \{"city":"Bonn"\}, but the history has it with'):
        await replay_with(await history_of(), steps={"eval_model": candidate})


@pytest.mark.parametrize("is_async", [False, True])
async def test_what_is_missing_may_be_answered(is_async: bool) -> None:
    def candidate(prompt: str) -> Answer:
        return Answer(text=prompt if "," in prompt else "tool Bonn Oslo")

    def missing(name: str, arguments: dict[str, Any]) -> str:
        return f"{name} {arguments['city']}?"

    async def missing_later(name: str, arguments: dict[str, Any]) -> str:
        return missing(name, arguments)

    run = await replay_with(
        await history_of(), steps={"eval_model": candidate}, missing=missing_later if is_async else missing
    )
    assert run.result == "Oslo Rome, eval_tool Bonn?, weather of Oslo"
    assert [call.source for call in run.calls[1:3]] == ["missing", "recorded"]


async def test_results_in_order_for_calls_whose_arguments_are_others() -> None:
    def candidate(prompt: str) -> Answer:
        return Answer(text=prompt if "," in prompt else "tool Bonn Oslo Graz Linz")

    history, steps = await history_of(), {"eval_model": candidate}
    with pytest.raises(AssertionError, match=r'eval_tool was called with \{"city":"Linz"\}'):
        await replay_with(history, steps=steps, in_order={"eval_*"})
    run = await replay_with(history, steps=steps, in_order={"eval_tool"}, missing=lambda *_: "nothing")
    assert run.result == "Oslo Rome, weather of Oslo, weather of Oslo, weather of Rome, nothing"


async def test_the_same_call_again_has_the_same_result() -> None:
    def candidate(prompt: str) -> Answer:
        return Answer(text=prompt if "," in prompt else "tool Oslo Oslo Oslo")

    run = await replay_with(await history_of(), steps={"eval_model": candidate})
    assert run.result == "Oslo Rome, weather of Oslo, weather of Oslo, weather of Oslo"


async def test_another_input() -> None:
    run = await replay_with(await history_of(), input={"prompt": "Rome"}, live={"eval_model"})
    assert run.result == "answer Rome, weather of Rome"


@workflow
async def evaluated_otherwise(prompt: str) -> str:
    return f"{prompt}: {await eval_tool('Rome')}"


async def test_another_workflow() -> None:
    run = await replay_with(await history_of(), workflow=evaluated_otherwise)
    assert run.result == "Oslo Rome: weather of Rome"


async def test_the_history_as_the_command_line_prints_it() -> None:
    lines = [
        json.dumps(
            {"seq": event.seq, "at": event.at.isoformat(), "event_type": event.event_type, "payload": event.payload}
        )
        for event in await history_of()
    ]
    run = await replay_with("\n".join(lines))
    assert run.result == "answer Oslo Rome, weather of Oslo, weather of Rome"


# --- all that a run may wait for ---


@step(retry=RetryPolicy(max_attempts=3, initial_interval="1h", jitter=0))
async def eval_unsteady(name: str) -> str:
    raise LookupError(name)


@workflow
async def eval_child(name: str) -> str:
    return f"{name} {await wait_for_signal('child')}"


@workflow(timeout="30d")
async def evaluated_life() -> list[Any]:
    @on_update("add")
    def add(number: int) -> int:
        got.append(number)
        return number

    began = now()
    got: list[Any] = [str(uuid4())]
    got.append(await wait_for_signal("s"))
    await sleep("1d")
    with create_hook(str, token=f"eval-{uuid4()}") as hook:
        got.append(await hook)
    try:
        async with asyncio.timeout(3600):
            await wait_for_signal("never")
    except TimeoutError:
        got.append("late")
    got.append(await eval_child("child"))
    try:
        await eval_unsteady("unsteady")
    except LookupError as error:
        got.append(f"failed: {error}")
    got.append(str(now() - began))
    return got


async def life() -> tuple[list[Event], list[Any]]:
    async with WorkflowEnvironment() as env:
        run = await env.start(evaluated_life)
        await env.advance("1h")
        await run.signal("s", "signal")
        await env.advance("25h")
        await run.update("add", 7)
        (hook,) = await run.hooks()
        await env.resume_hook(hook.token, "hook")
        await env.advance("2h")
        await env.run(f"{run.id}~c1").signal("child", "spoke")
        result = await run.result()
        return await run.events(), result


async def test_what_was_sent_comes_again_and_time_passes() -> None:
    history, result = await life()
    run = await replay_with(history)
    assert run.result == result
    assert [call.source for call in run.calls] == ["recorded", "recorded"]
    assert run.calls[1].error and run.calls[1].error.message == "unsteady"


async def test_a_child_may_be_replaced() -> None:
    history, result = await life()
    run = await replay_with(history, steps={"eval_child": lambda name: f"{name} replaced"})
    assert run.result[5] == "child replaced"
    assert run.result[:5] == result[:5]


async def test_a_function_that_fails_is_tried_again_as_the_step_would_be() -> None:
    attempts: list[str] = []

    def steadier(name: str) -> str:
        attempts.append(name)
        if len(attempts) < 3:
            raise LookupError("again")
        return "fine"

    history, _ = await life()
    run = await replay_with(history, steps={"eval_unsteady": steadier})
    assert len(attempts) == 3
    assert run.result[6] != "failed: unsteady"
    assert run.calls[1].error is None

    def gives_up(name: str) -> str:
        attempts.append(name)
        raise FatalError("no")

    attempts.clear()
    run = await replay_with(history, steps={"eval_unsteady": gives_up})
    with pytest.raises(RunFailedError, match="FatalError: no"):
        run.result  # noqa: B018
    assert len(attempts) == 1


async def test_a_run_that_waits_for_what_was_never_sent() -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(eval_child, "c")
        await run.signal("child", "said")
        await run.result()
        history = [event for event in await run.events() if event.event_type != "SignalReceived"]
    with pytest.raises(AssertionError, match="the run waits for something that its history does not have: a signal"):
        await replay_with(history)


@workflow
async def evaluated_timeout() -> str:
    try:
        async with asyncio.timeout(60):
            return await eval_tool("Oslo")
    except TimeoutError:
        return "late"


async def test_a_slow_answer_is_as_slow_as_it_was() -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(evaluated_timeout)
        assert await run.result() == "weather of Oslo"
        events = await run.events()
    slow = [
        event.recorded(event.seq, event.at + timedelta(minutes=5)) if event.event_type == "StepCompleted" else event
        for event in events
    ]
    assert (await replay_with(slow)).result == "late"


@workflow
async def evaluated_generations(n: int) -> int:
    if n < 3:
        continue_as_new(n + 1)
    return n


async def test_how_it_ends_otherwise() -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(evaluated_generations, 1)
        await run.result()
        first = await replay_with(await run.events())
        with pytest.raises(UnsupportedOperationError, match="continued as new"):
            first.result  # noqa: B018
        run = await env.start(eval_child, "c")
        await run.cancel()
        cancelled = await replay_with(await run.events())
        with pytest.raises(RunCancelledError):
            cancelled.result  # noqa: B018


async def test_a_history_that_is_none() -> None:
    with pytest.raises(ValueError, match="a history begins with RunStarted"):
        await replay_with([])
