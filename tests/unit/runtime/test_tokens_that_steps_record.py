"""What a step records of a model's tokens stands in the history with the outcome of its attempt."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

import pytest

from worldflow import OutsideError, RetryPolicy, SerializationError, record_usage, step, step_info, workflow
from worldflow.engine.history import StepCompleted, StepFailed, dump_events, load_events
from worldflow.testing import WorkflowEnvironment, step_context
from worldflow.turns import steps as executor
from worldflow.worlds.ledger import get_outcome

ONCE = RetryPolicy(max_attempts=2, initial_interval=1)

ANSWER = {"model": "large", "input_tokens": 12, "output_tokens": 3}


@step
async def asks_once() -> str:
    record_usage("large", input_tokens=12, output_tokens=3)
    return "answer"


@step
def asks_in_a_thread() -> str:
    record_usage("large", input_tokens=12, output_tokens=3)
    return "answer"


@step
async def asks_three_times() -> None:
    async def ask(model: str) -> None:
        record_usage(model, input_tokens=10, output_tokens=1, cache_read_input_tokens=5)

    await asyncio.gather(ask("large"), ask("small"))
    record_usage("large", input_tokens=2, output_tokens=2)


@step(retry=ONCE)
async def asks_and_fails() -> None:
    record_usage("large", input_tokens=12, output_tokens=3)
    if step_info().attempt == 1:
        raise ValueError("the answer makes no sense")


@step
async def asks_for_what_is_no_json() -> Any:
    record_usage("large", input_tokens=12, output_tokens=3)
    return object()


@step
async def asks_nobody() -> None:
    pass


@workflow(name="usage_of_steps")
async def asks(name: str, inline: bool) -> None:
    steps = [asks_once, asks_in_a_thread, asks_three_times, asks_and_fails, asks_for_what_is_no_json, asks_nobody]
    called: Any = next(step for step in steps if step.name == name)
    with contextlib.suppress(SerializationError):
        await called.options(inline=inline)()


async def outcomes(name: str, inline: bool) -> list[Any]:
    async with WorkflowEnvironment() as env:
        run = await env.start(asks, name, inline)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(executor, "_log", executor.logging.getLogger("silent"))
            await run.result()
        events = await run.events()
        found = [event for event in events if isinstance(event, (StepCompleted, StepFailed))]
        if not inline:
            for fact in found:
                recorded = get_outcome(env.world, run.id, fact.step_id, fact.attempt)
                assert recorded and recorded.fact.usage == fact.usage
        return [fact.usage for fact in load_events(dump_events(found))]  # type: ignore[union-attr]


@pytest.mark.parametrize("inline", [False, True], ids=["queued", "inline"])
class TestTheOutcomeOfAStep:
    @pytest.mark.parametrize("name", ["asks_once", "asks_in_a_thread", "asks_for_what_is_no_json"])
    async def test_has_the_tokens_that_it_recorded(self, name: str, inline: bool) -> None:
        assert await outcomes(name, inline) == [[ANSWER]]

    async def test_has_the_sum_for_each_model(self, inline: bool) -> None:
        assert await outcomes("asks_three_times", inline) == [
            [
                {"model": "large", "input_tokens": 12, "output_tokens": 3, "cache_read_input_tokens": 5},
                {"model": "small", "input_tokens": 10, "output_tokens": 1, "cache_read_input_tokens": 5},
            ]
        ]

    async def test_has_those_of_its_own_attempt(self, inline: bool) -> None:
        assert await outcomes("asks_and_fails", inline) == [[ANSWER], [ANSWER]]

    async def test_says_nothing_of_tokens_where_none_were_recorded(self, inline: bool) -> None:
        assert await outcomes("asks_nobody", inline) == [None]


def test_an_outcome_without_tokens_is_written_as_ever() -> None:
    assert "usage" not in dump_events([StepCompleted(step_id="s1", result=1)])


def test_outside_a_step_it_is_refused() -> None:
    with pytest.raises(OutsideError, match="inside a step"):
        record_usage("large", input_tokens=1, output_tokens=1)


def test_a_step_that_is_tested_alone_shows_what_it_recorded() -> None:
    with step_context() as info:
        record_usage("large", input_tokens=12, output_tokens=3)
    assert info.usage == [ANSWER]


def test_threads_may_record_at_once() -> None:
    with step_context() as info:
        usage = info._usage

        def record() -> None:
            for _ in range(1_000):
                usage.record("large", {"input_tokens": 1})

        threads = [threading.Thread(target=record) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert info.usage == [{"model": "large", "input_tokens": 4_000}]


@pytest.mark.parametrize(
    ("model", "counts", "problem"),
    [
        ("", {"input_tokens": 1}, "model must be a name of 1 to 200 characters"),
        (None, {"input_tokens": 1}, "model must be a name"),
        ("large", {"input_tokens": -1}, "input_tokens must be at least 0"),
        ("large", {"input_tokens": 1.5}, "input_tokens must be an int, not float"),
        ("large", {"input_tokens": True}, "input_tokens must be an int, not bool"),
        ("large", {"Cached": 1}, "'Cached' is not the name of a count"),
        ("large", {f"count_{n}": 1 for n in range(30)}, "one model can have 30 counts"),
    ],
)
def test_what_is_no_count_is_refused(model: Any, counts: dict[str, Any], problem: str) -> None:
    with step_context() as info, pytest.raises((ValueError, TypeError), match=problem):
        record_usage(model, **counts)
    assert info.usage == []


def test_one_step_has_the_tokens_of_some_models() -> None:
    with step_context() as info:
        for n in range(50):
            record_usage(f"model-{n}", input_tokens=1)
        record_usage("model-0", input_tokens=1)
        with pytest.raises(ValueError, match="the tokens of 50 models"):
            record_usage("model-50", input_tokens=1)
    assert len(info.usage) == 50
